"""Long-lived worker processes, any of which may die without taking more than its unit along.

Each has one end of a pipe for orders and answers, and one of a pipe that only tells whether its
parent lives: when that closes, the worker ends at once, so a benchmark that is killed leaves nothing
behind that still computes. Workers are sessions of their own: Ctrl-C reaches the parent alone, which
passes it on once.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from benchmark.data import DataConfig, Loaded
from benchmark.work.queue import Queue, Unit, failure
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
TOLD_EVERY = 0.5

Heard = Callable[[str, Unit, Any], None]
"""What happened ("begun", "step", "say"), to which unit, and what belongs to it."""


def ignore(what: str, unit: Unit, value: Any) -> None:
    """Hear nothing."""


class Worker:
    """One process and its pipes."""

    def __init__(self, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        alive, self._life = context.Pipe(duplex=False)
        self.process = context.Process(
            target=serve, args=(theirs, alive, threads), daemon=True, name="headstart-worker"
        )
        with _environment({name: str(threads) for name in ENVIRONMENT}):
            self.process.start()
        theirs.close()
        alive.close()
        self.unit: Unit | None = None
        self.shapes: set[str] = set()

    def give(self, unit: Unit) -> None:
        """Have it done; the answer comes through the pipe."""
        self.unit = unit
        self.shapes.add(unit.shape)
        with contextlib.suppress(OSError):  # dead: its silence is answer enough
            self.pipe.send(unit.config)

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

    @property
    def died_of(self) -> str:
        """How it ended, in words."""
        self.process.join(GRACE)
        code = self.process.exitcode
        if code is not None and code < 0:
            return f"was killed ({signal.Signals(-code).name})"
        return f"ended with code {code}"


class Pool:
    """``workers`` processes of one thread each (or ``threads``)."""

    def __init__(self, workers: int, threads: int = 1) -> None:
        self.size, self._threads = workers, threads
        self._workers: list[Worker] = []

    def lend(self, config: DataConfig, loaded: Loaded) -> None:
        """Do without: the workers load for themselves."""

    def run(
        self, units: Sequence[Unit], heard: Heard = ignore
    ) -> Iterator[tuple[Unit, dict[str, Any]]]:
        """Yield each unit with its outcome as it ends. Raises Interrupted on Ctrl-C or SIGTERM."""
        queue = Queue(units)
        with _as_interrupt():
            try:
                while queue.left:
                    self._hand_out(queue, heard)
                    for worker in self._with_news():
                        yield from self._read(worker, queue, heard)
            except KeyboardInterrupt:
                self._interrupt()
                raise Interrupted("Interrupted.") from None

    def close(self) -> None:
        """End all workers."""
        for worker in self._workers:
            worker.end(now=worker.unit is not None)
        self._workers = []

    def _hand_out(self, queue: Queue, heard: Heard) -> None:
        while True:
            idle = [w for w in self._workers if w.unit is None]
            fresh = not idle and len(self._workers) < self.size
            own = idle[0].shapes if idle else set()
            if not idle and not fresh:
                return
            others = set().union(*(w.shapes for w in self._workers if not idle or w is not idle[0]))
            unit = queue.take(own, others)
            if unit is None:
                return
            if fresh:
                self._workers.append(Worker(self._threads))
                idle = self._workers[-1:]
            heard("begun", unit, None)
            idle[0].give(unit)

    def _with_news(self) -> list[Worker]:
        by_thing = {thing: w for w in self._workers for thing in (w.pipe, w.process.sentinel)}
        return list(dict.fromkeys(by_thing[thing] for thing in wait(list(by_thing))))  # type: ignore[index]

    def _read(
        self, worker: Worker, queue: Queue, heard: Heard
    ) -> Iterator[tuple[Unit, dict[str, Any]]]:
        """Hear what a worker has to say; a dead one's unit is put back, or has failed."""
        unit = worker.unit
        try:
            # What it said before it died counts.
            while worker.pipe.poll():
                what, value = worker.pipe.recv()
                if unit is None:
                    continue
                if what != "done":
                    heard(what, unit, value)
                    continue
                worker.unit = None
                yield from queue.over(unit, value)
                return
        except (EOFError, OSError):
            pass
        else:
            if worker.process.is_alive():
                return
        self._workers.remove(worker)
        died = worker.died_of
        worker.end(now=True)
        if unit is None:
            return
        if queue.back(unit):
            heard("say", unit, f"A worker {died} and was replaced; its unit is tried once more.")
            return
        reason = f"The worker process {died} {queue.attempts[unit.key]} times while it ran this."
        yield from queue.over(unit, failure(unit, reason))

    def _interrupt(self) -> None:
        """Pass Ctrl-C on, and give the workers time to save what they have."""
        busy = [w for w in self._workers if w.unit is not None]
        for worker in busy:
            with contextlib.suppress(OSError, TypeError):
                os.kill(worker.process.pid, signal.SIGINT)  # type: ignore[arg-type]
        deadline = time.monotonic() + GRACE
        for worker in busy:
            worker.process.join(max(0.0, deadline - time.monotonic()))
        self.close()


def serve(pipe: Connection, alive: Connection, threads: int) -> None:
    """Be a worker: take units from the pipe until it closes."""
    with contextlib.suppress(OSError, AttributeError):
        os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the engine listens for it while it trains
    threading.Thread(target=_end_with_parent, args=(alive,), daemon=True).start()
    from benchmark.work.cell import Workshop
    from pretrain.engine.progress import Reporter

    class Told(Reporter):
        """Sends lines, and now and then how far a stage is."""

        def __init__(self) -> None:
            self._steps, self._name, self._last = 1, "", 0.0

        def stage(self, name: str, *, steps: int, **_: Any) -> None:
            self._name, self._steps = name, max(1, steps)

        def step(self, done: int, **_: Any) -> None:
            if time.monotonic() - self._last > TOLD_EVERY:
                self._last = time.monotonic()
                pipe.send(("step", (self._name, done / self._steps)))

        def say(self, line: str) -> None:
            pipe.send(("say", line))

    here = Workshop(threads=threads)
    while True:
        try:
            config = pipe.recv()
        except (EOFError, OSError):
            return
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            outcome = config.run(here, Told())
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
    """Set variables that a child is to inherit; those that the user set stay."""
    new = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(new)
    try:
        yield
    finally:
        for name in new:
            del os.environ[name]


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
