"""Shapes of what stock Keras layers make, and of their weights, in plain arithmetic.

Functions take a layer's checked configuration and the shapes of its inputs for one example, and raise
ValueError with the reason where the layer cannot be.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from pretrain.encoders.base import Shapes

Shape = tuple[int, ...]
Config = Mapping[str, Any]


def image(shapes: list[Shape]) -> tuple[int, int, int]:
    """Return (height, width, channels) of the first input, or raise ValueError."""
    if len(shapes[0]) != 3:
        raise ValueError(f"needs images or feature maps (height, width, channels), not {shapes[0]}")
    return shapes[0][0], shapes[0][1], shapes[0][2]


def same(config: Config, shapes: list[Shape]) -> Shape:
    """An output like the (first) input."""
    return shapes[0]


def slid(config: Config, shapes: list[Shape], window: str, channels: int) -> Shape:
    """Return (height, width, channels) after a window has been slid over a map."""
    sizes = []
    dilations = config.get("dilation_rate", [1, 1])
    for n, k, stride, dilation in zip(
        image(shapes)[:2], config[window], config["strides"], dilations, strict=True
    ):
        if stride > 1 and dilation > 1:
            raise ValueError("has both strides and dilation")
        reach = (k - 1) * dilation + 1
        sizes.append(-(-n // stride) if config["padding"] == "same" else (n - reach) // stride + 1)
    return (*sizes, channels)


def bias(config: Config, units: int) -> Shapes:
    """Shapes: of a bias, if there is one."""
    return {"bias": (units,)} if config["use_bias"] else {}


def dense_weights(config: Config, shape: Shape) -> Shapes:
    """Shapes of a Dense layer's weights."""
    return {"kernel": (shape[-1], config["units"]), **bias(config, config["units"])}


def conv_output(config: Config, shapes: list[Shape]) -> Shape:
    """A Conv2D's output."""
    channels, groups = image(shapes)[2], config["groups"]
    if channels % groups or config["filters"] % groups:
        raise ValueError(f"has {groups} groups, which do not divide its channels")
    return slid(config, shapes, "kernel_size", config["filters"])


