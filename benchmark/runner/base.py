"""The common part of all runners, the runner in this process, and its reports while an item runs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from benchmark.data import BenchmarkData
from benchmark.work.context import WorkerContext
from benchmark.work.queue import OnEvent, Outcome, Queue, WorkItem
from headstart.errors import Interrupted
from pretrain.engine.progress import Reporter

STEP_SECONDS = 0.25
"""The least time between two reports of a stage's progress."""


class Runner:
    """A place where items are executed: this process, worker processes, or a cluster."""

    @property
    def size(self) -> int:
        """The number of items that run at a time."""
        return 1

    def share_data(self, data: BenchmarkData) -> None:
        """Take data that this process has loaded already; other processes load their own."""

    def run(
        self, items: Sequence[WorkItem], on_event: OnEvent = lambda *_: None
    ) -> Iterator[tuple[WorkItem, Outcome]]:
        """Yield each item with its outcome as it ends. Raises Interrupted on Ctrl-C."""
        try:
            yield from self._work(Queue(items), on_event)
        except KeyboardInterrupt:
            raise Interrupted("Interrupted.") from None

    def _work(self, queue: Queue, on_event: OnEvent) -> Iterator[tuple[WorkItem, Outcome]]:
        raise NotImplementedError

    def close(self) -> None:
        """End what was started."""


class InProcess(Runner):
    """This process. ``threads`` None leaves a TensorFlow that runs already as it is."""

    def __init__(self, threads: int | None = None) -> None:
        running = threads is None and "tensorflow" in sys.modules
        self.context = WorkerContext(threads=None if running else threads or 1)

    def share_data(self, data: BenchmarkData) -> None:
        """Take the data as they are."""
        self.context.data.put(data)

    def _work(self, queue: Queue, on_event: OnEvent) -> Iterator[tuple[WorkItem, Outcome]]:
        while (item := queue.take(set(), set())) is not None:
            on_event("begun", item, None)
            # Bound as an argument: the loop's variable changes.
            send = partial(lambda i, kind, payload: on_event(kind, i, payload), item)
            yield from queue.complete(item, item.run(self.context, EventReporter(send)))


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
