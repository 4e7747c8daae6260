"""The work item that measures what a pretraining costs, from which a budget becomes epochs, decided once.

Seconds are a property of a machine, and results must not be. So each strategy's steps are timed once, on
one thread and after compilation; the epochs that fill the seconds (``pretrain.cost``) are written to the
benchmark's folder; and every run, on whatever machine, trains exactly those epochs.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from benchmark.config import Budget
from benchmark.work.context import DataItem, WorkerContext
from benchmark.work.queue import Outcome
from pretrain.config import PretrainConfig
from pretrain.cost import SENTINEL_EPOCHS, divide, survey
from pretrain.plan import PretrainPlan

if TYPE_CHECKING:
    from pretrain.engine.progress import Reporter


@dataclass(frozen=True, kw_only=True)
class MeasureItem(DataItem):
    """The measurement of how many epochs fill the budget, and the check that random views differ.

    budget: None when every strategy has its own epochs: then only the views are checked.
    decides: the key of the decision.
    """

    pretrain: PretrainConfig
    budget: Budget | None
    decides: str

    @property
    def title(self) -> str:
        """The item in words."""
        return f"measuring {self.pretrain.strategy}"

    def work(self, context: WorkerContext, reporter: Reporter | None) -> Outcome:
        """Return {"plan": the result of ``divide``, or None without a budget}."""
        pool = context.data.get(self.data).pool
        plan = PretrainPlan.resolve(pool, replace(self.pretrain, epochs=SENTINEL_EPOCHS))
        plan.check_views()
        if self.budget is None:
            return {"plan": None}
        # The process's own time on one thread: a machine that is busy with others decides the same.
        clock = time.process_time if context.threads == 1 else time.perf_counter
        costs = list(survey(plan, None if self.budget.seconds is None else clock))
        found = divide(costs, seconds=self.budget.seconds, updates=self.budget.updates)
        return {"plan": asdict(found)}
