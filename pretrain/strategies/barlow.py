"""``barlow-twins``: the cross-correlation of two views' features must be the identity.

Zbontar et al. 2021, "Barlow Twins: Self-Supervised Learning via Redundancy Reduction", equations 1 and 2.
With projections z and z' (B, P) of two views, each dimension brought to mean 0 and variance 1 over the
batch, C = z^T z' / B, the loss is sum_i (1 - C_ii)^2 + ``redundancy`` * sum_{i != j} C_ij^2, divided by P
here, so that it does not grow with the projector.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from headstart.lazy import tf
from pretrain.encoders.base import Option, number
from pretrain.engine.stage import Stage
from pretrain.strategies.base import Recipe, Setup, Strategy
from pretrain.strategies.simclr import sizes_option, two_view_stage

EPSILON = 1e-5


def barlow_terms(first: Any, second: Any) -> tuple[Any, Any]:
    """Return the scalars (on-diagonal, off-diagonal) sums of projections (B, P) of two views, over P."""
    rows = tf.cast(tf.shape(first)[0], tf.float32)
    size = float(first.shape[1])

    def standard(z: Any) -> Any:
        mean, variance = tf.nn.moments(z, axes=[0])
        return (z - mean) / tf.sqrt(variance + EPSILON)

    correlation = tf.matmul(standard(first), standard(second), transpose_a=True) / rows
    diagonal = tf.linalg.diag_part(correlation)
    off = tf.linalg.set_diag(correlation, tf.zeros_like(diagonal))
    on = tf.reduce_sum(tf.square(1 - diagonal))
    return on / size, tf.reduce_sum(tf.square(off)) / size


def stages(setup: Setup) -> Iterator[Stage]:
    """Yield the one stage: encoder and projector together."""
    redundancy = setup.options["redundancy"]

    def losses(first: Any, second: Any) -> Mapping[str, Any]:
        on, off = barlow_terms(first, second)
        return {"loss": on + redundancy * off, "invariance": on, "redundancy": off}

    yield two_view_stage(setup, "barlow-twins", "decorrelate", losses, ("invariance", "redundancy"))


ROW = Strategy(
    name="barlow-twins",
    summary="views correlate in each feature and in no two (no negatives)",
    stages=stages,
    augments=True,
    advice="Use larger batches, a lower learning rate or a smaller redundancy (its option).",
    recipe=Recipe(epochs=20, batch_size=256, learning_rate=1e-3, schedule="cosine"),
    options={
        "redundancy": Option(0.01, "weight of the off-diagonal correlations", number(0, 10)),
        "projector": sizes_option(512, 512),
    },
)
