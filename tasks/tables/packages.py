"""The packages that tables take, which a plain installation does not have."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from headstart.errors import InputError


def needed(package: str, purpose: str) -> Any:
    """Return an imported package of the extra ``tables``.

    Args:
        package: its name.
        purpose: what takes it, as the beginning of a sentence: "Reading a CSV file".

    Raises:
        InputError: it is not installed; the hint names the extra.
    """
    try:
        return import_module(package)
    except ImportError:
        raise InputError(
            f"{purpose} takes {package}, which this environment does not have.",
            hint="Run: pip install 'headstart[tables]'",
        ) from None
