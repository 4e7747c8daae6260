"""The engine that runs everything in this process, one unit after the other."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from benchmark.data import DataConfig, Loaded
from benchmark.runner.workers import Heard, ignore
from benchmark.work.cell import Workshop
from benchmark.work.queue import Queue, Unit
from headstart.errors import Interrupted
from pretrain.engine.progress import Reporter


class Engine(Protocol):
    """What runs units: this process, a pool of processes, or a cluster."""

    @property
    def size(self) -> int:
        """How many units run at a time."""

    def lend(self, config: DataConfig, loaded: Loaded) -> None:
        """Offer data that this process has loaded already."""

    def run(
        self, units: Sequence[Unit], heard: Heard = ignore
    ) -> Iterator[tuple[Unit, dict[str, Any]]]:
        """Yield each unit with its outcome as it ends. Raises Interrupted."""

    def close(self) -> None:
        """End what was started."""


class Serial:
    """This process. ``threads`` None leaves a TensorFlow that runs already as it is."""

    size = 1

    def __init__(self, threads: int | None = None, here: Workshop | None = None) -> None:
        running = threads is None and "tensorflow" in sys.modules
        self.here = here or Workshop(threads=None if running else threads or 1)

    def lend(self, config: DataConfig, loaded: Loaded) -> None:
        """Take the data as they are."""
        self.here.data.put(config, loaded)

    def run(
        self, units: Sequence[Unit], heard: Heard = ignore
    ) -> Iterator[tuple[Unit, dict[str, Any]]]:
        """Yield each unit with its outcome as it ends. Raises Interrupted."""
        queue = Queue(units)
        while (unit := queue.take(set(), set())) is not None:
            heard("begun", unit, None)
            try:
                outcome = unit.config.run(self.here, _Telling(unit, heard))
            except KeyboardInterrupt:
                raise Interrupted("Interrupted.") from None
            yield from queue.over(unit, outcome)

    def close(self) -> None:
        """Nothing was started."""


class _Telling(Reporter):
    """Hands on what a training says."""

    def __init__(self, unit: Unit, heard: Heard) -> None:
        self._unit, self._heard = unit, heard
        self._name, self._steps = "", 1

    def stage(self, name: str, *, steps: int, **_: Any) -> None:
        self._name, self._steps = name, max(1, steps)

    def step(self, done: int, **_: Any) -> None:
        self._heard("step", self._unit, (self._name, done / self._steps))

    def say(self, line: str) -> None:
        self._heard("say", self._unit, line)
