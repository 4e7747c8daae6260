"""Progress of a benchmark: a live view on a terminal, lines otherwise, or nothing."""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from benchmark.work.cell import PretrainItem
from benchmark.work.queue import WorkItem
from headstart.errors import Spelling, python_spelling, worded

if TYPE_CHECKING:
    from pretrain.engine.progress import Reporter

Record = Mapping[str, Any]
PAUSE = 0.25


class Progress:
    """Shows nothing; the base of those that show something. A run calls these methods.

    spelling: how lines spell arguments (headstart.errors).
    """

    spelling: Spelling = staticmethod(python_spelling)

    def say(self, line: str) -> None:
        """A line that is worth reading."""

    def plan(
        self, items: Sequence[WorkItem], *, done: Sequence[Record], total: int, workers: int
    ) -> None:
        """These items are about to be run; ``done`` are the records of earlier runs."""

    def on_event(self, kind: str, item: WorkItem, payload: Any) -> None:
        """A worker has "begun" an item, made a "step" (stage, part of it), or has a line to "say"."""

    def complete(self, item: WorkItem, outcome: Record) -> None:
        """An item has ended."""

    def done(self, number: int, total: int, record: Record) -> None:
        """A cell has ended, the ``number``-th of ``total``."""

    def close(self) -> None:
        """The run ends, well or not."""


class LineProgress(Progress):
    """One line a cell, and one when a pretraining begins."""

    def __init__(self, reporter: Reporter) -> None:
        self._say = reporter.say
        self.spelling = getattr(reporter, "spelling", python_spelling)

    def say(self, line: str) -> None:
        """Print it."""
        self._say(line)

    def on_event(self, kind: str, item: WorkItem, payload: Any) -> None:
        """Print lines, and what takes long."""
        if kind == "say":
            self._say(f"{item.title}: {payload}")
        elif kind == "begun" and isinstance(item, PretrainItem):
            self._say(f"{item.title} begins")

    def done(self, number: int, total: int, record: Record) -> None:
        """Print the result."""
        self._say(f"[{number}/{total}] {line(record)}")


class TimeLeft:
    """The time left, by what items of the same kind have taken so far."""

    def __init__(self) -> None:
        self._took: dict[str, list[float]] = defaultdict(list)

    def add(self, item: WorkItem, seconds: float) -> None:
        """Note what an item took."""
        self._took[item.cost_kind].append(seconds)

    def seconds(self, items: Sequence[WorkItem], workers: int) -> float | None:
        """Return an estimate for ``items`` shared by ``workers``, or None while nothing is known."""
        known = [s for took in self._took.values() for s in took]
        if not known:
            return None
        total = sum(fmean(self._took.get(item.cost_kind, known)) for item in items)
        return total / max(1, min(workers, len(items)))


class LiveProgress(Progress):
    """A live table: how many cells are done, what each worker does, the best so far, the time left."""

    def __init__(self, spelling: Spelling = python_spelling) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console, self.spelling = Console(stderr=True), spelling
        self._left, self._open = TimeLeft(), dict[str, WorkItem]()
        self._running: dict[str, tuple[float, str]] = {}
        self._records: list[Record] = []
        self._total, self._workers, self._drawn = 0, 1, 0.0
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._live.start()

    def say(self, line: str) -> None:
        """Print it above the table."""
        text = worded(line, self.spelling)
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def plan(
        self, items: Sequence[WorkItem], *, done: Sequence[Record], total: int, workers: int
    ) -> None:
        """Count."""
        self._open = {item.key: item for item in items}
        self._records, self._total, self._workers = list(done), total, workers
        self._draw(now=True)

    def on_event(self, kind: str, item: WorkItem, payload: Any) -> None:
        """Note what runs and how far it is."""
        if kind == "say":
            self.say(f"{item.title}: {payload}")
            return
        began, _ = self._running.get(item.key, (time.monotonic(), ""))
        where = f": {payload[0]} {100 * payload[1]:.0f} %" if kind == "step" else ""
        self._running[item.key] = (began, item.title + where)
        self._draw(now=kind == "begun")

    def complete(self, item: WorkItem, outcome: Record) -> None:
        """Note what it took."""
        began, _ = self._running.pop(item.key, (time.monotonic(), ""))
        self._left.add(item, time.monotonic() - began)
        self._open.pop(item.key, None)
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


def make_progress(quiet: bool, spelling: Spelling = python_spelling) -> Progress:
    """Return the progress that fits: nothing when quiet, a live view on a terminal, else lines."""
    if quiet:
        return Progress()
    if sys.stderr.isatty():
        return LiveProgress(spelling)
    from pretrain.engine.progress import LineReporter

    return LineProgress(LineReporter(spelling=spelling))


def best_so_far(records: Sequence[Record]) -> list[str]:
    """Return one line a task and budget: the row whose seeds have the best mean so far."""
    scores: dict[tuple[str, int], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        if record["status"] == "done":
            scores[record["task"], record["labels"]][record["row"]].append(record["accuracy"])
    said = []
    for (task, labels), rows in scores.items():
        row, found = max(rows.items(), key=lambda item: fmean(item[1]))
        words = f"{row} {100 * fmean(found):.2f} % ({len(found)} seed{'s' * (len(found) > 1)})"
        said.append(f"Best so far, {task}, {labels} labels: {words}")
    return said


def line(record: Record) -> str:
    """Return a cell's result in words."""
    where = f"{record['row']}, {record['labels']} labels, seed {record['seed']}"
    if record["status"] != "done":
        return f"{where}: {record['status'].upper()}: {record['reason']}"
    return f"{where}: {100 * record['accuracy']:.2f} % ({record['seconds']:.1f} s)"


def duration(seconds: float) -> str:
    """Return "45 s", "12 min" or "3 h 20 min"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
