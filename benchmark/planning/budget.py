"""Equal cost: from seconds or updates of pretraining to epochs of each strategy, decided once.

Seconds are a property of a machine, and results must not be. So each strategy's steps are timed once, on
one thread and after compilation; the epochs that fill the seconds are written to ``budgets.json`` in the
benchmark's folder; and every run, on whatever machine, trains exactly those epochs.

With T seconds, stages of fixed length that take F seconds, and stages that share the recipe's epochs
and take c seconds an epoch together, there are max(1, round((T - F) / c)) epochs; of updates, alike.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.data import DataConfig
from headstart.errors import InputError
from headstart.files import write_text
from pretrain.config import PretrainConfig
from pretrain.plan import PretrainPlan

if TYPE_CHECKING:
    from benchmark.work.cell import Workshop
    from pretrain.engine.progress import Reporter
    from pretrain.engine.stage import Stage

BUDGETS = "budgets.json"
# As the engine decides it (pretrain.engine.program, which takes TensorFlow to import).
XLA_STEPS = 2000
# Stages that have just as many epochs have the recipe's; any other number is their own.
MARK = 99_991
LEAST_SECONDS = 0.5
EVALUATED = 1024


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How much every pretraining may cost: exactly one of seconds (on one thread) and updates."""

    seconds: float | None = None
    updates: int | None = None

    def __str__(self) -> str:
        return f"{self.seconds:g} s" if self.seconds is not None else f"{self.updates:,} updates"


@dataclass(frozen=True, kw_only=True)
class MeasureUnit:
    """The work of finding out how many epochs fill the budget, and whether random views differ.

    budget: None when every strategy has its own epochs: then only the views are looked at.
    """

    data: DataConfig
    pretrain: PretrainConfig
    budget: Budget | None
    settings: dict[str, Any]

    def run(self, here: Workshop, reporter: Reporter | None = None) -> dict[str, Any]:
        """Return {"plan": what ``divide`` says, or None}, with status and cost."""
        return run_measure(self, here)


@dataclass(frozen=True, kw_only=True)
class StageCost:
    """What one epoch of a stage takes.

    seconds, xla_seconds: by the plain graph, and compiled by XLA, where that may be used (else None).
    own: its epochs, when they are not the recipe's.
    """

    name: str
    steps: int
    seconds: float
    xla_seconds: float | None = None
    own: int | None = None

    def at(self, epochs: int) -> float:
        """Return the seconds of an epoch when the recipe has so many: only long stages use XLA."""
        epochs = epochs if self.own is None else self.own
        if self.xla_seconds is None or epochs * (self.steps - 1) < XLA_STEPS:
            return self.seconds
        return self.xla_seconds


def run_measure(unit: MeasureUnit, here: Workshop) -> dict[str, Any]:
    """Check the random views, time the stages, and return {"plan": what ``divide`` says, or None}."""
    from benchmark.environment import check_surroundings
    from benchmark.work.cell import guarded

    def work() -> dict[str, Any]:
        check_surroundings(unit.settings)
        assert here.programs is not None  # starts TensorFlow
        pool = here.data.get(unit.data).pool
        plan = PretrainPlan.resolve(pool, replace(unit.pretrain, epochs=MARK))
        plan.check_views()
        if unit.budget is None:
            return {"plan": None}
        # Of one thread, its own time: a machine that is busy with others then decides the same.
        clock = time.process_time if here.threads == 1 else time.perf_counter
        costs = list(survey(plan, None if unit.budget.seconds is None else clock))
        return {"plan": divide(costs, unit.budget)}

    return guarded(work)


def divide(costs: Sequence[StageCost], budget: Budget) -> dict[str, Any]:
    """Return the recipe's epochs that come nearest to the budget, at least 1, and what they come to."""

    def updates(epochs: int) -> float:
        return sum(c.steps * (epochs if c.own is None else c.own) for c in costs)

    def fit(aim: float, cost: Callable[[int], float]) -> int:
        return max(1, round((aim - cost(0)) / max(1e-9, cost(1) - cost(0))))

    if budget.updates is not None:
        return _entry(fit(budget.updates, updates), costs, None)
    assert budget.seconds is not None
    epochs = MARK
    # With fewer epochs, XLA may not be used, and then there are fewer still.
    for _ in range(3):
        each = {c.name: c.at(epochs) for c in costs}

        def spent(e: int, each: Mapping[str, float] = each) -> float:
            return sum(each[c.name] * (e if c.own is None else c.own) for c in costs)

        epochs = fit(budget.seconds, spent)
    seconds = sum(c.at(epochs) * (epochs if c.own is None else c.own) for c in costs)
    return _entry(epochs, costs, seconds)


