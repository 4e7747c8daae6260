"""The cost of a pretraining, measured in a few steps of each stage, and the epochs that fill a budget.

With T seconds, F seconds for stages of fixed length and for compiling, and stages that share the recipe's
epochs and take c seconds an epoch together, there are (T - F) / c epochs, of which the last may be a part of
one; of updates, alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headstart.lazy import tf
from pretrain.config import whole_if_equal
from pretrain.plan import PretrainPlan

if TYPE_CHECKING:
    from pretrain.engine.stage import Stage

# Stages with exactly this number of epochs have the recipe's; any other number is their own.
SENTINEL_EPOCHS = 99_991
MIN_SECONDS = 0.5
# From so many epochs on, they are whole.
WHOLE_EPOCHS = 20
MAX_EVALUATED = 1024


@dataclass(frozen=True, kw_only=True)
class StageCost:
    """The cost of one epoch of a stage.

    Attributes:
        steps: updates an epoch.
        seconds, xla_seconds: by the plain graph, and compiled by XLA, where that may be used (else None).
        own: its epochs, when they are not the recipe's.
        compiling, xla_compiling: seconds before the first steps are made, by either.
        validating: the part of ``seconds`` in which the held-out examples are measured.
    """

    name: str
    steps: int
    seconds: float
    xla_seconds: float | None = None
    own: float | None = None
    compiling: float = 0.0
    xla_compiling: float = 0.0
    validating: float = 0.0

    def epochs(self, epochs: float) -> float:
        """Return its epochs when the recipe has ``epochs``."""
        return epochs if self.own is None else self.own

    def at(self, epochs: float) -> tuple[float, float]:
        """Return the seconds of an epoch, and of compiling, when the recipe has ``epochs``.

        Only long stages use XLA.
        """
        from pretrain.engine.program import XLA_STEPS

        if self.xla_seconds is None or self.epochs(epochs) * (self.steps - 1) < XLA_STEPS:
            return self.seconds, self.compiling
        return self.xla_seconds, self.xla_compiling


@dataclass(frozen=True, kw_only=True)
class Division:
    """The epochs that fill a budget.

    Attributes:
        epochs: of the recipe.
        updates: steps of all stages.
        seconds: that they should take; None of a budget of updates.
        stages: the costs that it was computed from.
    """

    epochs: float
    updates: int
    seconds: float | None
    stages: tuple[StageCost, ...]


def divide(
    costs: Sequence[StageCost], *, seconds: float | None = None, updates: int | None = None
) -> Division:
    """Return the epochs that come nearest to a budget, at least a step.

    Args:
        costs: of every stage.
        seconds: the budget, or None.
        updates: the budget where ``seconds`` is None.
    """

    def spent(epochs: float, each: Sequence[float]) -> float:
        """Sum over the stages what ``each`` epoch of theirs costs."""
        return sum(cost * c.epochs(epochs) for c, cost in zip(costs, each, strict=True))

    least = 1 / max((c.steps for c in costs if c.own is None), default=1)

    def fit(target: float, each: Sequence[float]) -> float:
        fixed = spent(0, each)
        epochs = max(least, (target - fixed) / max(1e-9, spent(1, each) - fixed))
        return round(epochs) if epochs >= WHOLE_EPOCHS else whole_if_equal(round(epochs, 4))

    steps, taken = [c.steps for c in costs], None
    if seconds is None:
        assert updates is not None
        epochs = fit(updates, steps)
    else:
        epochs = float(SENTINEL_EPOCHS)
        # With fewer epochs, XLA may not be used, and then there are fewer still.
        for _ in range(3):
            each, compiling = zip(*(c.at(epochs) for c in costs), strict=True)
            epochs = fit(seconds - sum(compiling), each)
        each, compiling = zip(*(c.at(epochs) for c in costs), strict=True)
        taken = round(sum(compiling) + spent(epochs, each), 1)
    return Division(
        epochs=epochs, updates=round(spent(epochs, steps)), seconds=taken, stages=tuple(costs)
    )


def survey(plan: PretrainPlan, clock: Callable[[], float] | None) -> Iterator[StageCost]:
    """Yield the cost of each stage of a plan with ``SENTINEL_EPOCHS`` epochs; 0 seconds without a clock.

    A stage is trained for a few steps, so that the next one is built on variables that exist.
    """
    from pretrain.encoders.encoder import Encoder

    arrays, held_out = plan.split()
    encoder = Encoder(plan.encoder, plan.seed)
    with plan.setting_up(encoder, arrays, held_out) as setup:
        for stage in plan.row.stages(setup):
            costs: dict[str, float] = {"seconds": 0.0}
            if clock is not None:
                for xla in (False,) if stage.convolutional else (False, True):
                    names = [f"xla_{n}" if xla else n for n in ("seconds", "compiling")]
                    *found, validating = _epoch_seconds(stage, plan.seed, clock, xla=xla)
                    costs |= {**dict(zip(names, found, strict=True)), "validating": validating}
            yield StageCost(
                name=stage.name,
                steps=stage.steps_per_epoch,
                own=None if stage.epochs == SENTINEL_EPOCHS else stage.epochs,
                **costs,
            )


def _epoch_seconds(
    stage: Stage, seed: int, clock: Callable[[], float], *, xla: bool
) -> tuple[float, float, float]:
    """Return the seconds of one epoch with its validation, of what comes before it, and of the validation."""
    import numpy as np

    from pretrain.engine.order import learning_rates, permutation
    from pretrain.engine.program import Program
    from pretrain.engine.train import tensors

    began = clock()
    program = Program(stage, xla)
    data = (tensors(stage.arrays), tensors(stage.tables))
    steps = stage.steps_per_epoch
    order = tf.constant(permutation(stage.size, seed, 0, 0))
    rates = tf.constant(learning_rates(stage.learning_rate, stage.schedule, 0, steps, steps))
    sums = np.zeros(len(program.names), np.float32)

    def run(start: int, count: int) -> float:
        began = clock()
        program.run(*data, order, rates, start=start, count=count, before=0, seed=seed, sums=sums)
        return clock() - began

    # The last batch of an epoch may be compiled by itself.
    run(0, 1)
    run(steps - 1, 1)
    compiling = clock() - began
    count, done, taken = 1, 0, 0.0
    while taken < MIN_SECONDS:
        taken += run(0, count)
        done += count
        count = min(steps, 2 * count)
    seconds, validating = steps * taken / done, 0.0
    if stage.validation is not None:
        rows = len(next(iter(stage.validation.values())))
        part = tensors({name: array[:MAX_EVALUATED] for name, array in stage.validation.items()})
        tables = tensors(stage.validation_tables)
        began = clock()
        program.evaluate(part, tables)
        compiling, began = compiling + clock() - began, clock()
        program.evaluate(part, tables)
        validating = (clock() - began) * rows / min(rows, MAX_EVALUATED)
    return seconds + validating, compiling, validating
