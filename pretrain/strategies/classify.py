"""The stage of strategies that tell classes apart: by the pool's labels, or by some made of the examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pretrain.engine.stage import Batch, Objective, Stage
from pretrain.strategies.base import Setup


def classification_stage(
    setup: Setup,
    name: str,
    objective: str,
    task: Callable[[Batch], tuple[Any, Any]],
    head: Any,
) -> Stage:
    """Return the stage ``name`` that trains encoder and head to tell classes.

    task: a batch -> raw examples (B, ...) and their classes, int32 (B,).
    head: a built Keras layer, features (B, D) -> logits (B, K). The loss is the cross-entropy of their
        softmax, averaged over the batch.
    """
    import tensorflow as tf

    def loss(batch: Batch) -> Mapping[str, Any]:
        x, classes = task(batch)
        logits = head(setup.features(x, batch.training))
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(classes, logits)
        right = tf.equal(tf.argmax(logits, axis=-1, output_type=tf.int32), classes)
        return {
            "loss": tf.reduce_mean(losses),
            "accuracy": tf.reduce_mean(tf.cast(right, tf.float32)),
        }

    return setup.stage(
        name,
        Objective(
            name=objective,
            loss=loss,
            metrics=("accuracy",),
            variables=[*setup.encoder.trainable, *head.trainable_weights],
            state=setup.encoder.state,
            optimizer=setup.recipe.optimizer,
        ),
    )
