"""Pretrainings, each made once for all cells that need it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmark.store import BenchmarkFolder
from benchmark.work.context import DataItem, WorkerContext
from benchmark.work.queue import Outcome
from pretrain.config import PretrainConfig

if TYPE_CHECKING:
    from pretrain.engine.progress import Reporter
    from pretrain.weights.file import WeightsFile


@dataclass(frozen=True, kw_only=True)
class PretrainItem(DataItem):
    """A pretraining on the pool of ``data``.

    name: of the weights file that it makes in the folder.
    encoder: its name in the benchmark's configuration.
    """

    pretrain: PretrainConfig
    folder: BenchmarkFolder
    name: str
    encoder: str

    @property
    def title(self) -> str:
        """The item in words."""
        return f"pretraining {self.pretrain.strategy}, seed {self.pretrain.seed}"

    def work(self, context: WorkerContext, reporter: Reporter | None) -> Outcome:
        """Make the weights file, unless it is there, and return its cost."""
        return {"cost": self.weights(context, reporter)[1]}

    def weights(
        self, context: WorkerContext, reporter: Reporter | None
    ) -> tuple[WeightsFile, dict[str, Any]]:
        """Return the weights and their cost, pretraining if need be; two processes never train the same.

        Cost: seconds, cpu_seconds, updates; of a run that was interrupted, of all its parts.
        """
        from pretrain.plan import PretrainPlan
        from pretrain.run import pretrain

        pool, session = context.data.get(self.data).pool, context.session(reporter)
        with self.folder.locked_weights(self.name) as path:
            cpu = time.process_time()
            plan = PretrainPlan.make(pool, self.pretrain, out=path, session=session)
            made = pretrain(plan, session)
            if made.updates:
                cost = {
                    "seconds": round(made.seconds, 3),
                    "cpu_seconds": round(time.process_time() - cpu + made.before[1], 3),
                    "updates": made.updates,
                    "resumed": made.resumed_from is not None,
                }
                self.folder.write_cost(self.name, cost)
        return made.weights, self.folder.cost(self.name)
