"""The parts of the encoder ``patches``, computed from images: the whitening, the words and their scale.

Coates & Ng 2011, "The Importance of Encoding Versus Training with Sparse Coding and Vector Quantization",
section 4: words that are random patches of the data come near to words that were learnt.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from headstart.lazy import keras, tf
from pretrain.encoders import encoder_config
from pretrain.encoders.encoder import Encoder, sample
from pretrain.encoders.patches import EVEN

Prepare = Callable[[np.ndarray], Any]
"""Raw images (N, H, W, C) -> the encoder's input, float32 in [0, 1]."""

# Images that are looked at, and how many at a time.
IMAGES, AT_A_TIME = 4000, 250
# Added to the variances of normalised patches when they are whitened.
ZCA = 0.1
# Part of the mean standard deviation of all words' features that is added to each word's.
LEAST = 0.1


def random_words(x: np.ndarray, seed: int) -> Encoder:
    """Return an encoder whose words are random patches of images ``x``, float32 (N, H, W, C) in [0, 1]."""
    encoder = Encoder(encoder_config("patches", x.shape[1:]), seed=None)
    images = sample(IMAGES, x)
    begin(encoder, tf.convert_to_tensor, images, np.random.default_rng(seed))
    scale(encoder, tf.convert_to_tensor, images)
    return encoder


def whitened(encoder: Encoder) -> Any:
    """Return a Keras model, the encoder's input to the map of whitened patches (B, H', W', S S C)."""
    block = encoder.blocks[0][1]
    return keras.Model(block.input, block.get_layer("white").output)


def begin(
    encoder: Encoder,
    prepare: Prepare,
    images: np.ndarray,
    draw: np.random.Generator,
    zca: float = ZCA,
) -> None:
    """Give the encoder the whitening of the images (N, H, W, C), and random patches of them as its words."""
    variables = encoder.variables
    variables["block1/whiten/kernel"].assign(_whitening(encoder, prepare, images, zca))
    white, kernel = whitened(encoder), variables["block1/words/kernel"]
    count = kernel.shape[-1]
    rows, words = np.sort(draw.integers(0, len(images), count)), []
    for i in range(0, count, AT_A_TIME):
        maps = np.asarray(white(prepare(images[rows[i : i + AT_A_TIME]]), training=False))
        maps = maps.reshape(len(maps), -1, maps.shape[-1])
        words.append(maps[np.arange(len(maps)), draw.integers(0, maps.shape[1], len(maps))])
    patches = np.concatenate(words)
    # Of the distance |w - c|^2 the kernel has -2 c, and the bias |c|^2.
    kernel.assign(-2 * patches.T[None, None])
    variables["block1/words/bias"].assign(np.square(patches).sum(axis=1))


def _whitening(encoder: Encoder, prepare: Prepare, images: np.ndarray, zca: float) -> np.ndarray:
    """Return the filters (S, S, C, S S C) that whiten normalised patches."""
    side, _, channels, size = encoder.variables["block1/whiten/kernel"].shape
    stride = encoder.blocks[0][1].get_layer("whiten").strides[0]
    window, strides = [1, side, side, 1], [1, stride, stride, 1]
    total, products, sums = 0, np.zeros((size, size)), np.zeros(size)
    for i in range(0, len(images), AT_A_TIME):
        x = prepare(images[i : i + AT_A_TIME])
        patches = tf.image.extract_patches(x, window, strides, [1, 1, 1, 1], "VALID")
        rows = np.asarray(patches, np.float64).reshape(-1, size)
        rows -= rows.mean(axis=1, keepdims=True)
        rows /= np.sqrt(np.square(rows).mean(axis=1, keepdims=True) + EVEN)
        total, sums, products = total + len(rows), sums + rows.sum(axis=0), products + rows.T @ rows
    mean = sums / total
    values, vectors = np.linalg.eigh(products / total - np.outer(mean, mean))
    filters = vectors / np.sqrt(np.maximum(values, 0) + zca)
    # What is left of the patch's mean is rounding: each filter adds up to 0.
    filters -= filters.mean(axis=0)
    return filters.reshape(side, side, channels, size)


def scale(encoder: Encoder, prepare: Prepare, images: np.ndarray) -> None:
    """Bring each word's feature to mean 0 and standard deviation 1 over the images and the cells."""
    (_, first), (_, second) = encoder.blocks
    pool = second.get_layer("pool")
    total, sums, squares = 0, 0.0, 0.0
    for i in range(0, len(images), AT_A_TIME):
        rows = np.asarray(pool(first(prepare(images[i : i + AT_A_TIME]), training=False)))
        rows = rows.reshape(-1, rows.shape[-1]).astype(np.float64)
        total, sums = total + len(rows), sums + rows.sum(axis=0)
        squares = squares + np.square(rows).sum(axis=0)
    mean = sums / total
    spread = np.sqrt(np.maximum(squares / total - mean**2, 0))
    # A word that is near to nothing would be noise.
    spread += LEAST * spread.mean() + 1e-6
    encoder.variables["block2/scale/kernel"].assign((1 / spread)[None, None, :, None])
    encoder.variables["block2/scale/bias"].assign(-mean / spread)
