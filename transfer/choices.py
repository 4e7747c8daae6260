"""The choices that a transfer makes by validation: the way of reuse, and the use of unlabelled examples."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pretrain.engine.session import Session
from transfer.config import SEARCH_SECONDS
from transfer.plan import TransferPlan

if TYPE_CHECKING:
    from transfer.training.fit import Examples
    from transfer.training.fit_plan import FitPlan


def choose(plan: TransferPlan, session: Session) -> tuple[FitPlan, dict[str, Any], Examples]:
    """Return the training, after a search and with unlabelled examples; what chose it; and its examples."""
    fit, choices, task = plan.fit, dict[str, Any](), plan.task
    x, y = task.x[plan.rows], plan.fit.target.encode(task.y[plan.rows])
    if plan.config.search:
        from transfer.selection.search import search

        seconds = plan.config.search_seconds or SEARCH_SECONDS
        choices["search"] = _noted(
            "search", session, lambda: search(x, y, fit, session, seconds=seconds).to_json()
        )
        fit = fit.with_search_result(choices["search"])
    if plan.unlabelled is None:
        return fit, choices, (x, y, None)
    from transfer.semi_supervised.selection import SemiSupervised

    trainings = SemiSupervised(x, y, plan.unlabelled, fit, session)
    choices["pool"] = _noted("pool", session, trainings.choose)
    fit, examples = trainings.resolve(choices["pool"]["chosen"])
    return fit, choices, examples


def _noted(name: str, session: Session, decide: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return a decision as JSON: an interrupted run's, from beside its checkpoints, or a new one."""
    checkpoints = session.checkpoints
    found = checkpoints.read_note(name) if checkpoints and session.resume else None
    if found is None:
        found = decide()
        if checkpoints:
            checkpoints.write_note(name, found)
    return found
