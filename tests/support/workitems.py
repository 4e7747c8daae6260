"""Work that a benchmark's workers can be given instead of cells, to see what becomes of it."""

import os
import signal
import time
from dataclasses import dataclass, replace
from pathlib import Path

from benchmark.work.queue import WorkItem
from headstart.errors import Interrupted


@dataclass(frozen=True)
class Say(WorkItem):
    """Says which process did it, and how often that process has worked."""

    words: str = ""

    def run(self, context, reporter):
        context.count = getattr(context, "count", 0) + 1
        reporter.say(self.words)
        threads = os.environ.get("OMP_NUM_THREADS")
        return {"status": "done", "pid": os.getpid(), "count": context.count, "threads": threads}


@dataclass(frozen=True)
class Die(WorkItem):
    """Kills its process, as long as ``marks`` holds fewer than ``times`` files."""

    marks: str
    times: int

    def run(self, context, reporter):
        marks = Path(self.marks)
        number = len(list(marks.iterdir()))
        if number < self.times:
            (marks / str(number)).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return {"status": "done", "pid": os.getpid()}


@dataclass(frozen=True)
class KillParent(WorkItem):
    """Kills the process that started its own, the first time."""

    mark: str

    def run(self, context, reporter):
        if not Path(self.mark).exists():
            Path(self.mark).touch()
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(60)
        return {"status": "done", "pid": os.getpid()}


@dataclass(frozen=True)
class Sleep(WorkItem):
    """Works until it is interrupted, and says so in a file; or for ``seconds``."""

    file: str
    seconds: float = 60

    def run(self, context, reporter):
        Path(self.file).with_suffix(".began").write_text(str(os.getpid()))
        try:
            time.sleep(self.seconds)
        except KeyboardInterrupt:
            Path(self.file).write_text("interrupted")
            raise Interrupted("Interrupted.") from None
        return {"status": "done", "pid": os.getpid()}


def named(*items, **fields):
    """The items with keys: their numbers."""
    return [replace(item, key=str(i), **fields) for i, item in enumerate(items)]
