"""``patch-dictionary``: a dictionary of the pool's patches, by k-means.

Coates, Lee & Ng 2011, "An Analysis of Single-Layer Networks in Unsupervised Feature Learning": k-means on
normalised, whitened patches, and distances to its centroids as features, did better than autoencoders and
RBMs of one layer, in seconds. Whitening is that of a sample of the pool, W = (S + zca I)^(-1/2) up to a
rotation, with S the covariance of normalised patches. Centroids begin as random patches and move by
mini-batch k-means (Sculley 2010, "Web-Scale K-Means Clustering"): each goes to the mean of all patches that
were nearest to it so far. The loss is the mean squared distance to the nearest centroid, in whitened units.
No variable follows a gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from headstart.lazy import keras, tf
from pretrain.encoders.base import Option, integer, number
from pretrain.encoders.dictionary import IMAGES, ZCA, begin, scale, whitened
from pretrain.encoders.encoder import sample
from pretrain.engine.stage import Batch, Objective, Stage, StageSnapshot
from pretrain.monitoring.image_grid import tile
from pretrain.strategies.base import Recipe, Setup, Strategy

SHOWN = 100


def stages(setup: Setup) -> Iterator[Stage]:
    """Yield the one stage, "k-means"; after it, bring the words' features to one scale."""
    encoder, images = setup.encoder, sample(IMAGES, setup.arrays["x"])
    # A function of the run's seed: so are NumPy's numbers while stages are set up.
    draw = np.random.default_rng(np.random.randint(2**31))
    begin(encoder, setup.preprocess, images, draw, setup.options["zca"])
    variables = encoder.variables
    kernel, bias = variables["block1/words/kernel"], variables["block1/words/bias"]
    counts = keras.Variable(np.ones(kernel.shape[-1], np.float32), dtype="float32", name="counts")
    objective = Objective(
        name="k-means",
        loss=_loss(setup, whitened(encoder), kernel, bias, counts),
        variables=(),
        state=[*encoder.trainable, *encoder.state, counts],
    )
    yield setup.stage("k-means", objective, snapshot=_snapshot(variables), snapshot_epochs=10)
    scale(encoder, setup.preprocess, images)


def _loss(
    setup: Setup, white: Any, kernel: Any, bias: Any, counts: Any
) -> Callable[[Batch], Mapping[str, Any]]:
    """Return the step: assign random patches of the batch, and move the centroids where it trains."""
    each = setup.options["patches"]

    def loss(batch: Batch) -> Mapping[str, Any]:
        maps = white(setup.preprocess(batch.x), training=False)
        size, places = maps.shape[-1], maps.shape[1] * maps.shape[2]
        drawn = tf.random.stateless_uniform(
            [tf.shape(maps)[0], each], batch.draw(0), 0, places, tf.int32
        )
        patches = tf.gather(tf.reshape(maps, [-1, places, size]), drawn, batch_dims=1)
        patches = tf.reshape(patches, [-1, size])
        # The distance to each centroid, less |w|^2, which is the same for all.
        apart = tf.matmul(patches, kernel.value[0, 0]) + bias.value
        found = tf.reduce_sum(tf.square(patches), axis=1) + tf.reduce_min(apart, axis=1)
        if batch.training:
            nearest = tf.one_hot(tf.argmin(apart, axis=1), bias.shape[0])
            new = tf.reduce_sum(nearest, axis=0)
            before, total = -0.5 * kernel.value[0, 0], counts.value + new
            sums = tf.matmul(patches, nearest, transpose_a=True)
            moved = before + (sums - new * before) / total
            counts.assign(total)
            kernel.assign(-2 * moved[None, None])
            bias.assign(tf.reduce_sum(tf.square(moved), axis=0))
        return {"loss": tf.reduce_mean(tf.maximum(found, 0.0))}

    return loss


def _snapshot(variables: Mapping[str, Any]) -> Callable[[], StageSnapshot] | None:
    """Return what shows the words as patches, brought back from the whitened space."""
    side, _, channels, size = variables["block1/whiten/kernel"].shape
    if channels not in (1, 3):
        return None

    def snapshot() -> StageSnapshot:
        filters = variables["block1/whiten/kernel"].numpy().reshape(size, size)
        words = -0.5 * variables["block1/words/kernel"].numpy()[0, 0, :, :SHOWN]
        patches = (filters @ words).T
        patches = 0.5 + 0.5 * patches / np.maximum(np.abs(patches).max(axis=1, keepdims=True), 1e-9)
        return StageSnapshot(
            pictures={"words": tile(patches.reshape(-1, side, side, channels), columns=10)}
        )

    return snapshot


ROW = Strategy(
    name="patch-dictionary",
    summary="a dictionary of whitened patches by k-means; seconds, for a solved head on frozen features",
    stages=stages,
    encoders={"patches": {}},
    recipe=Recipe(epochs=1, least_updates=200, batch_size=256),
    options={
        "patches": Option(
            default=16, help="random patches of an image in a step", parse=integer(1, 4096)
        ),
        "zca": Option(
            default=ZCA,
            help="added to the variances of normalised patches when they are whitened",
            parse=number(1e-6, 100),
        ),
    },
)
