"""``resnet``: residual blocks with group normalisation, for photos of 32 to 96 px on a CPU.

He et al. 2016, "Identity Mappings in Deep Residual Networks": each block adds conv act norm conv act norm x
to a shortcut of x, so that a deep net trains as easily as a shallow one. Normalised by groups (see
``convolutions``), so a frozen block is the same function whatever the batch. The features are the mean
over positions of the last block's maps: where a thing stands does not matter, only that it is there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from headstart.lazy import keras
from pretrain.encoders.base import Architecture, Option, Shapes, affine, integer, integers
from pretrain.encoders.convolutions import (
    ACTIVATION,
    check_images,
    convolved,
    cropped,
    doubled,
    normalised,
    scales,
    smallest_map,
)

NORM = "group"


def _plan(options: Mapping[str, Any]) -> list[tuple[int, int]]:
    """Return (filters, stride) of each residual block; all widths but the first begin with stride 2."""
    return [
        (count, 2 if i > 0 and j == 0 else 1)
        for i, count in enumerate(options["filters"])
        for j in range(options["depth"])
    ]


def shapes(input_shape: tuple[int, ...], options: Mapping[str, Any]) -> Shapes:
    """Return the shapes of the stem's, of each residual block's and of the last normalisation's weights."""
    check_images("resnet", input_shape)
    below = options["filters"][0]
    result = affine("stem/conv", 3, 3, input_shape[-1], below)
    plan = _plan(options)
    for i, (count, stride) in enumerate(plan, start=1):
        block = f"block{i}"
        result |= scales(NORM, f"{block}/norm1", below)
        # In the order in which Keras builds the layers: the shortcut reads the first activation.
        result |= affine(f"{block}/conv1", 3, 3, below, count)
        result |= scales(NORM, f"{block}/norm2", count)
        result |= affine(f"{block}/conv2", 3, 3, count, count)
        if stride != 1 or below != count:
            result |= affine(f"{block}/shortcut", 1, 1, below, count)
        if i == len(plan):
            result |= scales(NORM, f"{block}/norm3", count)
        below = count
    return result


def build(input_shape: tuple[int, ...], options: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Build the stem, one block a residual block, the last of which ends in the features (B, D)."""
    check_images("resnet", input_shape)
    blocks: list[tuple[str, Any]] = []
    inputs = keras.Input(tuple(input_shape))
    stem = convolved(inputs, options["filters"][0], 3, options["stem_stride"], "conv")
    blocks.append(("stem", keras.Model(inputs, stem, name="stem")))
    plan = _plan(options)
    for i, (count, stride) in enumerate(plan, start=1):
        inputs = keras.Input(tuple(blocks[-1][1].output_shape[1:]))
        outputs = _residual(inputs, count, stride, options["activation"])
        if i == len(plan):
            outputs = normalised(outputs, NORM, "norm3")
            outputs = keras.layers.Activation(options["activation"], name="act3")(outputs)
            outputs = keras.layers.GlobalAveragePooling2D(name="pool")(outputs)
        blocks.append((f"block{i}", keras.Model(inputs, outputs, name=f"block{i}")))
    return blocks


def _residual(inputs: Any, count: int, stride: int, activation: str) -> Any:
    """Return one pre-activation residual block of maps (B, H, W, C): equation 7 of the paper."""
    hidden = normalised(inputs, NORM, "norm1")
    first = hidden = keras.layers.Activation(activation, name="act1")(hidden)
    hidden = convolved(hidden, count, 3, stride, "conv1")
    hidden = normalised(hidden, NORM, "norm2")
    hidden = keras.layers.Activation(activation, name="act2")(hidden)
    hidden = convolved(hidden, count, 3, 1, "conv2")
    straight = inputs
    if stride != 1 or int(inputs.shape[-1]) != count:
        straight = convolved(first, count, 1, stride, "shortcut")
    return keras.layers.Add(name="add")([hidden, straight])


def decode(input_shape: tuple[int, ...], options: Mapping[str, Any]) -> Any:
    """Build a plain decoder: features to a small map, then transposed convolutions at half the width."""
    size, top = input_shape[:2], options["filters"][-1]
    ups = options["stem_stride"] // 2 + len(options["filters"]) - 1
    inputs = keras.Input((top,))
    hidden = smallest_map(inputs, [math.ceil(n / 2**ups) for n in size], top)
    for i in range(1, ups + 1):
        hidden = doubled(hidden, max(8, top // 2**i), f"decode{i}")
    logits = cropped(convolved(hidden, input_shape[-1], 3, 1, "logits"), size, "crop")
    return keras.Model(inputs, logits, name="decoder")


ROW = Architecture(
    name="resnet",
    summary="residual blocks 32-64-128, group-normalised, mean over positions; colour photos of 32 to 96 px",
    shapes=shapes,
    build=build,
    decode=decode,
    convolutional=True,
    options={
        "filters": Option(
            [32, 64, 128],
            "widths, lowest first; each but the first halves height and width",
            integers(1, 2048, most=6),
        ),
        "depth": Option(1, "residual blocks of each width", integer(1, 16)),
        "stem_stride": Option(2, "stride of the first convolution: 1 or 2", integer(1, 2)),
        "activation": ACTIVATION,
    },
)
