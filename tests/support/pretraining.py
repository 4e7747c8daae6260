"""Pretraining in one call, for tests."""

from pretrain.engine.session import Session
from pretrain.plan import PretrainPlan
from pretrain.run import pretrain


def pretrained(pool, config, out=None, *, probe=None, companions=True, programs=None, **how):
    """Plan and run; ``how``: of the session."""
    session = Session(**{k: v for k, v in how.items() if v is not None})
    if programs is not None:
        session = session.sharing(programs)
    plan = PretrainPlan.make(
        pool, config, probe=probe, out=out, companions=companions, session=session
    )
    return pretrain(plan, session)
