"""What is trained on top of the encoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pretrain.engine.stage import Batch

Loss = Callable[[Batch], Mapping[str, Any]]


def classification(blocks: Sequence[Any], moving: set[int], head: Any) -> Loss:
    """Return the loss of a linear head on ``blocks`` (Keras models, lowest first).

    Batch: x float32 (B, ...), what the lowest of the blocks expects, or features (B, D) when there is
    none; y int32 (B,), or float32 (B, K) for a distribution over the classes; "w", if there is one,
    float32 (B,), the weight of each example (their mean over all examples is 1).
    One output is a sigmoid's logit and the loss is the binary cross-entropy log(1 + exp(-z)) of
    z = logit (y = 1) or -logit (y = 0); more outputs are a softmax's, and the loss is -log p(y | x).

    Blocks in ``moving`` (by ``id``) follow the batch's mode; the others are called in inference mode, so
    their normalisation keeps its statistics.
    """
    import tensorflow as tf

    def loss(batch: Batch) -> Mapping[str, Any]:
        logits, y = _outputs(batch, blocks, moving, head), batch.y
        binary = logits.shape[-1] == 1
        if y.shape.rank == 2:
            targets = y[:, 1] if binary else y
            labels = tf.argmax(y, axis=-1, output_type=tf.int32)
        else:
            targets = tf.cast(y, tf.float32) if binary else y
            labels = y
        if binary:
            logits = logits[:, 0]
            losses = tf.nn.sigmoid_cross_entropy_with_logits(targets, logits)
            predicted = tf.cast(logits > 0, tf.int32)
        else:
            if y.shape.rank == 2:
                losses = tf.nn.softmax_cross_entropy_with_logits(targets, logits)
            else:
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
            predicted = tf.argmax(logits, axis=-1, output_type=tf.int32)
        right = tf.cast(tf.equal(predicted, labels), tf.float32)
        return {"loss": _mean(losses, batch), "accuracy": tf.reduce_mean(right)}

    return loss


def regression(blocks: Sequence[Any], moving: set[int], head: Any) -> Loss:
    """Return the mean squared error of a linear head with one output; y is float32 (B,).

    The rest is as in ``classification``.
    """
    import tensorflow as tf

    def loss(batch: Batch) -> Mapping[str, Any]:
        error = _outputs(batch, blocks, moving, head)[:, 0] - batch.y
        return {"loss": _mean(tf.square(error), batch)}

    return loss


def several(blocks: Sequence[Any], moving: set[int], head: Any) -> Loss:
    """Return the loss of K labels of which an example can have any; y is float32 (B, K) of 0 and 1.

    Each output is a sigmoid's logit, and the loss is the mean over the labels of the binary
    cross-entropy. The rest is as in ``classification``.
    """
    import tensorflow as tf

    def loss(batch: Batch) -> Mapping[str, Any]:
        logits = _outputs(batch, blocks, moving, head)
        losses = tf.nn.sigmoid_cross_entropy_with_logits(batch.y, logits)
        return {"loss": _mean(tf.reduce_mean(losses, axis=-1), batch)}

    return loss


def _mean(losses: Any, batch: Batch) -> Any:
    import tensorflow as tf

    return tf.reduce_mean(batch.arrays["w"] * losses if "w" in batch.arrays else losses)


def _outputs(batch: Batch, blocks: Sequence[Any], moving: set[int], head: Any) -> Any:
    hidden = batch.x
    for block in blocks:
        hidden = block(hidden, training=batch.training and id(block) in moving)
    return head(hidden)


@dataclass(frozen=True, kw_only=True)
class Target:
    """One row of the table of what a head can learn; the fields are an Objective's."""

    name: str
    loss: Callable[[Sequence[Any], set[int], Any], Loss]
    metrics: tuple[str, ...] = ()


TARGETS = {
    "classes": Target(name="classify", loss=classification, metrics=("accuracy",)),
    "numbers": Target(name="regress", loss=regression),
    "multi-label": Target(name="label", loss=several),
}
