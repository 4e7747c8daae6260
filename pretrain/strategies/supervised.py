"""``supervised``: train the encoder with a linear head on the pool's own labels.

The seed's base model: a related task with many labels teaches the lower layers. The loss is the
cross-entropy of the softmax, -log p(y | x), averaged over the batch (B,).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pretrain.stage import Batch, Objective, Stage
from pretrain.strategies.base import Recipe, Setup, Strategy


def stages(setup: Setup) -> Iterator[Stage]:
    """Yield the one stage: encoder and head together."""
    import keras
    import tensorflow as tf

    head = keras.layers.Dense(setup.n_classes, name="head")
    head.build((None, setup.encoder.feature_size))

    def loss(batch: Batch) -> Mapping[str, Any]:
        logits = head(setup.features(batch.x, batch.training))
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(batch.y, logits)
        right = tf.equal(tf.argmax(logits, axis=-1, output_type=tf.int32), batch.y)
        return {
            "loss": tf.reduce_mean(losses),
            "accuracy": tf.reduce_mean(tf.cast(right, tf.float32)),
        }

    yield setup.stage(
        "supervised",
        Objective(
            name="classify",
            loss=loss,
            metrics=("accuracy",),
            variables=[*setup.encoder.trainable, *head.trainable_weights],
            state=setup.encoder.state,
            optimizer=setup.recipe.optimizer,
        ),
    )


ROW = Strategy(
    name="supervised",
    summary="a base model: classify the pool by its own labels",
    stages=stages,
    needs_labels=True,
    recipe=Recipe(epochs=10, batch_size=128, learning_rate=1e-3, schedule="cosine"),
)
