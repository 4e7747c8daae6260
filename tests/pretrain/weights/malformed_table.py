"""The table of malformed files, and short ways of adding to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from malformed import Draft, Tree, instead

Case = tuple[str, Callable[[Path], Any]]
CASES: dict[str, Case] = {}
"""Name -> (pattern that the refusal must contain, what writes the file)."""
K1, K2, B1 = "block1/dense/kernel", "block2/dense/kernel", "block1/dense/bias"


def case(name: str, says: str, image: bytes | Callable[[], bytes]) -> None:
    def build(path: Path) -> None:
        path.write_bytes(image if isinstance(image, bytes) else image())

    assert name not in CASES
    CASES[name] = (says, build)


def draft(name: str, says: str, **changes: Any) -> None:
    case(name, says, lambda: Draft(**changes).image())


def tree(name: str, says: str, *changes: Tree) -> None:
    case(name, says, lambda: Draft(after=list(changes)).image())


def typed(name: str, says: str, make: Callable[[Any, str], Any]) -> None:
    """Put something else in the place of the first kernel."""
    tree(name, says, instead(K1, make))
