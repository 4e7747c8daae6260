"""A benchmark run: measurements first, then every cell that has no result yet, then the best network."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.config import ALL, BUDGET, RunnerConfig
from benchmark.planning.plan import BenchmarkPlan, TaskPlan
from benchmark.runner.base import InProcess, Runner
from benchmark.runner.dask import Dask
from benchmark.runner.progress import LineProgress, Progress
from benchmark.runner.workers import WorkerProcesses
from benchmark.store import Record
from benchmark.work.cell import CellItem, ExportItem
from benchmark.work.measure import MeasureItem
from headstart.errors import HeadstartError, Interrupted, worded
from pretrain.engine.session import Session


@dataclass(frozen=True, kw_only=True)
class BenchmarkRun:
    """The outcome of a run: every cell's record in the grid's order, and notes for the reader."""

    records: list[Record]
    notes: list[str]


def make_runner(config: RunnerConfig, threads: int | None = None) -> Runner:
    """Return the runner. Raises InputError when there is no cluster that answers."""
    if config.engine == "dask":
        return Dask(config.scheduler, config.workers, threads or 1)
    if config.workers > 1:
        return WorkerProcesses(config.workers, threads or 1)
    return InProcess(threads)


def run_benchmark(
    plan: BenchmarkPlan,
    session: Session | None = None,
    *,
    progress: Progress | None = None,
    runner: Runner | None = None,
) -> BenchmarkRun:
    """Run what is not done yet. A failed cell is recorded with its reason and is never dropped.

    Args:
        plan: the benchmark, checked.
        session: threads, and with ``force`` every cell is run again; its reporter shows the progress.
        progress: shows it in the reporter's place.
        runner: does the work in place of the plan's; it is closed at the end.

    Returns:
        Every cell's record. The folder holds them too, and a report is drawn from the folder alone.

    Raises:
        InputError: another benchmark is running in the folder, or random views do not differ.
        Interrupted: Ctrl-C; finished cells are kept, and the same call goes on.
        HeadstartError: the best network could not be written.
    """
    session = session or Session()
    progress = progress or LineProgress(session.reporter)
    try:
        with plan.folder.locked():
            runner = runner or make_runner(plan.runner, session.threads)
            try:
                for task in plan.tasks:
                    task.data.hand_over()
                    runner.share_data(task.data)
                return _run(plan, runner, progress, session.force)
            finally:
                runner.close()
    except Interrupted:
        raise Interrupted(
            f"Interrupted. The finished cells are kept in {plan.folder}.",
            hint="Run the same again to go on.",
        ) from None
    finally:
        progress.close()


def _run(plan: BenchmarkPlan, runner: Runner, progress: Progress, force: bool) -> BenchmarkRun:
    for item, outcome in runner.run(plan.prepare(force=force), progress.on_event):
        progress.complete(item, outcome)
        assert isinstance(item, MeasureItem)
        plan.decide(item, outcome)
    notes = [worded(note, progress.spelling) for note in plan.notes]
    records = GridRecords(plan, keep=not force)
    # Before the cells: the report of an interrupted run can be drawn too.
    plan.folder.write_about(plan.about(notes))
    kept = sum(record["status"] == "done" for record in records.present)
    if kept:
        progress.say(f"{kept} of {records.size} cells are done already in {plan.folder}.")
    items = plan.compile(force=force)
    progress.plan(items, done=records.present, total=records.size, workers=runner.size)
    for item, outcome in runner.run(items, progress.on_event):
        if isinstance(item, CellItem):
            record = records.add(outcome)
            progress.done(len(records.present), records.size, record)
        progress.complete(item, outcome)
    records.write()
    if plan.runner.export_best is not None:
        notes += _export(plan, runner, records.present)
        plan.folder.write_notes(notes)
    return BenchmarkRun(records=records.present, notes=notes)


def _export(plan: BenchmarkPlan, runner: Runner, records: list[Record]) -> list[str]:
    notes = []
    for number, task in enumerate(plan.tasks, start=1):
        out = plan.folder.best(number, len(plan.tasks))
        item, note = _best_network(task, records, out, plan.runner.export_best)
        for _, outcome in runner.run([item]):
            if outcome["status"] != "done":
                raise HeadstartError(f"The best model was not written: {outcome['reason']}")
        notes.append(note)
    return notes


def _best_network(
    plan: TaskPlan, records: Sequence[Record], out: Path, labels: str | None
) -> tuple[ExportItem, str]:
    """Return the item that writes the network with the best mean at the largest budget, and a note on it."""
    # Classical models take no part: there is nothing of theirs to write. A frozen random encoder does.
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


class GridRecords:
    """The records of the grid: written one a cell as they come, and all together in results.jsonl."""

    def __init__(self, plan: BenchmarkPlan, *, keep: bool) -> None:
        """keep: take over the records of earlier runs."""
        self._folder = plan.folder
        self._records: dict[str, Record | None] = {}
        self._fields: dict[str, Record] = {}
        for task in plan.tasks:
            for cell in task.cells:
                identity, kept = task.identity(cell), task.finished(cell) if keep else None
                self._records[identity] = task.skipped_record(cell) or kept
                self._fields[identity] = task.record_fields(cell)
        self.write()

    @property
    def size(self) -> int:
        """The number of cells in the grid."""
        return len(self._records)

    @property
    def present(self) -> list[Record]:
        """The records that are there, in the grid's order."""
        return [record for record in self._records.values() if record is not None]

    def add(self, outcome: Record) -> Record:
        """Take a cell's outcome, write it, and return the record."""
        record = {**outcome, **self._fields[outcome["id"]]}
        # Also of a worker elsewhere, which may have written to a disk of its own.
        self._folder.write_cell(record)
        self._records[record["id"]] = record
        self.write()
        return record

    def write(self) -> None:
        """Write results.jsonl."""
        self._folder.write_results(self.present)
