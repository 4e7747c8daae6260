"""The packages of this distribution, and whether they are the ones that Python imports."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from headstart.errors import InputError

PACKAGES = ("headstart", "tasks", "pretrain", "transfer", "benchmark")


def check_packages() -> None:
    """Refuse to run when a package of the same name from elsewhere is imported in place of Headstart's.

    The packages have plain names: a stray ``tasks.py`` hides one, and another wheel that ships ``tasks/``
    overwrites it silently. Imports nothing of theirs, so it may stand before any import.

    Raises:
        InputError: one is loaded from elsewhere.
    """
    ours = Path(__file__).resolve().parent.parent
    for name in PACKAGES:
        spec = find_spec(name)
        origin = Path(spec.origin).resolve() if spec and spec.origin else None
        if origin is None or origin.parent.parent != ours:
            raise InputError(
                f"The package {name!r} is loaded from {origin}, and Headstart is in {ours}: another "
                f"file or project has the same name.",
                hint="Rename it, take its folder off PYTHONPATH or start elsewhere, or install Headstart "
                "in an environment of its own.",
            )
