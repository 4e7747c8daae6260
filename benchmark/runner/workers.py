"""Long-lived worker processes, any of which may die without taking more than its item along.

Each has one end of a pipe for orders and answers, and one of a pipe that only shows whether its
parent lives: when that closes, the worker ends at once, so a benchmark that is killed leaves nothing
behind that still computes. Workers are sessions of their own: Ctrl-C reaches the parent alone, which
passes it on once.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from multiprocessing.connection import Connection, wait
from types import ModuleType

from benchmark.runner.base import EventReporter, Runner
from benchmark.work.context import WorkerContext
from benchmark.work.queue import OnEvent, Outcome, Queue, WorkItem
from headstart.errors import Interrupted

ENVIRONMENT = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)
# For a step, a checkpoint and the interpreter's end, after Ctrl-C.
GRACE = 20.0


class Worker:
    """One process and its pipes."""

    def __init__(self, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        alive, self._life = context.Pipe(duplex=False)
        self.process = context.Process(
            target=serve, args=(theirs, alive, threads), daemon=True, name="headstart-worker"
        )
        with _environment({name: str(threads) for name in ENVIRONMENT}), _without_main():
            self.process.start()
        theirs.close()
        alive.close()
        self.item: WorkItem | None = None
        self.shapes: set[str] = set()

    def give(self, item: WorkItem) -> None:
        """Send it; the answer comes through the pipe."""
        self.item = item
        self.shapes.add(item.shape)
        with contextlib.suppress(OSError):  # dead: its silence is answer enough
            self.pipe.send(item)

    def end(self, *, now: bool = False) -> None:
        """Close the pipes, upon which it ends, and see that it does."""
        self.pipe.close()
        self._life.close()
        if now:
            self.process.kill()
        self.process.join(GRACE)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()


class WorkerProcesses(Runner):
    """``workers`` processes of one thread each (or ``threads``)."""

    size = 1

    def __init__(self, workers: int, threads: int = 1) -> None:
        self.size, self._threads = workers, threads
        self._workers: list[Worker] = []

    def _work(self, queue: Queue, on_event: OnEvent) -> Iterator[tuple[WorkItem, Outcome]]:
        with _as_interrupt():
            try:
                while queue.open:
                    self._hand_out(queue, on_event)
                    for worker in self._with_news():
                        yield from self._read(worker, queue, on_event)
            except KeyboardInterrupt:
                self._interrupt()
                raise

    def close(self) -> None:
        """End all workers."""
        for worker in self._workers:
            worker.end(now=worker.item is not None)
        self._workers = []

    def _hand_out(self, queue: Queue, on_event: OnEvent) -> None:
        while True:
            idle = next((w for w in self._workers if w.item is None), None)
            if idle is None and len(self._workers) == self.size:
                return
            others = set().union(*(w.shapes for w in self._workers if w is not idle))
            item = queue.take(set() if idle is None else idle.shapes, others)
            if item is None:
                return
            if idle is None:
                idle = Worker(self._threads)
                self._workers.append(idle)
            on_event("begun", item, None)
            idle.give(item)

    def _with_news(self) -> list[Worker]:
        by_thing = {thing: w for w in self._workers for thing in (w.pipe, w.process.sentinel)}
        return list(dict.fromkeys(by_thing[thing] for thing in wait(list(by_thing))))  # type: ignore[index]

    def _read(
        self, worker: Worker, queue: Queue, on_event: OnEvent
    ) -> Iterator[tuple[WorkItem, Outcome]]:
        """Take a worker's messages; a dead one's item is put back, or has failed."""
        item = worker.item
        try:
            # Messages that were sent before it died count.
            while worker.pipe.poll():
                kind, payload = worker.pipe.recv()
                if item is not None and kind == "done":
                    worker.item = None
                    yield from queue.complete(item, payload)
                    return
                if item is not None:
                    on_event(kind, item, payload)
            if worker.process.is_alive():
                return
        except (EOFError, OSError):
            pass
        self._workers.remove(worker)
        worker.process.join(GRACE)
        code = worker.process.exitcode
        worker.end(now=True)
        died = f"ended with code {code}"
        if code is not None and code < 0:
            died = f"was killed ({signal.Signals(-code).name})"
        if item is not None:
            yield from queue.lost(item, f"The worker process {died}", on_event)

    def _interrupt(self) -> None:
        """Pass Ctrl-C on, and give the workers time to save their checkpoints."""
        busy = [w for w in self._workers if w.item is not None]
        for worker in busy:
            with contextlib.suppress(OSError, TypeError):
                os.kill(worker.process.pid, signal.SIGINT)  # type: ignore[arg-type]
        deadline = time.monotonic() + GRACE
        for worker in busy:
            worker.process.join(max(0.0, deadline - time.monotonic()))
        self.close()


def serve(pipe: Connection, alive: Connection, threads: int) -> None:
    """Be a worker: take items from the pipe until it closes."""
    with contextlib.suppress(OSError, AttributeError):
        os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the engine listens for it while it trains
    threading.Thread(target=_end_with_parent, args=(alive,), daemon=True).start()
    context = WorkerContext(threads=threads)
    reporter = EventReporter(lambda kind, payload: pipe.send((kind, payload)))
    while True:
        try:
            item = pipe.recv()
        except (EOFError, OSError):
            return
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            outcome = item.run(context, reporter)
        except (Interrupted, KeyboardInterrupt):
            return
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        with contextlib.suppress(OSError):
            pipe.send(("done", outcome))


def _end_with_parent(alive: Connection) -> None:
    with contextlib.suppress(EOFError, OSError):
        alive.recv()
    os._exit(1)


@contextlib.contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables for a child to inherit; those that the user set stay."""
    new = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(new)
    try:
        yield
    finally:
        for name in new:
            del os.environ[name]


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Keep a child from importing the main module: a program without a guard would run once more in it."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextlib.contextmanager
def _as_interrupt() -> Iterator[None]:
    """Treat SIGTERM as Ctrl-C, in the main thread; and Ctrl-C too where a shell's "&" made it ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
