"""The best network of a benchmark, trained once more and written for stock Keras."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from benchmark.config import ALL, BUDGET
from benchmark.planning.plan import TaskPlan
from benchmark.store import Record
from benchmark.work.cell import CellItem, ExportItem
from headstart.errors import HeadstartError


def best_network(
    plan: TaskPlan, records: Sequence[Record], out: Path, labels: str = BUDGET
) -> tuple[ExportItem, str]:
    """Choose the network with the best mean over the seeds at the largest budget, and its first seed.

    Returns the item that writes it, and a note on the choice.

    Classical models take no part: there is nothing of theirs to write. A frozen random encoder does.

    Args:
        plan: of the data set.
        records: of the whole benchmark.
        out: the .keras file to write.
        labels: BUDGET or ALL.

    Raises:
        HeadstartError: no network has a result there.
    """
    own = [r for r in records if r["task"] == plan.task.name and r["status"] == "done"]
    budget = max((r["labels"] for r in own), default=0)
    scores: dict[str, list[float]] = defaultdict(list)
    for record in own:
        if record["labels"] == budget:
            scores[record["row"]].append(record["accuracy"])
    means = {row: sum(found) / len(found) for row, found in scores.items()}
    wanted = [
        cell
        for cell in plan.cells
        if cell.kind != "raw" and cell.labels == budget and cell.row in means
    ]
    if not wanted:
        raise HeadstartError("No network has a result, so there is no best model to write.")
    cell = max(wanted, key=lambda c: means[c.row])  # the first of the best, and of its seeds
    (item,) = [item for item in plan.compile([cell]) if isinstance(item, CellItem)]
    amount = f"{budget} labels of seed {cell.seed}" if labels == BUDGET else "all labels"
    note = (
        f"Wrote {out}: {cell.row}, trained on {amount}; it was chosen by its mean test accuracy, "
        f"{100 * means[cell.row]:.2f} % with {budget} labels, which flatters it a little."
    )
    top = max(means, key=lambda row: means[row])
    if means[top] > means[cell.row]:
        note += f" {top} had {100 * means[top]:.2f} %, and is no network."
    export = ExportItem(
        key=f"export {out.name}",
        data=item.data,
        environment=item.environment,
        cell=item,
        out=out,
        everything=labels == ALL,
    )
    return export, note
