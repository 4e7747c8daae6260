"""What a person sees while a benchmark runs: a live view on a terminal, lines otherwise, or nothing."""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from benchmark.work.cell import PretrainUnit
from benchmark.work.queue import Unit

if TYPE_CHECKING:
    from pretrain.engine.progress import Reporter

Record = Mapping[str, Any]
PAUSE = 0.25


class Show:
    """Shows nothing. The driver calls these."""

    def say(self, line: str) -> None:
        """A line that is worth reading."""

    def plan(
        self, units: Sequence[Unit], *, done: Sequence[Record], total: int, workers: int
    ) -> None:
        """These units are about to be run; ``done`` are the records of earlier runs."""

    def heard(self, what: str, unit: Unit, value: Any) -> None:
        """A worker has "begun" a unit, made a "step" (stage, part of it), or has a line to "say"."""

    def over(self, unit: Unit, outcome: Record) -> None:
        """A unit has ended."""

    def done(self, number: int, total: int, record: Record) -> None:
        """A cell has ended, the ``number``-th of ``total``."""

    def close(self) -> None:
        """The run ends, well or not."""


class Lines(Show):
    """One line a cell, and one when a pretraining begins."""

    def __init__(self, reporter: Reporter) -> None:
        self._say = reporter.say

    def say(self, line: str) -> None:
        """Print it."""
        self._say(line)

    def heard(self, what: str, unit: Unit, value: Any) -> None:
        """Print lines, and what takes long."""
        if what == "say":
            self._say(f"{title(unit)}: {value}")
        elif what == "begun" and isinstance(unit.config, PretrainUnit):
            self._say(f"{title(unit)} begins")

    def done(self, number: int, total: int, record: Record) -> None:
        """Print the result."""
        self._say(f"[{number}/{total}] {line(record)}")


class Left:
    """The time left, by what units of the same kind have taken so far."""

    def __init__(self) -> None:
        self._took: dict[str, list[float]] = defaultdict(list)

    def add(self, unit: Unit, seconds: float) -> None:
        """Note what a unit took."""
        self._took[cost_kind(unit)].append(seconds)

    def seconds(self, units: Sequence[Unit], workers: int) -> float | None:
        """Return an estimate for ``units`` on so many workers, or None as long as nothing is known."""
        known = [s for took in self._took.values() for s in took]
        if not known:
            return None
        usual = sum(known) / len(known)
        total = 0.0
        for unit in units:
            took = self._took.get(cost_kind(unit))
            total += sum(took) / len(took) if took else usual
        return total / max(1, min(workers, len(units)))


class Screen(Show):
    """A live table: how many cells are done, what each worker does, the best so far, the time left."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(stderr=True)
        self._left, self._open = Left(), dict[str, Unit]()
        self._running: dict[str, tuple[float, str]] = {}
        self._records: list[Record] = []
        self._total, self._workers, self._drawn = 0, 1, 0.0
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._live.start()

    def say(self, line: str) -> None:
        """Print it above the table."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def plan(
        self, units: Sequence[Unit], *, done: Sequence[Record], total: int, workers: int
    ) -> None:
        """Count."""
        self._open = {unit.key: unit for unit in units}
        self._records, self._total, self._workers = list(done), total, workers
        self._draw(now=True)

    def heard(self, what: str, unit: Unit, value: Any) -> None:
        """Note what runs and how far it is."""
        if what == "say":
            self.say(f"{title(unit)}: {value}")
            return
        began = self._running.get(unit.key, (time.monotonic(), ""))[0]
        where = f"{value[0]} {100 * value[1]:.0f} %" if what == "step" else ""
        self._running[unit.key] = (began, f"{title(unit)}{': ' + where if where else ''}")
        self._draw(now=what == "begun")

    def over(self, unit: Unit, outcome: Record) -> None:
        """Note what it took."""
        began, _ = self._running.pop(unit.key, (time.monotonic(), ""))
        self._left.add(unit, time.monotonic() - began)
        self._open.pop(unit.key, None)
        self._draw(now=True)

    def done(self, number: int, total: int, record: Record) -> None:
        """Keep the record; a failure is also a line."""
        self._records.append(record)
        if record["status"] != "done":
            self.say(line(record))

    def close(self) -> None:
        """Take the table away: the results are printed next."""
        self._live.stop()

    def _draw(self, *, now: bool = False) -> None:
        if not now and time.monotonic() - self._drawn < PAUSE:
            return
        self._drawn = time.monotonic()
        self._live.update(self.render(), refresh=True)

    def render(self) -> Any:
        """Return the table as it stands."""
        from rich.table import Table

        table = Table(show_header=False, box=None, pad_edge=False)
        done = len(self._records)
        head = f"{done} of {self._total} cells done, {len(self._running)} running"
        seconds = self._left.seconds(list(self._open.values()), self._workers)
        if seconds is not None:
            head += f", about {duration(seconds)} left"
        table.add_row(head)
        for began, what in self._running.values():
            table.add_row(f"  {what} ({duration(time.monotonic() - began)})")
        for words in best_so_far(self._records):
            table.add_row(words)
        return table


def make_show(quiet: bool) -> Show:
    """Return what fits: nothing when quiet, a live view on a terminal, else lines."""
    if quiet:
        return Show()
    if sys.stderr.isatty():
        return Screen()
    from pretrain.engine.progress import LineReporter

    return Lines(LineReporter())


def best_so_far(records: Sequence[Record]) -> list[str]:
    """Return one line a task and budget: the row whose seeds have the best mean so far."""
    scores: dict[tuple[str, int], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        if record["status"] == "done":
            scores[record["task"], record["labels"]][record["row"]].append(record["accuracy"])
    said = []
    for (task, labels), rows in scores.items():
        row, found = max(rows.items(), key=lambda item: sum(item[1]) / len(item[1]))
        mean = 100 * sum(found) / len(found)
        seeds = f"{len(found)} seed{'s' * (len(found) > 1)}"
        said.append(f"Best so far, {task}, {labels} labels: {row} {mean:.2f} % ({seeds})")
    return said


def title(unit: Unit) -> str:
    """Return the unit in words."""
    from benchmark.planning.budget import MeasureUnit
    from benchmark.work.cell import CellUnit

    config = unit.config
    if isinstance(config, CellUnit):
        return f"{config.cell.row}, {config.cell.labels} labels, seed {config.cell.seed}"
    if isinstance(config, PretrainUnit):
        return f"pretraining {config.pretrain.strategy}, seed {config.pretrain.seed}"
    if isinstance(config, MeasureUnit):
        return f"looking at {config.pretrain.strategy}"
    return "exporting the best model"


def line(record: Record) -> str:
    """Return a cell's result in words."""
    where = f"{record['row']}, {record['labels']} labels, seed {record['seed']}"
    if record["status"] != "done":
        return f"{where}: {record['status'].upper()}: {record['reason']}"
    return f"{where}: {100 * record['accuracy']:.2f} % ({record['seconds']:.1f} s)"


def cost_kind(unit: Unit) -> str:
    """Return what units that cost about as much have in common."""
    from benchmark.work.cell import CellUnit

    if isinstance(unit.config, CellUnit):
        return f"{unit.shape} {unit.config.cell.base} {unit.config.cell.labels}"
    return unit.shape


def duration(seconds: float) -> str:
    """Return "45 s", "12 min" or "3 h 20 min"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
