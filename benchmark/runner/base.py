"""The protocol of the runners, and what they report while an item runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from benchmark.data import BenchmarkData
from benchmark.work.queue import Outcome, WorkItem
from pretrain.engine.progress import Reporter

STEP_SECONDS = 0.25
"""The least time between two reports of a stage's progress."""

OnEvent = Callable[[str, WorkItem, Any], None]
"""Called with the event's kind, the item and the payload: "begun" with None, "step" with a stage and its part
that is done, "say" with a line."""


def ignore(kind: str, item: WorkItem, payload: Any) -> None:
    """Do nothing with an event."""


class Runner(Protocol):
    """A place where items are executed: this process, worker processes, or a cluster."""

    @property
    def size(self) -> int:
        """The number of items that run at a time."""

    def share_data(self, data: BenchmarkData) -> None:
        """Offer data that this process has loaded already."""

    def run(
        self, items: Sequence[WorkItem], on_event: OnEvent = ignore
    ) -> Iterator[tuple[WorkItem, Outcome]]:
        """Yield each item with its outcome as it ends. Raises Interrupted."""

    def close(self) -> None:
        """End what was started."""


class EventReporter(Reporter):
    """Turns the progress of a training into events: ``send(kind, payload)``."""

    def __init__(self, send: Callable[[str, Any], None]) -> None:
        self._send = send
        self._stage, self._steps, self._last = "", 1, 0.0

    def stage(self, name: str, *, steps: int, **_: Any) -> None:
        """Remember how many steps there are."""
        self._stage, self._steps = name, max(1, steps)

    def step(self, done: int, **_: Any) -> None:
        """Send the part of the stage that is done, now and then."""
        if time.monotonic() - self._last > STEP_SECONDS:
            self._last = time.monotonic()
            self._send("step", (self._stage, done / self._steps))

    def say(self, line: str) -> None:
        """Send the line."""
        self._send("say", line)
