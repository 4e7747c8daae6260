"""The table of heads: one file and one row each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headstart.errors import check_known
from pretrain.encoders import ARCHITECTURES
from transfer.heads import hidden, knn, linear, logistic, ridge
from transfer.heads.base import Head, SolvedHead

HEADS: dict[str, Head] = {
    row.name: row for row in (linear.ROW, hidden.ROW, logistic.ROW, ridge.ROW, knn.ROW)
}


def head_of(name: str) -> Head:
    """Return the head called ``name``. Raises InputError."""
    check_known(name, HEADS, "head")
    return HEADS[name]


def usual_head(encoder: Mapping[str, Any], target: str) -> str:
    """Return the head by default: of an encoder whose weights are computed one that is solved."""
    if not ARCHITECTURES[encoder["architecture"]].computed:
        return linear.ROW.name
    return ridge.ROW.name if target in ridge.ROW.targets else logistic.ROW.name


def usual_above(head: str, reuse: int | None) -> str:
    """Return what stands above the kept blocks by default: fresh blocks below a solved head stay random."""
    return "drop" if head_of(head).solved and reuse else "reset"


__all__ = ["HEADS", "Head", "SolvedHead", "head_of", "usual_above", "usual_head"]
