"""The table of heads: one file and one row each."""

from __future__ import annotations

from headstart.errors import check_known
from transfer.heads import hidden, knn, linear, logistic
from transfer.heads.base import Head, SolvedHead

HEADS: dict[str, Head] = {row.name: row for row in (linear.ROW, hidden.ROW, logistic.ROW, knn.ROW)}


def head_of(name: str) -> Head:
    """Return the head called ``name``. Raises InputError."""
    check_known(name, HEADS, "head")
    return HEADS[name]


def usual_above(head: str, reuse: int | None) -> str:
    """Return what stands above the kept blocks by default: fresh blocks below a solved head stay random."""
    return "drop" if head_of(head).solved and reuse else "reset"


__all__ = ["HEADS", "Head", "SolvedHead", "head_of", "usual_above"]
