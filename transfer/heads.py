"""What is trained on top of the encoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pretrain.stage import Batch

Loss = Callable[[Batch], Mapping[str, Any]]


def classification(blocks: Sequence[Any], fresh: set[int], head: Any) -> Loss:
    """Return the loss of a linear head on ``blocks`` (Keras models, lowest first).

    Batch: x float32 (B, ...), what the lowest of the blocks expects, or features (B, D) when there is
    none; y int32 (B,). One output is a sigmoid's logit and the loss is the binary cross-entropy
    log(1 + exp(-z)) of z = logit (y = 1) or -logit (y = 0); more outputs are a softmax's, and the
    loss is -log p(y | x).

    Reused blocks are called in inference mode even while they are fine-tuned, so normalisation keeps
    the pool's statistics; those in ``fresh`` (by ``id``) follow the batch's mode.
    """
    import tensorflow as tf

    def loss(batch: Batch) -> Mapping[str, Any]:
        logits = _outputs(batch, blocks, fresh, head)
        if logits.shape[-1] == 1:
            logits = logits[:, 0]
            targets = tf.cast(batch.y, tf.float32)
            losses = tf.nn.sigmoid_cross_entropy_with_logits(targets, logits)
            predicted = tf.cast(logits > 0, tf.int32)
        else:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(batch.y, logits)
            predicted = tf.argmax(logits, axis=-1, output_type=tf.int32)
        right = tf.cast(tf.equal(predicted, batch.y), tf.float32)
        return {"loss": tf.reduce_mean(losses), "accuracy": tf.reduce_mean(right)}

    return loss


def regression(blocks: Sequence[Any], fresh: set[int], head: Any) -> Loss:
    """Return the mean squared error of a linear head with one output; y is float32 (B,).

    The rest is as in ``classification``.
    """
    import tensorflow as tf

    def loss(batch: Batch) -> Mapping[str, Any]:
        error = _outputs(batch, blocks, fresh, head)[:, 0] - batch.y
        return {"loss": tf.reduce_mean(tf.square(error))}

    return loss


def _outputs(batch: Batch, blocks: Sequence[Any], fresh: set[int], head: Any) -> Any:
    hidden = batch.x
    for block in blocks:
        hidden = block(hidden, training=batch.training and id(block) in fresh)
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
}
