"""The grid: its cells, and the identity of each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

SCRATCH = "scratch"
VIEWS = "scratch with views"
RANDOM = "frozen random encoder"


def short_hash(parts: Any, digits: int = 16) -> str:
    """Return hex digits over JSON."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:digits]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One number of a table: a row at a label budget and a seed.

    row: its name in the table: ``base``, with encoder and mode behind it when there are several.
    base: SCRATCH, VIEWS, RANDOM, a strategy's name or a classical model's.
    kind: "raw" (a classical model), "fresh" (from scratch or a frozen random encoder) or "strategy".
    task: the name of the labelled data.
    encoder, mode: the architecture and the way of the transfer; None of classical models.
    """

    row: str
    kind: str
    labels: int
    seed: int
    base: str
    task: str = ""
    encoder: str | None = None
    mode: str | None = None

    def identity(self, decisive: dict[str, Any]) -> str:
        """Return 16 hex digits over the cell and ``decisive``, JSON of all else that decides its result.

        Names in tables do not count: they change when a second encoder is added.
        """
        return short_hash([[self.kind, self.base, self.labels, self.seed], decisive])


@dataclass(frozen=True, kw_only=True)
class Arm:
    """The common part of all rows of one comparison; their names end in ``suffix``.

    views: whether there is a row from scratch that is trained on random views.
    """

    encoder: str | None = None
    mode: str | None = None
    strategies: Sequence[str] = ()
    suffix: str = ""
    views: bool = False


def cells(
    arms: Sequence[Arm],
    baselines: Sequence[str],
    labels: Sequence[int],
    seeds: Sequence[int],
    task: str = "",
) -> list[Cell]:
    """Return the cells in the order in which they run: cheap rows first, seeds innermost."""
    rows: list[dict[str, Any]] = [{"row": n, "base": n, "kind": "raw"} for n in baselines]
    for arm in arms:
        fresh = (RANDOM, SCRATCH, *([VIEWS] if arm.views else []))
        kinds = dict.fromkeys(fresh, "fresh") | dict.fromkeys(arm.strategies, "strategy")
        common = {"encoder": arm.encoder, "mode": arm.mode}
        rows += [{"row": n + arm.suffix, "base": n, "kind": kinds[n], **common} for n in kinds]
    return [
        Cell(**row, task=task, labels=budget, seed=seed)
        for row, budget, seed in product(rows, labels, seeds)
    ]
