"""What is trained on top of the encoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pretrain.stage import Batch


def classification(
    blocks: Sequence[Any], fresh: set[int], head: Any
) -> Callable[[Batch], Mapping[str, Any]]:
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
        hidden = batch.x
        for block in blocks:
            hidden = block(hidden, training=batch.training and id(block) in fresh)
        logits = head(hidden)
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