def conv_weights(config: Config, shape: Shape) -> Shapes:
    """Shapes of a Conv2D's weights."""
    filters = config["filters"]
    kernel = (*config["kernel_size"], shape[-1] // config["groups"], filters)
    return {"kernel": kernel, **bias(config, filters)}


def depthwise_output(config: Config, shapes: list[Shape]) -> Shape:
    """A DepthwiseConv2D's or SeparableConv2D's output."""
    if config["strides"][0] != config["strides"][1]:
        raise ValueError("has two different strides")
    channels = image(shapes)[2] * config.get("depth_multiplier", 1)
    return slid(config, shapes, "kernel_size", config.get("filters", channels))


def depthwise_weights(config: Config, shape: Shape) -> Shapes:
    """Shapes of a DepthwiseConv2D's weights."""
    kernel = (*config["kernel_size"], shape[-1], config["depth_multiplier"])
    return {"kernel": kernel, **bias(config, shape[-1] * config["depth_multiplier"])}


def separable_weights(config: Config, shape: Shape) -> Shapes:
    """Shapes of a SeparableConv2D's weights."""
    depth, filters = config["depth_multiplier"], config["filters"]
    return {
        "depthwise_kernel": (*config["kernel_size"], shape[-1], depth),
        "pointwise_kernel": (1, 1, shape[-1] * depth, filters),
        **bias(config, filters),
    }


def transposed_output(config: Config, shapes: list[Shape]) -> Shape:
    """A Conv2DTranspose's output."""
    sizes = [
        n * stride + (max(k - stride, 0) if config["padding"] == "valid" else 0)
        for n, k, stride in zip(
            image(shapes)[:2], config["kernel_size"], config["strides"], strict=True
        )
    ]
    return (*sizes, config["filters"])


def transposed_weights(config: Config, shape: Shape) -> Shapes:
    """Shapes of a Conv2DTranspose's weights."""
    filters = config["filters"]
    return {
        "kernel": (*config["kernel_size"], filters, shape[-1]),
        **bias(config, filters),
    }


def affine(config: Config, shape: Shape) -> Shapes:
    """Shapes of a normalisation's gain and shift."""
    gamma: Shapes = {"gamma": (shape[-1],)} if config["scale"] else {}
    return gamma | ({"beta": (shape[-1],)} if config["center"] else {})


def batch_weights(config: Config, shape: Shape) -> Shapes:
    """Shapes of a BatchNormalization's weights and statistics."""
    statistics: Shapes = {"moving_mean": (shape[-1],), "moving_variance": (shape[-1],)}
    return affine(config, shape) | statistics


def grouped(config: Config, shapes: list[Shape]) -> Shape:
    """A GroupNormalization's output."""
    groups = config["groups"]
    if len(shapes[0]) < 2 or (groups > 0 and shapes[0][-1] % groups) or groups == 0:
        raise ValueError(f"has {groups} groups, which do not divide inputs of {shapes[0]}")
    return shapes[0]


def slope_weights(config: Config, shape: Shape) -> Shapes:
    """Shape of a PReLU's slopes."""
    shared = config["shared_axes"]
    return {"alpha": tuple(1 if i in shared else n for i, n in enumerate(shape, start=1))}


def pooled_whole(config: Config, shapes: list[Shape]) -> Shape:
    """The output of pooling over all positions of a map."""
    image(shapes)
    channels = shapes[0][-1]
    return (1, 1, channels) if config["keepdims"] else (channels,)


def pooled_row(config: Config, shapes: list[Shape]) -> Shape:
    """The output of pooling over all places of a row."""
    if len(shapes[0]) != 2:
        raise ValueError(f"needs rows of features, not {shapes[0]}")
    return (1, shapes[0][1]) if config["keepdims"] else (shapes[0][1],)


def framed(sign: int, option: str) -> Callable[[Config, list[Shape]], Shape]:
    """The output of adding (sign 1) or cutting off (-1) margins."""

    def output(config: Config, shapes: list[Shape]) -> Shape:
        height, width, channels = image(shapes)
        rows, columns = (sign * sum(side) for side in config[option])
        return (height + rows, width + columns, channels)

    return output


def enlarged(config: Config, shapes: list[Shape]) -> Shape:
    """An UpSampling2D's output."""
    height, width, channels = image(shapes)
    return (height * config["size"][0], width * config["size"][1], channels)


def resized(config: Config, shapes: list[Shape]) -> Shape:
    """A Resizing's output."""
    return (config["height"], config["width"], image(shapes)[2])


def reshaped(config: Config, shapes: list[Shape]) -> Shape:
    """A Reshape's output."""
    total, target = math.prod(shapes[0]), config["target_shape"]
    known = math.prod(n for n in target if n != -1)
    sizes = tuple(total // known if n == -1 else n for n in target)
    if math.prod(sizes) != total:
        raise ValueError(f"cannot make {target} of {shapes[0]}")
    return sizes


def flat(config: Config, shapes: list[Shape]) -> Shape:
    """A Flatten's output."""
    return (math.prod(shapes[0]),)


def merged(config: Config, shapes: list[Shape]) -> Shape:
    """The output of an element-wise merge, where sizes of 1 are repeated."""
    if len({len(shape) for shape in shapes}) != 1:
        raise ValueError(f"cannot merge {', '.join(map(str, shapes))}")
    result = []
    for sizes in zip(*shapes, strict=True):
        if len(set(sizes) - {1}) > 1:
            raise ValueError(f"cannot merge {', '.join(map(str, shapes))}")
        result.append(max(sizes))
    return tuple(result)


def subtracted(config: Config, shapes: list[Shape]) -> Shape:
    """A Subtract's output."""
    if len(shapes) != 2:
        raise ValueError("needs two inputs")
    return merged(config, shapes)


def joined(config: Config, shapes: list[Shape]) -> Shape:
    """A Concatenate's output."""
    rank, axis = len(shapes[0]), config["axis"]
    place = axis - 1 if axis > 0 else rank + axis
    if axis == 0 or not 0 <= place < rank or any(len(shape) != rank for shape in shapes):
        raise ValueError(f"cannot join {', '.join(map(str, shapes))} along axis {axis}")
    if len({shape[:place] + shape[place + 1 :] for shape in shapes}) != 1:
        raise ValueError(f"cannot join {', '.join(map(str, shapes))} along axis {axis}")
    total = sum(shape[place] for shape in shapes)
    return (*shapes[0][:place], total, *shapes[0][place + 1 :])


def by_channel(*options: str) -> Callable[[Config, list[Shape]], Shape]:
    """An output like the input, whose last axis ``options`` must fit."""

    def output(config: Config, shapes: list[Shape]) -> Shape:
        for option in options:
            value = config[option]
            if isinstance(value, list) and len(value) not in {1, shapes[0][-1]}:
                raise ValueError(f"has {len(value)} values in {option!r} for {shapes[0]}")
        return shapes[0]

    return output


def pool(config: Config, shapes: list[Shape]) -> Shape:
    """A MaxPooling2D's or AveragePooling2D's output."""
    return slid(config, shapes, "pool_size", image(shapes)[2])
