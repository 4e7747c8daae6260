"""The runner on a Dask cluster: one that is there already, or worker processes of this machine.

All workers need the same environment, the data under the same names, and the benchmark's folder on a disk
that they share (the weights pass through it). One without a shared disk does the pretraining again for
itself: the results are the same.
"""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Iterator, Sequence
from typing import Any

from benchmark.runner.base import Runner
from benchmark.runner.workers import WorkerProcesses
from benchmark.work.queue import OnEvent, Outcome, Queue, WorkItem
from headstart.errors import HeadstartError, InputError, arg

CONNECT_SECONDS = 30
WAIT_SECONDS = 5


class Dask(Runner):
    """A cluster: ``scheduler`` is its address; None starts ``workers`` processes of one thread here."""

    def __init__(self, scheduler: str | None, workers: int, threads: int = 1) -> None:
        """Connect or start. Raises InputError when Dask is missing or nobody answers."""
        try:
            import dask
            from distributed import Client, LocalCluster
        except ImportError:
            raise InputError(
                f"{arg.engine:dask} takes the extra 'dask'.", hint="pip install 'headstart[dask]'."
            ) from None
        self._threads, self._cluster = threads, None
        # How often an item is tried is decided here, and an item waits here rather than at a worker that
        # may die of another one.
        how = {"allowed-failures": 0, "worker-saturation": 1.0}
        dask.config.set({f"distributed.scheduler.{name}": value for name, value in how.items()})
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
                f"names no Dask scheduler that answers ({error})",
                argument="scheduler",
                value=scheduler,
                hint="Start one with `dask scheduler`, and give the address that it prints, such as "
                "tcp://host:8786.",
            ) from None

    @property
    def size(self) -> int:
        """The number of threads that the cluster has now; it may grow."""
        return max(1, sum(self._client.nthreads().values()))

    def _work(self, queue: Queue, on_event: OnEvent) -> Iterator[tuple[WorkItem, Outcome]]:
        running = dict[Any, WorkItem]()
        try:
            while queue.open:
                while len(running) < self.size:
                    item = queue.take(set(), set())
                    if item is None:
                        break
                    on_event("begun", item, None)
                    future = self._client.submit(work, item, self._threads, pure=False, retries=0)
                    running[future] = item
                for future in self._ended(list(running)):
                    yield from _read(future, running.pop(future), queue, on_event)
        except KeyboardInterrupt:
            self._client.cancel(list(running))
            raise

    def close(self) -> None:
        """Leave the cluster, and end it if it was started here."""
        for started in filter(None, (self._client, self._cluster)):
            with contextlib.suppress(Exception):
                started.close()

    def _ended(self, futures: Sequence[Any]) -> list[Any]:
        from distributed import wait

        # Looked up now and then, for workers that joined meanwhile.
        with contextlib.suppress(TimeoutError), self._client.as_current():
            wait(futures, timeout=WAIT_SECONDS, return_when="FIRST_COMPLETED")
        return [future for future in futures if future.done()]


def _read(
    future: Any, item: WorkItem, queue: Queue, on_event: OnEvent
) -> Iterator[tuple[WorkItem, Outcome]]:
    from distributed.scheduler import KilledWorker

    try:
        yield from queue.complete(item, future.result())
    except KilledWorker:
        yield from queue.lost(item, "The worker process was killed", on_event)
    except HeadstartError as error:
        yield from queue.complete(item, item.failed(str(error)))
    except Exception as error:
        reason = f"The cluster lost this ({type(error).__name__}: {error})"
        yield from queue.lost(item, reason, on_event)


def work(item: WorkItem, threads: int) -> Outcome:
    """Run an item for a worker of Dask, in a child process that is kept for the next one.

    Not in the worker itself: its other threads draw from Python's random numbers too, between the
    draws that a seed is to decide.
    """
    # Dask's workers are daemons, which may have no children; this one ends with its parent anyway.
    multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]
    child = _CHILDREN.setdefault(threads, WorkerProcesses(1, threads))
    ((_, outcome),) = child.run([item])
    return outcome


_CHILDREN: dict[int, WorkerProcesses] = {}
