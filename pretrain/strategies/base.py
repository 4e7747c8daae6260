"""A strategy: one row of a table, which turns an encoder and its data into stages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pretrain.augment.recipes import Augmentation
from pretrain.augment.views import augment
from pretrain.encoders import ARCHITECTURES
from pretrain.encoders.base import Option
from pretrain.encoders.encoder import Preprocessing
from pretrain.engine.stage import Batch, Objective, Optimizer, Stage
from pretrain.strategies.columns import Columns

Loss = Callable[[Batch], Mapping[str, Any]]
"""Of an objective: see ``pretrain.engine.stage.Objective``."""
NO_VIEWS = Augmentation(name="none", options={})


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Length and pace of a training; options of the same names replace the fields.

    Attributes:
        epochs: passes over the pool, perhaps a part of one at the end.
        least_updates: where no epochs are given, a small pool gets enough for this many updates.
        batch_size: examples in a step.
        learning_rate: the peak.
        optimizer: of the strategy's objectives.
        schedule: "constant" or "cosine".
    """

    epochs: float = 10
    least_updates: int = 1500
    batch_size: int = 128
    learning_rate: float = 1e-3
    optimizer: Optimizer = field(default_factory=Optimizer)
    schedule: str = "constant"


@dataclass(frozen=True, kw_only=True)
class Setup:
    """The argument of a strategy's ``stages``.

    Attributes:
        encoder: the ``pretrain.encoders.encoder.Encoder`` to train, with initial weights.
        preprocess: from raw examples (B, ...) to the encoder's input, float32 in [0, 1].
        arrays: {"x": (N, ...) raw, "y": (N,) int32 when the strategy uses labels}.
        validation: the same of held-out examples, or None.
        n_classes: the number of classes, 0 without labels.
        options: the strategy's own options, checked and complete.
        recipe: length and pace of the training.
        augmentation: of the random views, for strategies that make them.
    """

    encoder: Any
    preprocess: Preprocessing
    arrays: Mapping[str, np.ndarray]
    validation: Mapping[str, np.ndarray] | None
    n_classes: int
    options: Mapping[str, Any]
    recipe: Recipe
    augmentation: Augmentation = NO_VIEWS

    def features(self, x: Any, training: bool) -> Any:
        """Return features (B, D) of raw examples (B, ...)."""
        return self.encoder(self.preprocess(x), training)

    def views(
        self,
        batch: Batch,
        count: int = 2,
        x: Any = None,
        options: Mapping[str, float] | None = None,
        first: int = 0,
    ) -> list[Any]:
        """Return ``count`` random views, each float32 (B, ...) in [0, 1], of the batch's examples.

        Args:
            batch: of this step.
            count: how many.
            x: raw examples (B, ...) to take the views of, instead of ``batch.x``.
            options: of the changes, instead of the augmentation's.
            first: how many views the loss took of this batch before, so that these are others.
        """
        clean = self.preprocess(batch.x if x is None else x)
        how = self.augmentation.options if options is None else options
        table = self.preprocess.table
        columns = None if table is None else table.widths
        return [
            augment(clean, batch.draw(1000 + k), how, columns) for k in range(first, first + count)
        ]

    @property
    def columns(self) -> Columns | None:
        """The columns of a table, which are hidden and reconstructed as a whole; None of all else."""
        table = self.preprocess.table
        return None if table is None else Columns(table)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of an example, without the batch's axis."""
        return tuple(self.encoder.config["input_shape"])

    def decoder(self) -> Any:
        """Return a new mirror image of the encoder: a Keras model, features (B, D) -> logits (B, ...)."""
        return self.encoder.row.decode(self.input_shape, self.encoder.config["options"])

    def objective(
        self, name: str, loss: Loss, *layers: Any, metrics: tuple[str, ...] = ()
    ) -> Objective:
        """Return the objective by which ``loss`` moves the encoder and ``layers``, built Keras layers."""
        moved = [v for layer in layers for v in layer.trainable_weights]
        rest = [v for layer in layers for v in layer.non_trainable_weights]
        return Objective(
            name=name,
            loss=loss,
            metrics=metrics,
            variables=[*self.encoder.trainable, *moved],
            state=[*self.encoder.state, *rest],
            optimizer=self.recipe.optimizer,
        )

    def stage(self, name: str, *objectives: Objective, **changes: Any) -> Stage:
        """Return a stage on the setup's data by its recipe; ``changes`` replaces fields of it."""
        # XLA has no resampling of images, of which views are made.
        resamples = self.augmentation.name != "none" and len(self.input_shape) == 3
        fields: dict[str, Any] = {
            "arrays": self.arrays,
            "validation": self.validation,
            "convolutional": self.encoder.row.convolutional or resamples,
        }
        for pace in ("epochs", "batch_size", "learning_rate", "schedule"):
            fields[pace] = getattr(self.recipe, pace)
        return Stage(name=name, objectives=objectives, **(fields | changes))


