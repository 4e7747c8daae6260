"""What a strategy is: one row that turns an encoder and its data into stages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pretrain.encoders.base import Option
from pretrain.preprocessing import Preprocessing
from pretrain.stage import Objective, Optimizer, Stage


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How long and how fast to train; each field can be set from the command line.

    least_updates: when the user sets no epochs, a small pool gets as many as make this many updates.
    """

    epochs: int = 10
    least_updates: int = 1500
    batch_size: int = 128
    learning_rate: float = 1e-3
    optimizer: Optimizer = field(default_factory=Optimizer)
    schedule: str = "constant"


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What a strategy is given.

    encoder: the ``pretrain.encoder.Encoder`` to train; its initial weights are drawn.
    preprocess: from raw examples (B, ...) to what the encoder sees, float32 in [0, 1].
    arrays: {"x": (N, ...) raw, "y": (N,) int32 when the strategy needs labels}.
    validation: the same of held-out examples, or None.
    n_classes: the number of classes, 0 without labels.
    options: the strategy's own options, checked and complete.
    recipe: how long and how fast.
    """

    encoder: Any
    preprocess: Preprocessing
    arrays: Mapping[str, np.ndarray]
    validation: Mapping[str, np.ndarray] | None
    n_classes: int
    options: Mapping[str, Any]
    recipe: Recipe

    def features(self, x: Any, training: bool) -> Any:
        """Return features (B, D) of raw examples (B, ...)."""
        return self.encoder(self.preprocess(x), training)

    def stage(self, name: str, *objectives: Objective, **changes: Any) -> Stage:
        """Return a stage on the setup's data by its recipe; ``changes`` replaces fields of it."""
        fields: dict[str, Any] = {
            "arrays": self.arrays,
            "validation": self.validation,
            "epochs": self.recipe.epochs,
            "batch_size": self.recipe.batch_size,
            "learning_rate": self.recipe.learning_rate,
            "schedule": self.recipe.schedule,
            "convolutional": self.encoder.row.convolutional,
        }
        return Stage(name=name, objectives=objectives, **(fields | changes))


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """One row of the table of strategies.

    stages: Setup -> stages in order; a generator may look at what earlier stages trained. Its
        computation may depend on the setup's encoder, options, recipe and number of classes, and not
        on the values of the data (else runs on other data would share compiled steps wrongly).
    needs_labels: True when the pool must be labelled.
    recipe: the defaults.
    """

    name: str
    summary: str
    stages: Callable[[Setup], Iterable[Stage]]
    needs_labels: bool = False
    recipe: Recipe = field(default_factory=Recipe)
    options: Mapping[str, Option] = field(default_factory=dict)
