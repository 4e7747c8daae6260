"""The grid: which cells there are, and what each one's identity is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

SCRATCH = "scratch"
RANDOM = "frozen random encoder"


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One number of the table: a row at a label budget and a seed.

    kind: "raw" (a classical model), "fresh" (scratch or a frozen random encoder) or "strategy".
    """

    row: str
    kind: str
    labels: int
    seed: int

    def identity(self, surroundings: dict[str, Any]) -> str:
        """Return 16 hex digits over the cell and all that decides its result."""
        text = json.dumps([asdict(self), surroundings], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def cells(
    strategies: Sequence[str], baselines: Sequence[str], labels: Sequence[int], seeds: Sequence[int]
) -> list[Cell]:
    """Return the cells in the order in which they run: cheap rows first, seeds innermost."""
    rows = [(name, "raw") for name in baselines]
    rows += [(RANDOM, "fresh"), (SCRATCH, "fresh")]
    rows += [(name, "strategy") for name in strategies]
    return [
        Cell(row=row, kind=kind, labels=budget, seed=seed)
        for row, kind in rows
        for budget in labels
        for seed in seeds
    ]