def in_parts(function: Callable[[Any], Any], x: np.ndarray, size: int) -> np.ndarray:
    """Return float32 ``function(x)`` of all examples (N, ...), computed on ``size`` at a time."""
    found: Any = None
    for start in range(0, len(x), size):
        part = np.asarray(function(x[start : start + size]), np.float32)
        if found is None:  # once as large as needed: joined parts would take twice the memory
            found = np.empty((len(x), *part.shape[1:]), np.float32)
        found[start : start + size] = part
    return np.asarray(found)


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """One row of the table of strategies.

    Attributes:
        name: as options name it.
        summary: one line for the list.
        stages: Setup -> stages in order; a generator may look at what earlier stages trained. Its
            computation may depend on the setup's encoder, options, recipe and number of classes, and not
            on the values of the data (else runs on other data would share compiled steps wrongly).
        needs_labels: True when the pool must be labelled.
        takes_labels: (options, labels (N,)) -> True when it uses these labels; it does without where there
            are none.
        augments: True when it learns from random views of an example, which must differ.
        square_images: True when examples must be images as high as wide.
        encoders: the architectures that it can train, each with the options that it sets unless the user
            does; None when it can train any that learns by gradients.
        split: held out for validation: "examples", or "classes" when there are labels and enough classes
            (then no held-out class is ever trained on).
        advice: a sentence to try when the features collapse.
        check: (options, the encoder's configuration, the pool's classes (N,) or None without their use) ->
            None; raises InputError for options that do not go together, before TensorFlow is imported.
        measures: held-out arrays -> True when its first stage has one loss that is measured on them. False
            for several objectives, or where these examples give it nothing to measure.
        recipe: the defaults.
        options: its own, by name.

    Example:
        >>> ROW = Strategy(name="tidy", summary="undo noise", stages=stages, recipe=Recipe(epochs=20))
    """

    name: str
    summary: str
    stages: Callable[[Setup], Iterable[Stage]]
    needs_labels: bool = False
    takes_labels: Callable[[Mapping[str, Any], np.ndarray], bool] = lambda options, y: False
    augments: bool = False
    square_images: bool = False
    encoders: Mapping[str, Mapping[str, Any]] | None = None
    split: str = "examples"
    advice: str = ""
    check: Callable[[Mapping[str, Any], Mapping[str, Any], np.ndarray | None], None] | None = None
    measures: Callable[[Mapping[str, np.ndarray]], bool] = lambda held_out: True
    recipe: Recipe = field(default_factory=Recipe)
    options: Mapping[str, Option] = field(default_factory=dict)

    def labelled(self, options: Mapping[str, Any], y: np.ndarray | None) -> bool:
        """Return True when a run with these options on a pool with labels ``y`` (N,), or None, uses them."""
        return self.needs_labels or (y is not None and self.takes_labels(options, y))

    def trains(self, architecture: str) -> bool:
        """Return True when it can train encoders of this architecture."""
        row = ARCHITECTURES[architecture]
        if self.encoders is None:
            return not row.imported and not row.computed
        return architecture in self.encoders and not row.imported
