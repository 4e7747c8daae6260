"""Batches, objectives and stages: the parts of which a strategy is made.

An *objective* is a loss and the variables that it may move. A *stage* is the objectives that are
trained together, on which arrays, for how long and at which learning rate. Frozen means "in no
objective": a variable that no objective lists cannot move, whatever its ``trainable`` flag says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from headstart.lazy import keras, tf

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The argument of a loss, inside the compiled step.

    Attributes:
        arrays: the stage's arrays cut to the batch, each (B, ...), in their own dtype.
        seed: int32 (2,), a pure function of (run seed, step), for ``tf.random.stateless_*``.
        training: False when the loss is computed for validation.
        tables: the stage's tables, whole, for a loss that looks rows up by an index in ``arrays``.
    """

    arrays: Mapping[str, Any]
    seed: Any
    training: bool
    tables: Mapping[str, Any] = field(default_factory=dict)

    def draw(self, number: int) -> Any:
        """Return the ``number``-th seed of this step, int32 (2,): each random choice takes its own."""
        return tf.random.fold_in(self.seed, number)

    @property
    def x(self) -> Any:
        """Examples (B, ...), as the source holds them (uint8 or float32)."""
        return self.arrays["x"]

    @property
    def y(self) -> Any:
        """Labels (B,) int32."""
        return self.arrays["y"]


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """A Keras optimizer and its options; made anew for every stage.

    Attributes:
        name: "adam" or "sgd".
        momentum: of sgd.
        beta_1: of adam.
        weight_decay: of both, decoupled; 0 for none.
    """

    name: str = "adam"
    momentum: float = 0.0
    beta_1: float = 0.9
    weight_decay: float = 0.0

    def make(self) -> Any:
        """Return the Keras optimizer. Its learning rate is set by the engine at each step."""
        decay = self.weight_decay or None
        if self.name == "sgd":
            return keras.optimizers.SGD(0.0, momentum=self.momentum, weight_decay=decay)
        if self.name == "adam":
            return keras.optimizers.Adam(0.0, beta_1=self.beta_1, weight_decay=decay)
        raise ValueError(f"optimizer must be 'sgd' or 'adam'. Got {self.name!r}.")


@dataclass(frozen=True, kw_only=True)
class Objective:
    """A loss and the variables that it may move.

    Attributes:
        name: unique in its stage; with several objectives it prefixes the metrics.
        loss: Batch -> {"loss": scalar float32, metric: scalar float32, ...}, each a mean over the batch. It
            is traced without AutoGraph: what depends on a tensor's value takes ``tf.where`` or ``tf.cond``.
        variables: the Keras variables that the gradient of the loss moves.
        metrics: the names that ``loss`` returns beside "loss".
        state: every other variable that the computation reads or updates by itself (statistics of
            normalisation layers, a frozen part, a moving-average target). The engine refuses a
            computation that touches a variable which is in neither list.
        optimizer: moves the variables.
        scales: factors of the stage's learning rate, one for each of ``variables``; None: 1 for all.
        after: called with the batch when the variables were moved (moving averages and the like).

    Example:
        >>> def loss(batch):
        ...     return {"loss": tf.reduce_mean((model(batch.x) - batch.arrays["target"]) ** 2)}
        >>> Objective(name="fit", loss=loss, variables=model.trainable_variables)
    """

    name: str
    loss: Callable[[Batch], Mapping[str, Any]]
    variables: Sequence[Any]
    metrics: tuple[str, ...] = ()
    state: Sequence[Any] = ()
    optimizer: Optimizer = field(default_factory=Optimizer)
    scales: Sequence[float] | None = None
    after: Callable[[Batch], None] | None = None

    def groups(self) -> list[tuple[float, list[int]]]:
        """Return [(scale, the indices into ``variables`` that have it)], in order of appearance."""
        found: dict[float, list[int]] = {}
        for i in range(len(self.variables)):
            found.setdefault(1.0 if self.scales is None else self.scales[i], []).append(i)
        return list(found.items())


@dataclass(frozen=True, kw_only=True)
class StageSnapshot:
    """Metrics and pictures of a stage after an epoch.

    Attributes:
        metrics: numbers for the epoch's row, beside the means that the losses return.
        pictures: uint8 (H, W) or (H, W, 3), by name; written beside the weights.
    """

    metrics: Mapping[str, float] = field(default_factory=dict)
    pictures: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Objectives that are trained together.

    Attributes:
        name: shown, and in the rows of the history.
        objectives: moved one after the other on each batch.
        arrays: {"x": (N, ...), optionally "y": (N,) and others}, all of N rows, held in memory.
        validation: the same arrays of held-out examples, or None.
        tables: arrays that every batch is given whole, such as the images that rows of indices mean.
        validation_tables: the same for validation.
        epochs: passes over the arrays; 2.5 ends in the middle of the third, after a whole number of steps.
        batch_size: examples in a step; an epoch's last batch may be smaller.
        learning_rate: the peak.
        schedule: "constant" or "cosine" (to zero at the last step).
        warmup: the part of all steps, 0 to below 1, in which the rate first rises to its peak.
        evaluation_batch: examples at a time when the losses are computed for validation; that of training
            where a loss compares the examples of a batch.
        convolutional: True when a step holds convolutions or resamples images (never compiled by XLA on
            CPU).
        key: all that its computation depends on, beside what the run's key and the other fields say.
        snapshot: called after every ``snapshot_epochs`` epochs and after the last; a pure function of the
            stage's variables.
        snapshot_epochs: epochs between two snapshots.

    Example:
        >>> how = {"epochs": 10, "batch_size": 32, "learning_rate": 1e-3}
        >>> Stage(name="fit", objectives=[objective], arrays={"x": x}, **how)
    """

    name: str
    objectives: Sequence[Objective]
    arrays: Mapping[str, np.ndarray]
    validation: Mapping[str, np.ndarray] | None = None
    tables: Mapping[str, np.ndarray] = field(default_factory=dict)
    validation_tables: Mapping[str, np.ndarray] = field(default_factory=dict)
    epochs: float
    batch_size: int
    learning_rate: float
    schedule: str = "constant"
    warmup: float = 0.0
    evaluation_batch: int = 512
    convolutional: bool = False
    key: str = ""
    snapshot: Callable[[], StageSnapshot] | None = None
    snapshot_epochs: int = 1

    @property
    def size(self) -> int:
        """N, the number of training examples."""
        return len(next(iter(self.arrays.values())))

    @property
    def steps_per_epoch(self) -> int:
        """Updates in an epoch, the last partial batch counted."""
        return -(-self.size // self.batch_size)

    @property
    def updates(self) -> int:
        """Updates in all epochs: at least one, unless there are 0 epochs."""
        return max(1, round(self.epochs * self.steps_per_epoch)) if self.epochs else 0

    @property
    def passes(self) -> int:
        """The number of epochs that are begun."""
        return -(-self.updates // self.steps_per_epoch)

    def steps_in(self, epoch: int) -> int:
        """Return the updates of an epoch, counted from 0; the last may be a part of one."""
        return min(self.steps_per_epoch, self.updates - epoch * self.steps_per_epoch)

    @property
    def variables(self) -> list[Any]:
        """Every declared variable once, in order of declaration."""
        declared = [v for o in self.objectives for v in (*o.variables, *o.state)]
        return list({id(v): v for v in declared}.values())
