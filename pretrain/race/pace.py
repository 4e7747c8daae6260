"""The pace of a candidate: the seconds of its trainings, by the costs of its stages and those so far."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from pretrain.cost import MIN_SECONDS, StageCost, divide
from pretrain.engine.progress import Reporter
from pretrain.monitoring import collapse

LEAST_WATCHED = 1.0
"""Seconds of steps from which on their pace counts for more than that of the first few."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """The cost of a candidate's training of e epochs.

    That is overhead + sum over its stages of (compiling + ratio * seconds an epoch * e) + looks * look, with
    as many looks as the features are measured during e epochs.

    Attributes:
        costs: of its stages, measured before the race's first training.
        ratio: the pace of a training's steps over that of ``costs``.
        look: seconds of one look at the features during training.
        overhead: seconds of a training beside all that.
        scoring: seconds of the race's measure of its features.
    """

    costs: tuple[StageCost, ...]
    ratio: float = 1.0
    look: float = 0.0
    overhead: float = 0.0
    scoring: float = 0.0

    @classmethod
    def of(cls, costs: Sequence[StageCost], seconds: float) -> Pace:
        """Return the pace before any training.

        Args:
            costs: of all stages.
            seconds: that measuring them took; what is not steps and compiling is needed by a training too.
        """
        used = tuple(cost for cost in costs if cost.own != 0)
        return cls(costs=used, overhead=max(0.0, seconds - sum(map(_measuring, costs))))

    def fill(self, seconds: float) -> float:
        """Return the epochs that come nearest to filling ``seconds``, at least a step."""
        costs = [_scaled(cost, self.ratio) for cost in self.costs]
        epochs = divide(costs, seconds=seconds - self.overhead).epochs
        for _ in range(3):
            looks = self.look * self._looks(epochs)
            epochs = divide(costs, seconds=seconds - self.overhead - looks).epochs
        return epochs

    def after(self, watch: Stopwatch, epochs: float, *, training: float, scoring: float) -> Pace:
        """Return the pace as a training has shown it.

        Args:
            watch: it watched the training.
            epochs: of the training.
            training: seconds of it.
            scoring: seconds of the race's measure of its features.
        """
        stepping, expected, between, validating = 0.0, 0.0, 0.0, 0.0
        for cost, seen in zip(self.costs, watch.stages, strict=True):
            seconds, _ = cost.at(epochs)
            stepping += seen.stepping
            expected += (seconds - cost.validating) * seen.steps / cost.steps
            between += seen.between
            validating += cost.validating * seen.epochs
        ratio = stepping / expected if stepping >= LEAST_WATCHED and expected > 0 else self.ratio
        look = max(0.0, between - ratio * validating) / self._looks(epochs)
        spent = look * self._looks(epochs)
        for cost in (_scaled(cost, ratio) for cost in self.costs):
            seconds, compiling = cost.at(epochs)
            spent += cost.epochs(epochs) * seconds + compiling
        overhead = max(0.0, training - spent)
        return replace(self, ratio=ratio, look=look, overhead=overhead, scoring=scoring)

    def _looks(self, epochs: float) -> int:
        """Return how often the features are measured during a training of ``epochs``."""
        looks = 0
        for cost in self.costs:
            passes = max(1, math.ceil(cost.epochs(epochs)))
            looks += -(-passes // math.ceil(passes / collapse.MAX_MEASUREMENTS))
        return looks

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Pace:
        """Rebuild from what ``to_json`` returned."""
        costs = tuple(StageCost(**cost) for cost in data["costs"])
        return cls(**{**data, "costs": costs})


def _scaled(cost: StageCost, ratio: float) -> StageCost:
    """Return ``cost`` with ``ratio`` times the seconds of an epoch."""
    xla = None if cost.xla_seconds is None else ratio * cost.xla_seconds
    return replace(cost, seconds=ratio * cost.seconds, xla_seconds=xla)


def _measuring(cost: StageCost) -> float:
    """Return about the seconds in which a stage's cost was measured."""
    ways = 1 if cost.xla_seconds is None else 2
    # The steps are doubled until they take half a second: so they take up to a whole one.
    return cost.compiling + cost.xla_compiling + 1.5 * ways * MIN_SECONDS


@dataclass(kw_only=True)
class Watched:
    """The steps and epochs of a stage that a stopwatch saw.

    Attributes:
        steps: those after the first call, which compiles.
        stepping: their seconds.
        epochs: that are over.
        between: seconds of what came after their last steps: validation, looks at the features.
    """

    steps: int = 0
    stepping: float = 0.0
    epochs: int = 0
    between: float = 0.0


class Stopwatch(Reporter):
    """Watches a training, stage by stage. ``clock`` returns seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._done: int | None = None
        self._at = 0.0
        self.stages: list[Watched] = []

    def stage(self, name: str, *, steps: int, done: int, epochs: int, examples: int) -> None:
        """Begin a stage."""
        self._done = None
        self.stages.append(Watched())

    def step(self, done: int, *, epoch: int, loss: float, rate: float) -> None:
        """Count the steps since the last look at the clock."""
        now, stage = self._clock(), self.stages[-1]
        if self._done is not None:
            stage.steps += done - self._done
            stage.stepping += now - self._at
        self._done, self._at = done, now

    def epoch(self, row: Mapping[str, Any], *, rate: float) -> None:
        """Note what came after the epoch's last step."""
        now, stage = self._clock(), self.stages[-1]
        stage.epochs += 1
        stage.between += now - self._at
        self._at = now
