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
        self._name, self._steps, self._epochs = "", 1, 0

    def stage(self, name: str, *, steps: int, done: int, epochs: int, examples: int) -> None:
        """Remember what there is to do."""
        self._name, self._steps, self._epochs = name, max(1, steps), epochs

    def epoch(self, row: Mapping[str, Any], *, rate: float) -> None:
        """Print the row."""
        self.say(f"{row['stage']} {self._at(row)}: {metrics_text(row)}, {rate:,.0f} images/s")

    def say(self, line: str) -> None:
        """Print the line."""
        print(worded(line, self.spelling), file=self.file, flush=True)

    def _at(self, row: Mapping[str, Any]) -> str:
        return f"epoch {row['epoch']}/{self._epochs}"


class BarReporter(LineReporter):
    """A live bar with epoch, loss, validation metric, images/s and time left."""

    def __init__(self, *, spelling: Spelling = python_spelling) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        super().__init__(spelling=spelling)
        texts = TextColumn("{task.description}"), TextColumn("{task.fields[text]}")
        columns = (texts[0], BarColumn(), texts[1], TimeRemainingColumn())
        self._progress = Progress(*columns, console=Console(stderr=True))
        self._task: Any = None
        self._last = ""

    def stage(self, name: str, *, steps: int, done: int, epochs: int, examples: int) -> None:
        """Add a bar; the first begins the live display."""
        self._progress.start()
        self._epochs, self._last = epochs, ""
        self._task = self._progress.add_task(name, total=steps, completed=done, text="")

    def step(self, done: int, *, epoch: int, loss: float, rate: float) -> None:
        """Move the bar."""
        text = f"epoch {epoch}/{self._epochs} loss {loss:.4f}{self._last} {rate:,.0f} images/s"
        self._progress.update(self._task, completed=done, text=text)

    def epoch(self, row: Mapping[str, Any], *, rate: float) -> None:
        """Keep the validation metrics and probes in sight during the next epoch."""
        shown = {k: v for k, v in row.items() if k.startswith(("val_", "probe_"))}
        self._last = "".join(f" {k} {v:.4f}" for k, v in shown.items())
        text = f"{self._at(row)} {metrics_text(row)} {rate:,.0f} images/s"
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
        self._shown_at = 0.0
        self._bar: Any = None

    def stage(self, name: str, *, steps: int, done: int, epochs: int, examples: int) -> None:
        """Show an empty bar."""
        super().stage(name, steps=steps, done=done, epochs=epochs, examples=examples)
        self._bar = None
        self._show(done, "")

    def step(self, done: int, *, epoch: int, loss: float, rate: float) -> None:
        """Move the bar, twice a second at most: every update travels to a browser."""
        if time.monotonic() - self._shown_at > 0.5:
            self._show(
                done, f"epoch {epoch}/{self._epochs}, loss {loss:.4f}, {rate:,.0f} examples/s"
            )

    def epoch(self, row: Mapping[str, Any], *, rate: float) -> None:
        """Show the epoch's metrics."""
        done = self._steps * row["epoch"] // max(1, self._epochs)
        self._show(done, f"{self._at(row)}, {metrics_text(row)}")

    def _show(self, done: int, text: str) -> None:
        from html import escape

        from IPython.display import HTML, display

        bar = f"<progress value='{done}' max='{self._steps}'></progress>"
        page = HTML(f"{escape(self._name)} {bar} {escape(text)}")
        if self._bar is None:
            self._bar = display(page, display_id=True)
        else:
            self._shown_at = time.monotonic()
            self._bar.update(page)


def make_reporter(quiet: bool, spelling: Spelling = option_spelling) -> Reporter:
    """Return the reporter that fits: nothing when quiet, a bar on a terminal, else lines."""
    if quiet:
        return Reporter()
    kind = BarReporter if sys.stderr.isatty() else LineReporter
    return kind(spelling=spelling)


def metrics_text(row: Mapping[str, Any]) -> str:
    """Return "loss 0.1234, val_accuracy 0.9876" of a history row."""
    return ", ".join(f"{k} {v:.4f}" for k, v in row.items() if k not in ("stage", "epoch"))
