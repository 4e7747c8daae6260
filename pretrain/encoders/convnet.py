"""``convnet``: three strided convolutions and a dense layer, for small images on a CPU.

Strides instead of pooling: the first, largest feature map is a quarter of the pixels, so a step costs
a third of the same net with pooling. Without normalisation, He et al. 2015 initialisation keeps the
signal's variance through ReLU; with it, see ``convolutions``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from headstart.lazy import keras
from pretrain.encoders.base import Architecture, Option, Shapes, affine, choice, integer, integers
from pretrain.encoders.convolutions import (
    ACTIVATION,
    NORMALISATIONS,
    check_images,
    convolved,
    cropped,
    doubled,
    normalised,
    scales,
    smallest_map,
)


def _sizes(input_shape: tuple[int, ...], filters: list[int]) -> list[tuple[int, ...]]:
    """Return the height and width of the input and after each strided convolution."""
    check_images("convnet", input_shape)
    sizes = [tuple(input_shape[:2])]
    for _ in filters:
        sizes.append(tuple(math.ceil(n / 2) for n in sizes[-1]))
    return sizes


def shapes(input_shape: tuple[int, ...], options: Mapping[str, Any]) -> Shapes:
    """Return the shapes of each convolution's and of the dense layer's kernel and bias."""
    filters = options["filters"]
    size = _sizes(input_shape, filters)[-1]
    result: Shapes = {}
    below = input_shape[-1]
    for i, count in enumerate(filters, start=1):
        result |= affine(f"block{i}/conv", 3, 3, below, count)
        result |= scales(options["normalisation"], f"block{i}/norm", count)
        below = count
    top = f"block{len(filters) + 1}/dense"
    return result | affine(top, math.prod(size) * below, options["features"])


def build(input_shape: tuple[int, ...], options: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Build one block a convolution, and a last one from feature maps to features (B, D)."""
    sizes = _sizes(input_shape, options["filters"])
    blocks = []
    shape = tuple(input_shape)
    for i, count in enumerate(options["filters"], start=1):
        inputs = keras.Input(shape)
        hidden = convolved(inputs, count, 3, 2, "conv")
        hidden = normalised(hidden, options["normalisation"], "norm")
        outputs = keras.layers.Activation(options["activation"], name="act")(hidden)
        blocks.append((f"block{i}", keras.Model(inputs, outputs, name=f"block{i}")))
        shape = (*sizes[i], count)
    inputs = keras.Input(shape)
    flat = keras.layers.Flatten(name="flatten")(inputs)
    outputs = keras.layers.Dense(
        options["features"],
        activation=options["activation"],
        kernel_initializer="he_normal",
        name="dense",
    )(flat)
    name = f"block{len(options['filters']) + 1}"
    blocks.append((name, keras.Model(inputs, outputs, name=name)))
    return blocks


def decode(input_shape: tuple[int, ...], options: Mapping[str, Any]) -> Any:
    """Build the mirror image at half the width, transposed convolutions cropped to the input's size.

    Half: at full width the decoder, which is thrown away, would cost four times the encoder.
    """
    filters = options["filters"]
    sizes = _sizes(input_shape, filters)
    inputs = keras.Input((options["features"],))
    hidden = smallest_map(inputs, sizes[-1], filters[-1])
    widths = [max(1, n // 2) for n in reversed(filters[:-1])]
    for i, count in enumerate(widths, start=1):
        hidden = cropped(doubled(hidden, count, f"decode{i}"), sizes[-1 - i], f"crop{i}")
    logits = doubled(hidden, input_shape[-1], "logits", activation=None)
    logits = cropped(logits, sizes[0], f"crop{len(filters)}")
    return keras.Model(inputs, logits, name="decoder")


ROW = Architecture(
    name="convnet",
    summary="3x3 convolutions of stride 2 (32-64-128), then a dense layer; images of 8 to 96 px",
    shapes=shapes,
    build=build,
    decode=decode,
    convolutional=True,
    options={
        "filters": Option(
            [32, 64, 128], "filters of the convolutions, lowest first", integers(1, 4096, most=8)
        ),
        "features": Option(128, "size of the features, the last block's output", integer(1, 65536)),
        "activation": ACTIVATION,
        "normalisation": Option(
            "none",
            "of each convolution: none, or group (no statistics that drift)",
            choice(*NORMALISATIONS),
        ),
    },
)
