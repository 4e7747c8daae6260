"""``lejepa``: views of an example predict its mean, and the projections of all examples form a round cloud.

Balestriero & LeCun 2025, "LeJEPA: Provable and Scalable Self-Supervised Learning Without the Heuristics",
sections 4 and 5. Each of B examples gives ``views`` global views, by the augmentation, and ``crops`` local
ones, which keep less of the image (multi-crop; Caron et al. 2020, "SwAV"). With the projection z_v (P,)
of view v and m the mean over the example's global views, the prediction term is the mean over examples and
views of |z_v - m|^2 / P. There is no teacher, no stopped gradient and no negative.

What prevents collapse is SIGReg, sketched isotropic Gaussian regularisation: for each view's projections
Z (B, P) and each of ``directions`` random unit vectors a, drawn anew at each step, the statistic of Epps &
Pulley 1983 compares the B numbers Z a with a standard normal variable by their characteristic functions:

    T(a) = B * integral over t from -5 to 5 of |mean over examples of exp(i t z . a) - exp(-t^2 / 2)|^2 w(t)

with w(t) = exp(-t^2 / 2), by the trapezoidal rule on 17 points. It is small only if Z a has mean 0, variance
1 and a Gaussian shape; if so in every direction, Z is isotropic. The loss is
(1 - ``weight``) prediction + ``weight`` (mean of T over views and directions).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from headstart.lazy import tf
from pretrain.encoders.base import Option, integer, number
from pretrain.engine.stage import Batch, Stage
from pretrain.strategies.base import Recipe, Setup, Strategy
from pretrain.strategies.simclr import projector, sizes_option

LIMIT, POINTS = 5.0, 17


def epps_pulley(samples: Any) -> Any:
    """Return the statistic T of each column of ``samples``, float32 (..., B, K) -> (..., K).

    The integrand is even in t, so that half of the points serve, and 0 at t = 0.
    """
    step = 2 * LIMIT / (POINTS - 1)
    t = np.arange(1, POINTS // 2 + 1, dtype=np.float32) * np.float32(step)
    # Both halves; the trapezoidal rule takes half of the value at either end.
    weights = 2 * step * np.exp(-np.square(t) / 2)
    weights[-1] /= 2
    angles = samples[..., None] * t  # (..., B, K, T)
    real = tf.reduce_mean(tf.cos(angles), axis=-3) - np.exp(-np.square(t) / 2)
    imaginary = tf.reduce_mean(tf.sin(angles), axis=-3)
    apart = tf.reduce_sum((tf.square(real) + tf.square(imaginary)) * weights, axis=-1)
    return tf.cast(tf.shape(samples)[-2], tf.float32) * apart


def sigreg(z: Any, seed: Any, directions: int) -> Any:
    """Return the scalar mean of T over views and random directions.

    Args:
        z: projections, float32 (V, B, P).
        seed: int32 (2,), decides the directions.
        directions: how many.
    """
    drawn = tf.random.stateless_normal([int(z.shape[-1]), directions], seed)
    return tf.reduce_mean(epps_pulley(tf.matmul(z, tf.math.l2_normalize(drawn, axis=0))))


def prediction(z: Any, views: int) -> Any:
    """Return the scalar mean square distance of projections (V, B, P) to the first ``views``' mean."""
    return tf.reduce_mean(tf.square(z - tf.reduce_mean(z[:views], axis=0)))


def stages(setup: Setup) -> Iterator[Stage]:
    """Yield the one stage: encoder and projector together."""
    options, augmentation = setup.options, setup.augmentation.options
    head = projector(setup.encoder.feature_size, options["projector"])
    views, crops, weight = options["views"], options["crops"], options["weight"]
    nearer = dict(augmentation)
    if "crop" in nearer:  # of images
        nearer["crop"] = min(options["crop"], nearer["crop"])
        nearer.update(options.get("local", {}))

    def loss(batch: Batch) -> Mapping[str, Any]:
        made = setup.views(batch, views)
        made += setup.views(batch, crops, options=nearer, first=views)
        seen = setup.encoder(tf.concat(made, axis=0), batch.training)
        z = head(seen, training=batch.training)
        z = tf.reshape(z, [views + crops, -1, int(z.shape[-1])])
        apart, shape = prediction(z, views), sigreg(z, batch.draw(1), options["directions"])
        deviation = tf.math.reduce_std(tf.reshape(z, [-1, int(z.shape[-1])]), axis=0)
        return {
            "loss": (1 - weight) * apart + weight * shape,
            "prediction": apart,
            "gaussian": shape,
            # 1 when every projection varies as it should: the collapse monitor looks at it.
            "spread": tf.reduce_mean(tf.minimum(deviation, 1.0)),
        }

    metrics = ("prediction", "gaussian", "spread")
    objective = setup.objective("predict", loss, head, metrics=metrics)
    yield setup.stage("lejepa", objective, evaluation_batch=setup.recipe.batch_size)


ROW = Strategy(
    name="lejepa",
    summary="views predict an example's mean; projections become Gaussian (multi-crop, no negatives)",
    stages=stages,
    augments=True,
    advice="Raise the weight of the Gaussian shape (option weight=0.1) or lower the learning rate.",
    recipe=Recipe(epochs=20, batch_size=256, learning_rate=1e-3, schedule="cosine"),
    options={
        "weight": Option(
            0.05, "0 to 1: of the Gaussian shape; the rest is of the prediction", number(0, 1)
        ),
        "views": Option(2, "global views of an example, which make the mean", integer(1, 16)),
        "crops": Option(2, "local views of an example; 0 for none", integer(0, 16)),
        "crop": Option(0.3, "least part of an image's area in a local view", number(0.05, 1)),
        "directions": Option(64, "random directions of a step", integer(1, 8192)),
        "projector": sizes_option(256, 64),
    },
)
