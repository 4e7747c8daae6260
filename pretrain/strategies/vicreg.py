"""``vicreg``: views of an example must agree, and every dimension must vary and differ from the others.

Bardes, Ponce & LeCun 2022, "VICReg: Variance-Invariance-Covariance Regularization", equations 1 to 6.
With the projections z and z' (B, P) of two views: invariance s = mean over examples of |z - z'|^2 / P,
variance v(z) = mean over dimensions of max(0, 1 - sqrt(var + eps)), covariance c(z) = the sum of the
squared off-diagonal covariances / P; the loss is
``invariance`` s + ``variance`` (v(z) + v(z')) / 2 + ``covariance`` (c(z) + c(z')). (The paper's text
sums v over the two views and its code halves it; this follows the code, and the weights 25, 25, 1.)
It needs no negatives, so small batches will do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from headstart.lazy import tf
from pretrain.encoders.base import Option, number
from pretrain.engine.stage import Stage
from pretrain.strategies.base import Recipe, Setup, Strategy
from pretrain.strategies.simclr import sizes_option, two_view_stage

EPSILON = 1e-4


def vicreg_terms(first: Any, second: Any) -> tuple[Any, Any, Any]:
    """Return the scalars (invariance, variance, covariance) of projections (B, P) of two views."""
    rows = tf.cast(tf.shape(first)[0], tf.float32)
    size = float(first.shape[1])
    invariance = tf.reduce_mean(tf.square(first - second))
    variance, covariance = 0.0, 0.0
    for z in (first, second):
        centred = z - tf.reduce_mean(z, axis=0)
        # Of a single example nothing can be estimated: its sums are zero, and stay so.
        products = tf.matmul(centred, centred, transpose_a=True) / tf.maximum(rows - 1, 1)
        spread = tf.sqrt(tf.linalg.diag_part(products) + EPSILON)
        variance += tf.reduce_mean(tf.nn.relu(1 - spread)) / 2
        off = tf.linalg.set_diag(products, tf.zeros_like(spread))
        covariance += tf.reduce_sum(tf.square(off)) / size
    return invariance, variance, covariance


def stages(setup: Setup) -> Iterator[Stage]:
    """Yield the one stage: encoder and projector together."""
    options = setup.options

    def losses(first: Any, second: Any) -> Mapping[str, Any]:
        invariance, variance, covariance = vicreg_terms(first, second)
        return {
            "loss": options["invariance"] * invariance
            + options["variance"] * variance
            + options["covariance"] * covariance,
            "invariance": invariance,
            "variance": variance,
            "covariance": covariance,
            # Of the projections, 1 when all dimensions vary as they should: the collapse monitor looks at it.
            "spread": 1 - variance,
        }

    metrics = ("invariance", "variance", "covariance", "spread")
    yield two_view_stage(setup, "vicreg", "agree", losses, metrics)


def _weight(default: float, about: str) -> Option:
    return Option(default, f"weight of {about}", number(0, 1000))


ROW = Strategy(
    name="vicreg",
    summary="views agree while every feature varies (no negatives, small batches)",
    stages=stages,
    augments=True,
    advice="Raise the weight of the variance (option variance=25) or lower the learning rate.",
    recipe=Recipe(epochs=20, batch_size=256, learning_rate=1e-3, schedule="cosine"),
    options={
        "invariance": _weight(25.0, "the agreement of the two views"),
        "variance": _weight(25.0, "each dimension's spread; 0 lets the features collapse"),
        "covariance": _weight(1.0, "the difference between dimensions"),
        "projector": sizes_option(512, 512),
    },
)
