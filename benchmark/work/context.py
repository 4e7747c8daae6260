"""The state that a process keeps between work items, and the frame in which each is run."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from benchmark.data import DataCache, DataConfig
from benchmark.work.queue import Outcome, WorkItem
from headstart.errors import HeadstartError, Interrupted
from headstart.lazy import tf
from pretrain.engine import runtime

if TYPE_CHECKING:
    from pretrain.engine.progress import Reporter
    from pretrain.engine.session import Session

PACKAGES = (*runtime.PACKAGES, "scikit-learn")
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


def threads_here(given: int | None) -> int:
    """Return the threads of one operation in this process: those given, else one.

    A process that runs TensorFlow already, such as a notebook, keeps what that has (0: every core).
    """
    if given is None and "tensorflow" in sys.modules:
        return int(tf.config.threading.get_intra_op_parallelism_threads())
    return given or 1


def check_environment(expected: dict[str, Any]) -> None:
    """Refuse to run a cell where it could have another result. Raises HeadstartError."""
    found = runtime.environment(expected["threads"]["intra_op"], PACKAGES)
    for part, values in expected.items():
        for name in values | found[part]:
            here, planned = found[part].get(name), values.get(name)
            if here != planned:
                raise HeadstartError(
                    f"This worker has {name} {here!r}, and the benchmark was planned with {planned!r}.",
                    hint="Give all machines the same environment.",
                )


@dataclass(frozen=True, kw_only=True)
class DataItem(WorkItem):
    """Work on a benchmark's data, in the environment that it was planned for.

    environment: what ``check_environment`` compares.
    """

    data: DataConfig
    environment: dict[str, Any]

    def run(self, context: WorkerContext, reporter: Reporter | None = None) -> Outcome:
        """Return the result of ``work`` with its status and cost: "done", or "failed" with the reason.

        Raises Interrupted on Ctrl-C only.
        """
        began, cpu = time.monotonic(), time.process_time()
        try:
            self.prepare(context)
            # Not counted: loading data and starting TensorFlow.
            began, cpu = time.monotonic(), time.process_time()
            result: Outcome = {"status": "done", **self.work(context, reporter)}
        except Interrupted:
            raise
        except Exception as error:
            name, known = type(error).__name__, isinstance(error, HeadstartError)
            if not known and os.environ.get("HEADSTART_TRACEBACK"):
                raise
            reason = str(error) if known else f"{name}: {error}"
            result = {"status": "failed", "reason": reason, "error": name}
        return {
            **result,
            "seconds": round(time.monotonic() - began, 3),
            "cpu_seconds": round(time.process_time() - cpu, 3),
        }

    def prepare(self, context: WorkerContext) -> None:
        """Load the data, and start TensorFlow."""
        check_environment(self.environment)
        context.data.get(self.data)
        context.session()

    def work(self, context: WorkerContext, reporter: Reporter | None) -> Outcome:
        """Return the outcome's other fields."""
        raise NotImplementedError
