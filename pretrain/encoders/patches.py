"""``patches``: how near each place of an image is to the words of a dictionary of patches.

Coates, Lee & Ng 2011, "An Analysis of Single-Layer Networks in Unsupervised Feature Learning", sections 3.2
and 3.3. Each patch p is brought to mean 0 and standard deviation 1 and whitened, w = W (p - mean) / spread;
with the distances z_k = |w - c_k| to K centroids, its features are max(0, mean(z) - z_k): half of them are
0. They are averaged over the cells of a grid. The dictionary is not learnt by gradients: the strategy
``patch-dictionary`` computes it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from headstart.errors import InputError
from headstart.lazy import keras
from pretrain.encoders.base import Architecture, Option, Shapes, affine, integer
from pretrain.encoders.convolutions import check_images

# Added to the variance of a patch, values being 0 to 1: a patch without contrast is not blown up.
EVEN = 10 / 255**2
# Largest map of patches: a larger image has a patch at every second place, or third.
LARGEST = 32
# Side of a patch, unless it is given: at most this, and for small images this part of the side.
PATCH, PART = 6, 2


def geometry(input_shape: tuple[int, ...], options: Mapping[str, Any]) -> tuple[int, int, int]:
    """Return the side of a patch, the stride between patches, and the side of a cell's pool, in places.

    Raises InputError: examples that are no images, or a patch that is larger than they are.
    """
    check_images("patches", input_shape)
    sides = input_shape[:2]
    patch = options["patch"] or max(1, min(PATCH, min(sides) // PART))
    if patch > min(sides):
        raise InputError(
            f"The encoder 'patches' has patches of {patch} px, and images are {sides[0]}x{sides[1]}.",
            hint="Give a smaller patch.",
        )
    stride = math.ceil(max(sides) / LARGEST)
    places = (max(sides) - patch) // stride + 1
    return patch, stride, math.ceil(places / options["grid"])


def _places(input_shape: tuple[int, ...], options: Mapping[str, Any]) -> list[int]:
    """Return the height and width of the map of patches."""
    patch, stride, _ = geometry(input_shape, options)
    return [(side - patch) // stride + 1 for side in input_shape[:2]]


def shapes(input_shape: tuple[int, ...], options: Mapping[str, Any]) -> Shapes:
    """Return the shapes of the whitening, the dictionary, and the scale of each word's feature."""
    patch, _, _ = geometry(input_shape, options)
    size, words = patch * patch * input_shape[-1], options["words"]
    return {
        "block1/whiten/kernel": (patch, patch, input_shape[-1], size),
        **affine("block1/words", 1, 1, size, words),
        "block2/scale/kernel": (1, 1, words, 1),
        "block2/scale/bias": (words,),
    }


def build(input_shape: tuple[int, ...], options: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Build the map of the words' features, (B, H', W', words), and its means over a grid, scaled."""
    layers, ops = keras.layers, keras.ops
    patch, stride, pool = geometry(input_shape, options)
    size, words = patch * patch * input_shape[-1], options["words"]
    inputs = keras.Input(tuple(input_shape))
    means = layers.AveragePooling2D(patch, stride, name="means")
    average = ops.mean(means(inputs), axis=-1, keepdims=True)
    square = ops.mean(
        layers.AveragePooling2D(patch, stride, name="squares")(ops.square(inputs)),
        axis=-1,
        keepdims=True,
    )
    spread = ops.sqrt(ops.maximum(square - ops.square(average), 0.0) + EVEN)
    # The filters add up to 0, so the patch's mean needs not be taken off.
    whiten = layers.Conv2D(size, patch, strides=stride, use_bias=False, name="whiten")
    white = layers.Activation("linear", name="white")(whiten(inputs) / spread)
    # |w - c|^2 = |w|^2 - 2 w c + |c|^2: kernel -2 c, bias |c|^2.
    products = layers.Conv2D(words, 1, name="words")(white)
    squared = ops.sum(ops.square(white), axis=-1, keepdims=True) + products
    apart = ops.sqrt(ops.maximum(squared, 1e-6))
    near = ops.relu(ops.mean(apart, axis=-1, keepdims=True) - apart)
    first = keras.Model(inputs, near, name="block1")
    inputs = keras.Input((*_places(input_shape, options), words))
    hidden = layers.AveragePooling2D(pool, padding="same", name="pool")(inputs)
    start = keras.initializers.RandomUniform(0.5, 1.5)
    hidden = layers.DepthwiseConv2D(1, depthwise_initializer=start, name="scale")(hidden)
    outputs = layers.Flatten(name="flatten")(hidden)
    return [("block1", first), ("block2", keras.Model(inputs, outputs, name="block2"))]


def decode(input_shape: tuple[int, ...], options: Mapping[str, Any]) -> Any:
    """Build one dense layer from the features to the pixels."""
    features = int(build(input_shape, options)[-1][1].output_shape[-1])
    inputs = keras.Input((features,))
    hidden = keras.layers.Dense(math.prod(input_shape), name="logits")(inputs)
    outputs = keras.layers.Reshape(tuple(input_shape), name="reshape")(hidden)
    return keras.Model(inputs, outputs, name="decoder")


ROW = Architecture(
    name="patches",
    summary="distances to a dictionary of patches, averaged over a grid; images; strategy patch-dictionary",
    shapes=shapes,
    build=build,
    decode=decode,
    convolutional=True,
    computed=True,
    options={
        "words": Option(default=400, help="patches in the dictionary", parse=integer(2, 16384)),
        "patch": Option(
            default=0,
            help="side of a patch in px; 0: 6, less for images below 12 px",
            parse=integer(0, 64),
        ),
        "grid": Option(
            default=3, help="cells across and down over which is averaged", parse=integer(1, 64)
        ),
    },
)
