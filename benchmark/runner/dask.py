"""Running units on a Dask cluster: one that is there already, or worker processes of this machine.

All workers need the same environment, the data under the same names, and the benchmark's folder on a disk
that they share (the weights pass through it). One without a shared disk does the pretraining again for
itself: the results are the same.
"""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Iterator, Sequence
from typing import Any

from benchmark.data import DataConfig, Loaded
from benchmark.runner.workers import Heard, Pool, ignore
from benchmark.work.queue import Config, Queue, Unit, failure
from headstart.errors import HeadstartError, InputError, Interrupted

CONNECT_SECONDS = 30
LOOK_SECONDS = 5


class Dask:
    """A cluster: ``scheduler`` is its address; None starts ``workers`` processes of one thread here."""

    def __init__(self, scheduler: str | None, workers: int, threads: int = 1) -> None:
        """Connect or start. Raises InputError when Dask is missing or nobody answers."""
        try:
            import dask
            from distributed import Client, LocalCluster
        except ImportError:
            raise InputError(
                "--engine dask takes the extra 'dask': pip install 'headstart[dask]'."
            ) from None
        self._threads, self._cluster = threads, None
        # How often a unit is tried is decided here, and a unit waits here rather than at a worker that
        # may die of another one.
        dask.config.set(
            {
                "distributed.scheduler.allowed-failures": 0,
                "distributed.scheduler.worker-saturation": 1.0,
            }
        )
        if scheduler is None:
            self._cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                # Its server runs without a dashboard too; 8787, its usual port, may be another benchmark's.
                dashboard_address="127.0.0.1:0",
                scheduler_kwargs={"dashboard": False},
                memory_limit=0,
                silence_logs=50,
            )
        try:
            self._client = Client(
                self._cluster or scheduler, timeout=CONNECT_SECONDS, set_as_default=False
            )
        except (OSError, ValueError, TypeError) as error:
            raise InputError(
                f"No Dask scheduler answers at --scheduler {scheduler} ({error}). Start one with "
                f"`dask scheduler`, and give the address that it prints, as tcp://host:8786."
            ) from None

    @property
    def size(self) -> int:
        """How many threads the cluster has now; it may grow."""
        return max(1, sum(self._client.nthreads().values()))

    def lend(self, config: DataConfig, loaded: Loaded) -> None:
        """Do without: the workers load for themselves."""

    def run(
        self, units: Sequence[Unit], heard: Heard = ignore
    ) -> Iterator[tuple[Unit, dict[str, Any]]]:
        """Yield each unit with its outcome as it ends. Raises Interrupted."""
        queue, running = Queue(units), dict[Any, Unit]()
        try:
            while queue.left:
                while len(running) < self.size:
                    unit = queue.take(set(), set())
                    if unit is None:
                        break
                    heard("begun", unit, None)
                    future = self._client.submit(
                        work, unit.config, self._threads, pure=False, retries=0
                    )
                    running[future] = unit
                for future in self._ended(list(running)):
                    yield from self._read(future, running.pop(future), queue, heard)
        except KeyboardInterrupt:
            self._client.cancel(list(running))
            raise Interrupted("Interrupted.") from None

    def close(self) -> None:
        """Leave the cluster, and end it if it was started here."""
        with contextlib.suppress(Exception):
            self._client.close()
        if self._cluster is not None:
            with contextlib.suppress(Exception):
                self._cluster.close()

    def _ended(self, futures: Sequence[Any]) -> list[Any]:
        from distributed import wait

        try:
            # Looked up now and then, for workers that joined meanwhile.
            with self._client.as_current():
                wait(futures, timeout=LOOK_SECONDS, return_when="FIRST_COMPLETED")
        except TimeoutError:
            return []
        return [future for future in futures if future.done()]

    def _read(
        self, future: Any, unit: Unit, queue: Queue, heard: Heard
    ) -> Iterator[tuple[Unit, dict[str, Any]]]:
        from distributed.scheduler import KilledWorker

        try:
            yield from queue.over(unit, future.result())
            return
        except KilledWorker:
            reason = "The worker process was killed"
        except HeadstartError as error:
            yield from queue.over(unit, failure(unit, str(error)))
            return
        except Exception as error:
            reason = f"The cluster lost this ({type(error).__name__}: {error})"
        if queue.back(unit):
            heard("say", unit, f"{reason}; it is tried once more.")
            return
        text = f"{reason}, {queue.attempts[unit.key]} times while it ran this."
        yield from queue.over(unit, failure(unit, text))


def work(config: Config, threads: int) -> dict[str, Any]:
    """Do a unit for a worker of Dask, in a child process that is kept for the next one.

    Not in the worker itself: its other threads draw from Python's random numbers too, between the
    draws that a seed is to decide.
    """
    # Dask's workers are daemons, which may have no children; this one ends with its parent anyway.
    multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]
    pool = _KEPT.setdefault(threads, Pool(1, threads))
    ((_, outcome),) = pool.run([Unit(key="unit", config=config)])
    return outcome


_KEPT: dict[int, Pool] = {}
