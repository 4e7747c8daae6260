"""The best model of a benchmark, trained once more and written for stock Keras."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.planning.plan import Benchmark
from benchmark.work.cell import CellUnit, ExportUnit
from benchmark.work.queue import Unit
from headstart.errors import HeadstartError

BUDGET, ALL = "budget", "all"
"""What --export-best trains on: the labels of the largest budget, or all of the training part."""


@dataclass(frozen=True, kw_only=True)
class Best:
    """The unit that writes the model, and what is to be said of the choice."""

    unit: Unit
    row: str
    said: str


def best(
    bench: Benchmark, records: Sequence[dict[str, Any]], out: Path, labels: str = BUDGET
) -> Best:
    """Choose the network with the best mean over the seeds at the largest budget, and its first seed.

    Classical models take no part: there is nothing of theirs to write. A frozen random encoder does.
    Raises HeadstartError when no network has a result there.
    """
    own = [r for r in records if r["task"] == bench.task.name and r["status"] == "done"]
    budget = max((r["labels"] for r in own), default=0)
    scores: dict[str, list[float]] = defaultdict(list)
    for record in own:
        if record["labels"] == budget:
            scores[record["row"]].append(record["accuracy"])
    means = {row: sum(found) / len(found) for row, found in scores.items()}
    wanted = [
        cell
        for cell in bench.cells
        if cell.kind != "raw" and cell.labels == budget and cell.row in means
    ]
    if not wanted:
        raise HeadstartError("No network has a result, so there is no best model to write.")
    # The first of the best, and of its seeds.
    cell = max(wanted, key=lambda c: (means[c.row], -bench.cells.index(c)))
    (unit,) = [u.config for u in bench.units([cell]) if isinstance(u.config, CellUnit)]
    amount = f"{budget} labels of seed {cell.seed}" if labels == BUDGET else "all labels"
    said = (
        f"Wrote {out}: {cell.row}, trained on {amount}; it was chosen by its mean test accuracy, "
        f"{100 * means[cell.row]:.2f} % with {budget} labels, which flatters it a little."
    )
    top = max(means, key=lambda row: means[row])
    if means[top] > means[cell.row]:
        said += f" {top} had {100 * means[top]:.2f} %, and is no network."
    export = ExportUnit(cell=unit, out=str(out), everything=labels == ALL)
    return Best(unit=Unit(key="export", config=export), row=cell.row, said=said)
