"""Work that a benchmark's workers can be given instead of cells, to see what becomes of it."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from benchmark.work.queue import Unit
from headstart.errors import Interrupted


@dataclass(frozen=True)
class Say:
    """Says which process did it, and how often that process has worked."""

    words: str = ""

    def run(self, here, reporter):
        here.count = getattr(here, "count", 0) + 1
        reporter.say(self.words)
        threads = os.environ.get("OMP_NUM_THREADS")
        return {"status": "done", "pid": os.getpid(), "count": here.count, "threads": threads}


@dataclass(frozen=True)
class Die:
    """Kills its process, as long as ``marks`` holds fewer than ``times`` files."""

    marks: str
    times: int

    def run(self, here, reporter):
        marks = Path(self.marks)
        number = len(list(marks.iterdir()))
        if number < self.times:
            (marks / str(number)).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return {"status": "done", "pid": os.getpid()}


@dataclass(frozen=True)
class KillParent:
    """Kills the process that started its own, the first time."""

    mark: str

    def run(self, here, reporter):
        if not Path(self.mark).exists():
            Path(self.mark).touch()
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(60)
        return {"status": "done", "pid": os.getpid()}


@dataclass(frozen=True)
class Sleep:
    """Works until it is interrupted, and says so in a file; or for ``seconds``."""

    file: str
    seconds: float = 60

    def run(self, here, reporter):
        Path(self.file).with_suffix(".began").write_text(str(os.getpid()))
        try:
            time.sleep(self.seconds)
        except KeyboardInterrupt:
            Path(self.file).write_text("interrupted")
            raise Interrupted("Interrupted.") from None
        return {"status": "done", "pid": os.getpid()}


def units(*configs, **fields):
    return [Unit(key=str(i), config=config, **fields) for i, config in enumerate(configs)]
