"""``convnet``: three strided convolutions and a dense layer, for small images on a CPU.

Strides instead of pooling: the first, largest feature map is a quarter of the pixels, so a step costs
a third of the same net with pooling. Without normalisation, He et al. 2015 initialisation keeps the
signal's variance through ReLU; with it, see ``normalisation``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from headstart.errors import InputError
from pretrain.encoders.base import Architecture, Option, Shapes, choice, integer, integers
from pretrain.encoders.normalisation import ACTIVATIONS, NORMALISATIONS, normalised, scales


def _sizes(input_shape: tuple[int, ...], filters: list[int]) -> list[tuple[int, int]]:
    """Return the height and width of the input and after each strided convolution."""
    if len(input_shape) != 3:
        raise InputError(
            f"The encoder 'convnet' needs images of shape (height, width, channels), and examples have shape "
            f"{tuple(input_shape)}.",
            hint="For vectors use the encoder 'mlp'.",
        )
    height, width, _ = input_shape
    sizes = [(height, width)]
    for _ in filters:
        height, width = math.ceil(height / 2), math.ceil(width / 2)
        sizes.append((height, width))
    return sizes


def shapes(input_shape: tuple[int, ...], options: Mapping[str, Any]) -> Shapes:
    """Return the shapes of each convolution's and of the dense layer's kernel and bias."""
    filters, features = options["filters"], options["features"]
    height, width = _sizes(input_shape, filters)[-1]
    result: Shapes = {}
    below = input_shape[-1]
    for i, count in enumerate(filters, start=1):
        result[f"block{i}/conv/kernel"] = (3, 3, below, count)
        result[f"block{i}/conv/bias"] = (count,)
        result |= scales(options["normalisation"], f"block{i}/norm", count)
        below = count
    top = f"block{len(filters) + 1}/dense"
    result[f"{top}/kernel"] = (height * width * below, features)
    result[f"{top}/bias"] = (features,)
    return result


def build(input_shape: tuple[int, ...], options: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Build one block a convolution, and a last one from feature maps to features (B, D)."""
    import keras

    sizes = _sizes(input_shape, options["filters"])
    blocks = []
    shape = tuple(input_shape)
    for i, count in enumerate(options["filters"], start=1):
        inputs = keras.Input(shape)
        hidden = keras.layers.Conv2D(
            count, 3, strides=2, padding="same", kernel_initializer="he_normal", name="conv"
        )(inputs)
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
    import keras

    filters = options["filters"]
    sizes = _sizes(input_shape, filters)
    height, width = sizes[-1]
    inputs = keras.Input((options["features"],))
    hidden = keras.layers.Dense(
        height * width * filters[-1],
        activation="relu",
        kernel_initializer="he_normal",
        name="dense",
    )(inputs)
    hidden = keras.layers.Reshape((height, width, filters[-1]), name="reshape")(hidden)
    channels = [*(max(1, n // 2) for n in reversed(filters[:-1])), input_shape[-1]]
    for i, count in enumerate(channels, start=1):
        last = i == len(channels)
        hidden = keras.layers.Conv2DTranspose(
            count,
            3,
            strides=2,
            padding="same",
            activation=None if last else "relu",
            kernel_initializer="he_normal",
            name="logits" if last else f"decode{i}",
        )(hidden)
        # An odd size was rounded up on the way down: cut what the way up adds too much.
        target = sizes[len(filters) - i]
        extra = (hidden.shape[1] - target[0], hidden.shape[2] - target[1])
        if any(extra):
            hidden = keras.layers.Cropping2D(((0, extra[0]), (0, extra[1])), name=f"crop{i}")(
                hidden
            )
    return keras.Model(inputs, hidden, name="decoder")


ROW = Architecture(
    name="convnet",
    summary="3x3 convolutions of stride 2 (32-64-128), then a dense layer; images of 8 to 96 px",
    shapes=shapes,
    build=build,
    decode=decode,
    convolutional=True,
    options={
        "filters": Option(
            default=[32, 64, 128],
            help="filters of the convolutions, lowest first",
            parse=integers(1, 4096, most=8),
        ),
        "features": Option(
            default=128,
            help="size of the features, the last block's output",
            parse=integer(1, 65536),
        ),
        "activation": Option(
            default="relu", help=", ".join(ACTIVATIONS), parse=choice(*ACTIVATIONS)
        ),
        "normalisation": Option(
            default="none",
            help="of each convolution: none, or group (no statistics that drift)",
            parse=choice(*NORMALISATIONS),
        ),
    },
)