def _entry(epochs: int, costs: Sequence[StageCost], seconds: float | None) -> dict[str, Any]:
    return {
        "epochs": epochs,
        "updates": sum(c.steps * (epochs if c.own is None else c.own) for c in costs),
        "seconds": None if seconds is None else round(seconds, 1),
        "stages": [asdict(cost) for cost in costs],
    }


def survey(plan: PretrainPlan, clock: Callable[[], float] | None) -> Iterator[StageCost]:
    """Yield the cost of each stage of a plan whose recipe has ``MARK`` epochs; 0 seconds without a clock.

    A stage is trained for a few steps, so that the next one is built on variables that exist.
    """
    from pretrain.encoders.encoder import Encoder

    arrays, held_out = plan.split()
    encoder = Encoder(plan.encoder, plan.seed)
    with plan.setting_up(encoder, arrays, held_out) as setup:
        for stage in plan.row.stages(setup):
            plain = fast = None
            if clock is not None:
                plain = _epoch_seconds(stage, plan.seed, clock, xla=False)
                if not stage.convolutional:
                    fast = _epoch_seconds(stage, plan.seed, clock, xla=True)
            yield StageCost(
                name=stage.name,
                steps=stage.steps_per_epoch,
                seconds=plain or 0.0,
                xla_seconds=fast,
                own=None if stage.epochs == MARK else stage.epochs,
            )


def _epoch_seconds(stage: Stage, seed: int, clock: Callable[[], float], *, xla: bool) -> float:
    """Return the seconds of one epoch with its validation, by some steps after the first, which compile."""
    import numpy as np
    import tensorflow as tf

    from pretrain.engine.order import learning_rates, permutation
    from pretrain.engine.program import Program
    from pretrain.engine.train import tensors

    program = Program(stage, xla)
    data = (tensors(stage.arrays), tensors(stage.tables))
    steps = stage.steps_per_epoch
    order = tf.constant(permutation(stage.size, seed, 0, 0))
    rates = tf.constant(learning_rates(stage.learning_rate, stage.schedule, 0, steps, stage.epochs))
    sums = np.zeros(len(program.names), np.float32)

    def run(start: int, count: int) -> float:
        began = clock()
        program.run(*data, order, rates, start=start, count=count, before=0, seed=seed, sums=sums)
        return clock() - began

    # The last batch of an epoch may be compiled by itself.
    run(0, 1)
    run(steps - 1, 1)
    count, done, taken = 1, 0, 0.0
    while taken < LEAST_SECONDS:
        taken += run(0, count)
        done += count
        count = min(steps, 2 * count)
    seconds = steps * taken / done
    if stage.validation is not None:
        rows = len(next(iter(stage.validation.values())))
        part = tensors({name: array[:EVALUATED] for name, array in stage.validation.items()})
        tables = tensors(stage.validation_tables)
        program.evaluate(part, tables)
        began = clock()
        program.evaluate(part, tables)
        seconds += (clock() - began) * rows / min(rows, EVALUATED)
    return seconds


class Budgets:
    """The epochs that were decided in a folder. Written by the process that leads, whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / BUDGETS
        try:
            self.known: dict[str, Any] = (
                json.loads(self.path.read_text(encoding="utf-8")) if self.path.exists() else {}
            )
        except ValueError:
            raise InputError(
                f"{self.path} is no JSON. It holds how long each strategy is trained: bring it back, "
                f"or delete it to have that measured anew (all pretraining is then done again)."
            ) from None

    def add(self, key: str, entry: Mapping[str, Any]) -> None:
        """Keep a decision."""
        self.known[key] = dict(entry)
        write_text(self.path, json.dumps(self.known, indent=1) + "\n")


def budget_key(plan: PretrainPlan, pool_print: str, budget: Budget) -> str:
    """Return what a decision depends on, as 16 hex digits: not on seed, epochs, machine or versions."""
    about = plan.to_json()
    recipe = {k: v for k, v in about["recipe"].items() if k not in ("epochs", "least_updates")}
    about = {k: v for k, v in about.items() if k != "seed"} | {"recipe": recipe}
    text = json.dumps([about, pool_print, asdict(budget)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
