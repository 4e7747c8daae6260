"""Progress of a run: a live bar on a terminal, one line an epoch when piped, or nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any, TextIO

from headstart.errors import Spelling, option_spelling, python_spelling, worded


class Reporter:
    """Shows nothing. The engine calls these methods; subclasses show them."""

    def stage(self, name: str, *, steps: int, done: int, epochs: int, examples: int) -> None:
        """A stage begins: ``steps`` updates in all, ``done`` of them before an interruption."""

    def step(self, done: int, *, epoch: int, loss: float, rate: float) -> None:
        """``done`` updates of the stage are over; ``rate`` is examples a second, ``loss`` the epoch's."""

    def epoch(self, row: Mapping[str, Any], *, rate: float) -> None:
        """An epoch is over; ``row`` holds its stage, number and metrics."""

    def say(self, line: str) -> None:
        """A line that is worth reading."""

    def close(self) -> None:
        """The run ends, well or not."""


class LineReporter(Reporter):
    """One line an epoch. ``spelling``: how lines spell arguments (headstart.errors)."""

    def __init__(self, file: TextIO | None = None, *, spelling: Spelling = python_spelling) -> None:
        self.file, self.spelling = file or sys.stderr, spelling
        self._epochs = 0

    def stage(self, name: str, *, steps: int, done: int, epochs: int, examples: int) -> None:
        """Remember how many epochs there are."""
        self._epochs = epochs

    def epoch(self, row: Mapping[str, Any], *, rate: float) -> None:
        """Print the row."""
        self.say(
            f"{row['stage']} epoch {row['epoch']}/{self._epochs}: {metrics_text(row)}, {rate:,.0f} images/s"
        )

    def say(self, line: str) -> None:
        """Print the line."""
        print(worded(line, self.spelling), file=self.file, flush=True)


class BarReporter(Reporter):
    """A live bar with epoch, loss, validation metric, images/s and time left."""

    def __init__(self, *, spelling: Spelling = python_spelling) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[text]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self.spelling = spelling
        self._task: Any = None
        self._name, self._epochs, self._last = "", 0, ""

    def stage(self, name: str, *, steps: int, done: int, epochs: int, examples: int) -> None:
        """Add a bar; the first begins the live display."""
        self._progress.start()
        self._name, self._epochs, self._last = name, epochs, ""
        self._task = self._progress.add_task(name, total=steps, completed=done, text="")

    def step(self, done: int, *, epoch: int, loss: float, rate: float) -> None:
        """Move the bar."""
        text = f"epoch {epoch}/{self._epochs} loss {loss:.4f}{self._last} {rate:,.0f} images/s"
        self._progress.update(self._task, completed=done, text=text)

    def epoch(self, row: Mapping[str, Any], *, rate: float) -> None:
        """Keep the validation metrics and probes in sight during the next epoch."""
        shown = {k: v for k, v in row.items() if k.startswith(("val_", "probe_"))}
        self._last = "".join(f" {k} {v:.4f}" for k, v in shown.items())
        text = f"epoch {row['epoch']}/{self._epochs} {metrics_text(row)} {rate:,.0f} images/s"
        self._progress.update(self._task, text=text)

    def say(self, line: str) -> None:
        """Print the line above the bars."""
        from rich.markup import escape

        text = escape(worded(line, self.spelling))
        self._progress.console.print(text, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Leave the bars as they stand."""
        self._progress.stop()


def in_notebook() -> bool:
    """Say whether this process is a notebook's kernel, which shows HTML."""
    shell = sys.modules.get("IPython") and sys.modules["IPython"].get_ipython()
    return bool(shell) and hasattr(shell, "kernel")


class NotebookReporter(LineReporter):
    """A bar a stage in a notebook's output, with epoch, loss and examples a second."""

    def __init__(self, *, spelling: Spelling = python_spelling) -> None:
        super().__init__(sys.stdout, spelling=spelling)
        self._name, self._steps, self._shown_at = "", 1, 0.0
        self._bar: Any = None

    def stage(self, name: str, *, steps: int, done: int, epochs: int, examples: int) -> None:
        """Show an empty bar."""
        from IPython.display import HTML, display

        self._name, self._steps, self._epochs = name, max(1, steps), epochs
        self._bar = display(HTML(self._page(done, "")), display_id=True)

    def step(self, done: int, *, epoch: int, loss: float, rate: float) -> None:
        """Move the bar, twice a second at most: every update travels to a browser."""
        if time.monotonic() - self._shown_at > 0.5:
            self._update(
                done, f"epoch {epoch}/{self._epochs}, loss {loss:.4f}, {rate:,.0f} examples/s"
            )

    def epoch(self, row: Mapping[str, Any], *, rate: float) -> None:
        """Show the epoch's metrics."""
        done = self._steps * row["epoch"] // max(1, self._epochs)
        self._update(done, f"epoch {row['epoch']}/{self._epochs}, {metrics_text(row)}")

    def _update(self, done: int, text: str) -> None:
        from IPython.display import HTML

        self._shown_at = time.monotonic()
        if self._bar is not None:
            self._bar.update(HTML(self._page(done, text)))

    def _page(self, done: int, text: str) -> str:
        from html import escape

        bar = f"<progress value='{done}' max='{self._steps}'></progress>"
        return f"{escape(self._name)} {bar} {escape(text)}"


def make_reporter(quiet: bool, spelling: Spelling = option_spelling) -> Reporter:
    """Return the reporter that fits: nothing when quiet, a bar on a terminal, else lines."""
    if quiet:
        return Reporter()
    kind = BarReporter if sys.stderr.isatty() else LineReporter
    return kind(spelling=spelling)


def metrics_text(row: Mapping[str, Any]) -> str:
    """Return "loss 0.1234, val_accuracy 0.9876" of a history row."""
    return ", ".join(f"{k} {v:.4f}" for k, v in row.items() if k not in ("stage", "epoch"))


class Meter:
    """Examples a second since it was made."""

    def __init__(self) -> None:
        self._examples, self._start = 0, time.perf_counter()

    def add(self, examples: int) -> float:
        """Count ``examples`` and return the rate so far."""
        self._examples += examples
        return self._examples / max(1e-9, time.perf_counter() - self._start)
