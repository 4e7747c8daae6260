"""``supervised``: train the encoder with a linear head on the pool's own labels.

The seed's base model: a related task with many labels teaches the lower layers. The loss is the
cross-entropy of the softmax, -log p(y | x), averaged over the batch (B,).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pretrain.engine.stage import Batch, Stage
from pretrain.strategies.base import Recipe, Setup, Strategy
from pretrain.strategies.classify import classification_stage


def stages(setup: Setup) -> Iterator[Stage]:
    """Yield the one stage: encoder and head together."""
    import keras

    head = keras.layers.Dense(setup.n_classes, name="head")
    head.build((None, setup.encoder.feature_size))

    def task(batch: Batch) -> tuple[Any, Any]:
        return batch.x, batch.y

    yield classification_stage(setup, "supervised", "classify", task, head)


ROW = Strategy(
    name="supervised",
    summary="a base model: classify the pool by its own labels",
    stages=stages,
    needs_labels=True,
    recipe=Recipe(epochs=10, batch_size=128, learning_rate=1e-3, schedule="cosine"),
)
