"""``simclr``: find the other view of an example among all other views of the batch.

Chen et al. 2020, "A Simple Framework for Contrastive Learning of Visual Representations", equation 1.
Each of B examples gives two random views; encoder and projector turn the 2 B views into vectors z of
length 1. With s(i, k) = z_i . z_k / temperature and j the other view of i, the loss (NT-Xent) is the mean
over all 2 B views of -log(exp s(i, j) / sum over k != i of exp s(i, k)).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from headstart.lazy import tf
from pretrain.encoders.base import Option, number
from pretrain.engine.stage import Stage
from pretrain.strategies.base import Recipe, Setup, Strategy
from pretrain.strategies.projector import sizes_option, two_view_stage


def nt_xent(first: Any, second: Any, temperature: float) -> tuple[Any, Any]:
    """Return the scalar loss, and the part of the views whose nearest is their own other view.

    first, second: float32 (B, P), the projections of the two views, in the same order.
    """
    count = tf.shape(first)[0]
    z = tf.math.l2_normalize(tf.concat([first, second], axis=0), axis=1)
    scores = tf.matmul(z, z, transpose_b=True) / temperature
    scores = tf.linalg.set_diag(scores, tf.fill([2 * count], -1e9))
    other = tf.concat([tf.range(count, 2 * count), tf.range(count)], axis=0)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(other, scores)
    right = tf.equal(tf.argmax(scores, axis=1, output_type=tf.int32), other)
    return tf.reduce_mean(losses), tf.reduce_mean(tf.cast(right, tf.float32))


def stages(setup: Setup) -> Iterator[Stage]:
    """Yield the one stage: encoder and projector together."""
    temperature = setup.options["temperature"]

    def losses(first: Any, second: Any) -> Mapping[str, Any]:
        value, right = nt_xent(first, second, temperature)
        return {"loss": value, "found": right}

    yield two_view_stage(setup, "simclr", "contrast", losses, ("found",))


ROW = Strategy(
    name="simclr",
    summary="find an example's other view among the batch (contrastive)",
    stages=stages,
    augments=True,
    advice="Use a higher temperature, a lower learning rate or larger batches.",
    recipe=Recipe(epochs=20, batch_size=256, learning_rate=1e-3, schedule="cosine"),
    options={
        "temperature": Option(0.2, "below 1: the nearest wrong views count more", number(0.01, 10)),
        "projector": sizes_option(256, 128),
    },
)
