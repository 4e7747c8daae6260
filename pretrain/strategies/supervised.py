"""``supervised``: train the encoder with a linear head on the pool's own labels.

The seed's base model: a related task with many labels teaches the lower layers. The loss is the
cross-entropy of the softmax, -log p(y | x), averaged over the batch (B,).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from headstart.lazy import keras, tf
from pretrain.engine.stage import Batch, Stage
from pretrain.strategies.base import Recipe, Setup, Strategy


def classification_stage(
    setup: Setup,
    name: str,
    objective: str,
    task: Callable[[Batch], tuple[Any, Any]],
    count: int,
) -> Stage:
    """Return the stage ``name`` that trains encoder and a linear head to tell ``count`` classes.

    task: a batch -> raw examples (B, ...) and their classes, int32 (B,).
    """
    head = keras.layers.Dense(count, name="head")
    head.build((None, setup.encoder.feature_size))

    def loss(batch: Batch) -> Mapping[str, Any]:
        x, classes = task(batch)
        logits = head(setup.features(x, batch.training))
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(classes, logits)
        right = tf.equal(tf.argmax(logits, axis=-1, output_type=tf.int32), classes)
        return {
            "loss": tf.reduce_mean(losses),
            "accuracy": tf.reduce_mean(tf.cast(right, tf.float32)),
        }

    return setup.stage(name, setup.objective(objective, loss, head, metrics=("accuracy",)))


def stages(setup: Setup) -> Iterator[Stage]:
    """Yield the one stage: encoder and head together."""
    yield classification_stage(
        setup, "supervised", "classify", lambda batch: (batch.x, batch.y), setup.n_classes
    )


ROW = Strategy(
    name="supervised",
    summary="a base model: classify the pool by its own labels",
    stages=stages,
    needs_labels=True,
    recipe=Recipe(epochs=10, batch_size=128, learning_rate=1e-3, schedule="cosine"),
)
