"""The state that a process keeps between work items, and the frame in which each is run."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from benchmark.data import DataCache
from benchmark.work.queue import Outcome
from headstart.errors import HeadstartError, Interrupted

if TYPE_CHECKING:
    from pretrain.engine.program import Programs
    from pretrain.engine.progress import Reporter
    from pretrain.engine.session import Session

# A search has some dozens.
MAX_PROGRAMS = 64


@dataclass(kw_only=True)
class WorkerContext:
    """Loaded data and compiled steps, which make a process's later items cheaper.

    threads: of TensorFlow's operations; None leaves one that runs already as it is.
    """

    threads: int | None = 1
    data: DataCache = field(default_factory=DataCache)
    _session: Session | None = None

    def session(self, reporter: Reporter | None = None) -> Session:
        """Return a session that resumes and shares the compiled steps; TensorFlow is started by the first."""
        from pretrain.engine.progress import Reporter
        from pretrain.engine.session import Session

        if self._session is None:
            session = Session(threads=self.threads, resume=True).start()
            from pretrain.engine.program import Programs

            self._session = session.sharing(Programs(MAX_PROGRAMS))
        return replace(self._session, reporter=reporter or Reporter())

    @property
    def programs(self) -> Programs:
        """The compiled steps."""
        return self.session().programs


def guarded(work: Callable[[], Outcome], prepare: Callable[[], object] = lambda: None) -> Outcome:
    """Return the result of ``work`` with its status and cost: "done", or "failed" with the reason.

    prepare: called first, and not counted: it starts TensorFlow and loads data.
    """
    began, cpu = time.monotonic(), time.process_time()
    try:
        prepare()
        began, cpu = time.monotonic(), time.process_time()
        result: Outcome = {"status": "done", **work()}
    except Interrupted:
        raise
    except HeadstartError as error:
        result = {"status": "failed", "reason": str(error), "error": type(error).__name__}
    except Exception as error:
        if os.environ.get("HEADSTART_TRACEBACK"):
            raise
        reason = f"{type(error).__name__}: {error}"
        result = {"status": "failed", "reason": reason, "error": type(error).__name__}
    return {
        **result,
        "seconds": round(time.monotonic() - began, 3),
        "cpu_seconds": round(time.process_time() - cpu, 3),
    }
