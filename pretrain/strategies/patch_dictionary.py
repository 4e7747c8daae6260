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

from pretrain.encoders.base import Option, integer, number
from pretrain.encoders.encoder import sample
from pretrain.encoders.patches import EVEN
from pretrain.engine.stage import Batch, Objective, Stage, StageSnapshot
from pretrain.monitoring.image_grid import tile
from pretrain.strategies.base import Recipe, Setup, Strategy

# Images from which the whitening and the features' scale are computed, and at a time.
IMAGES, AT_A_TIME = 4000, 250
SHOWN = 100
# Part of the mean standard deviation that is added to each word's.
LEAST = 0.1


def stages(setup: Setup) -> Iterator[Stage]:
    """Yield the one stage, "k-means"; after it, bring the words' features to one scale."""
    import keras

    variables = setup.encoder.variables
    block = setup.encoder.blocks[0][1]
    white = keras.Model(block.input, block.get_layer("white").output)
    images = sample(IMAGES, setup.arrays["x"])
    _whiten(setup, variables["block1/whiten/kernel"], images)
    kernel, bias = variables["block1/words/kernel"], variables["block1/words/bias"]
    centroids = _start(setup, white, images, kernel.shape[-1])
    kernel.assign(-2 * centroids.T[None, None])
    bias.assign(np.square(centroids).sum(axis=1))
    counts = keras.Variable(np.ones(kernel.shape[-1], np.float32), dtype="float32", name="counts")
    objective = Objective(
        name="k-means",
        loss=_loss(setup, white, kernel, bias, counts),
        variables=(),
        state=[*setup.encoder.trainable, *setup.encoder.state, counts],
    )
    yield setup.stage("k-means", objective, snapshot=_snapshot(variables), snapshot_epochs=10)
    _scale(setup, images)


def _loss(
    setup: Setup, white: Any, kernel: Any, bias: Any, counts: Any
) -> Callable[[Batch], Mapping[str, Any]]:
    """Return the step: assign random patches of the batch, and move the centroids where it trains."""
    each = setup.options["patches"]

    def loss(batch: Batch) -> Mapping[str, Any]:
        import tensorflow as tf

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


def _whiten(setup: Setup, kernel: Any, images: np.ndarray) -> None:
    """Make the filters (S, S, C, S S C) that whiten normalised patches of the raw ``images`` (N, H, W, C)."""
    import tensorflow as tf

    side, _, channels, size = kernel.shape
    stride = setup.encoder.blocks[0][1].get_layer("whiten").strides[0]
    total, covariance, mean = 0, np.zeros((size, size)), np.zeros(size)
    for i in range(0, len(images), AT_A_TIME):
        patches = tf.image.extract_patches(
            setup.preprocess(images[i : i + AT_A_TIME]),
            [1, side, side, 1],
            [1, stride, stride, 1],
            [1, 1, 1, 1],
            "VALID",
        )
        rows = np.asarray(patches, np.float64).reshape(-1, size)
        rows -= rows.mean(axis=1, keepdims=True)
        rows /= np.sqrt(np.square(rows).mean(axis=1, keepdims=True) + EVEN)
        total, mean = total + len(rows), mean + rows.sum(axis=0)
        covariance += rows.T @ rows
    mean /= total
    values, vectors = np.linalg.eigh(covariance / total - np.outer(mean, mean))
    filters = vectors / np.sqrt(np.maximum(values, 0) + setup.options["zca"])
    # What is left of the patch's mean is rounding: each filter adds up to 0 exactly.
    filters -= filters.mean(axis=0)
    kernel.assign(filters.reshape(side, side, channels, size))


def _start(setup: Setup, white: Any, images: np.ndarray, words: int) -> np.ndarray:
    """Return random whitened patches (words, S S C) of the raw ``images``, at random places."""
    # A function of the run's seed: so are NumPy's numbers while stages are set up.
    draw = np.random.default_rng(np.random.randint(2**31))
    rows = np.sort(draw.integers(0, len(images), words))
    found = []
    for i in range(0, words, AT_A_TIME):
        maps = np.asarray(white(setup.preprocess(images[rows[i : i + AT_A_TIME]]), training=False))
        maps = maps.reshape(len(maps), -1, maps.shape[-1])
        found.append(maps[np.arange(len(maps)), draw.integers(0, maps.shape[1], len(maps))])
    return np.concatenate(found)


def _scale(setup: Setup, images: np.ndarray) -> None:
    """Bring each word's feature to mean 0 and standard deviation 1 over the raw ``images`` and the cells."""
    (_, first), (_, second) = setup.encoder.blocks
    pool = second.get_layer("pool")
    total, sums, squares = 0, 0.0, 0.0
    for i in range(0, len(images), AT_A_TIME):
        maps = first(setup.preprocess(images[i : i + AT_A_TIME]), training=False)
        rows = np.asarray(pool(maps), np.float64)
        rows = rows.reshape(-1, rows.shape[-1])
        total, sums, squares = (
            total + len(rows),
            sums + rows.sum(axis=0),
            squares + np.square(rows).sum(axis=0),
        )
    mean = sums / total
    spread = np.sqrt(np.maximum(squares / total - mean**2, 0))
    # A word that is near to nothing in the pool would be noise.
    spread += LEAST * spread.mean() + 1e-6
    variables = setup.encoder.variables
    variables["block2/scale/kernel"].assign((1 / spread)[None, None, :, None])
    variables["block2/scale/bias"].assign(-mean / spread)


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
            default=0.1,
            help="added to the variances of normalised patches when they are whitened",
            parse=number(1e-6, 100),
        ),
    },
)
