"""The runner that does everything in this process, one item after the other."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from functools import partial

from benchmark.data import BenchmarkData
from benchmark.runner.base import EventReporter, OnEvent, ignore
from benchmark.work.context import WorkerContext
from benchmark.work.queue import Outcome, Queue, WorkItem
from headstart.errors import Interrupted


class InProcess:
    """This process. ``threads`` None leaves a TensorFlow that runs already as it is."""

    size = 1

    def __init__(self, threads: int | None = None) -> None:
        running = threads is None and "tensorflow" in sys.modules
        self.context = WorkerContext(threads=None if running else threads or 1)

    def share_data(self, data: BenchmarkData) -> None:
        """Take the data as they are."""
        self.context.data.put(data)

    def run(
        self, items: Sequence[WorkItem], on_event: OnEvent = ignore
    ) -> Iterator[tuple[WorkItem, Outcome]]:
        """Yield each item with its outcome as it ends. Raises Interrupted."""
        queue = Queue(items)
        while (item := queue.take(set(), set())) is not None:
            on_event("begun", item, None)
            # Bound as an argument: the loop's variable changes.
            reporter = EventReporter(
                partial(lambda i, kind, payload: on_event(kind, i, payload), item)
            )
            try:
                outcome = item.run(self.context, reporter)
            except KeyboardInterrupt:
                raise Interrupted("Interrupted.") from None
            yield from queue.complete(item, outcome)

    def close(self) -> None:
        """Nothing was started."""
