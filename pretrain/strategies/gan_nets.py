"""The generator of ``gan``: from noise (B, latent) to examples (B, ...) in [0, 1]; thrown away afterwards.

Images: Radford et al. 2016, "Unsupervised Representation Learning with Deep Convolutional Generative
Adversarial Networks": a dense layer to a small map, then transposed convolutions of stride 2, each batch-
normalised and followed by ReLU, then a convolution and a sigmoid. Vectors: two dense layers instead.
"""

from __future__ import annotations

import math
from typing import Any

# A map as small as this is made by a dense layer; larger ones by doubling it.
SMALLEST = 7
KERNEL = 4
DENSE = 256
# Of the statistics that are used in place of the batch's when samples are drawn outside training.
MOMENTUM = 0.9


def generator(shape: tuple[int, ...], latent: int, width: int) -> Any:
    """Return a Keras model from noise (B, ``latent``) to examples (B, *``shape``) in [0, 1].

    width: filters of the map of half the image's height; half as many at full height, and twice as many
        on each smaller map, but at most 4 ``width``.
    """
    import keras

    inputs = keras.Input((latent,))
    logits = _image(inputs, shape, width) if len(shape) == 3 else _vector(inputs, shape)
    return keras.Model(
        inputs, keras.layers.Activation("sigmoid", name="squash")(logits), name="generator"
    )


def _vector(hidden: Any, shape: tuple[int, ...]) -> Any:
    """Return logits (B, *shape) by dense layers."""
    import keras

    for i in (1, 2):
        hidden = keras.layers.Dense(
            DENSE, use_bias=False, kernel_initializer="he_normal", name=f"dense{i}"
        )(hidden)
        hidden = _normalised(hidden, f"{i}")
    logits = keras.layers.Dense(math.prod(shape), name="logits")(hidden)
    return keras.layers.Reshape(shape, name="reshape")(logits)


def _image(hidden: Any, shape: tuple[int, ...], width: int) -> Any:
    """Return logits (B, height, width, channels) by transposed convolutions."""
    import keras

    (rows, columns), *larger = map_sizes(shape)
    count = _count(width, len(larger))
    hidden = keras.layers.Dense(
        rows * columns * count, use_bias=False, kernel_initializer="he_normal", name="dense"
    )(hidden)
    hidden = keras.layers.Reshape((rows, columns, count), name="map")(hidden)
    hidden = _normalised(hidden, "0")
    for i, size in enumerate(larger, start=1):
        count = _count(width, len(larger) - i)
        hidden = keras.layers.Conv2DTranspose(
            count, KERNEL, strides=2, padding="same", use_bias=False, name=f"up{i}"
        )(hidden)
        # An odd size was rounded up on the way down: cut what doubling makes too much.
        extra = ((0, int(hidden.shape[1]) - size[0]), (0, int(hidden.shape[2]) - size[1]))
        if any(end for _, end in extra):
            hidden = keras.layers.Cropping2D(extra, name=f"crop{i}")(hidden)
        hidden = _normalised(hidden, f"{i}")
    # At full size: a transposed convolution alone leaves a pattern of its stride on the picture.
    return keras.layers.Conv2D(shape[-1], 3, padding="same", name="logits")(hidden)


def _count(width: int, doublings: int) -> int:
    """Return the filters of the map that is ``doublings`` doublings away from the image's size."""
    if not doublings:
        return max(1, width // 2)
    return width * min(4, 2 ** (doublings - 1))


def map_sizes(shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return heights and widths of the generator's maps for images of ``shape``, the smallest first."""
    sizes = [(shape[0], shape[1])]
    while max(sizes[-1]) > SMALLEST:
        sizes.append((math.ceil(sizes[-1][0] / 2), math.ceil(sizes[-1][1] / 2)))
    return sizes[::-1]


def _normalised(hidden: Any, name: str) -> Any:
    import keras

    hidden = keras.layers.BatchNormalization(momentum=MOMENTUM, name=f"norm{name}")(hidden)
    return keras.layers.ReLU(name=f"relu{name}")(hidden)
