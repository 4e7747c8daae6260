"""The stock Keras layers that an imported encoder may have, each in plain arithmetic.

A row says a layer's options, the shape that it makes and the weights that it has, all without Keras, so
that a hostile file is refused before anything is built. Shapes are those of one example, without the batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pretrain.encoders import keras_rules as rule
from pretrain.encoders.base import MAX_INPUT_SIZE, Shapes
from pretrain.encoders.keras_rules import Rule

Shape = tuple[int, ...]
Config = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One layer class.

    options: what is stored of its configuration, with the rule of each.
    output: (configuration, input shapes) -> output shape; raises ValueError where it cannot be.
    weights: (configuration, input shape) -> variable name and shape, in Keras' order.
    merges: True when it takes a list of two inputs or more.
    learns: True for convolutions and dense layers, with which a block begins.
    defaults: of options that a configuration may lack.
    """

    output: Callable[[Config, list[Shape]], Shape]
    options: Mapping[str, Rule] = field(default_factory=dict)
    weights: Callable[[Config, Shape], Shapes] = lambda config, shape: {}
    merges: bool = False
    learns: bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict)


def output_shape(kind: str, config: Config, shapes: list[Shape]) -> Shape:
    """Return the shape that a layer makes of its inputs'. Raises ValueError when it cannot."""
    row = LAYERS[kind]
    if row.merges and len(shapes) < 2:
        raise ValueError("needs two inputs or more")
    if not row.merges and len(shapes) != 1:
        raise ValueError("needs one input")
    shape = row.output(config, shapes)
    if min(shape, default=0) < 1:
        raise ValueError(f"makes nothing of inputs of shape {shapes[0]}")
    if math.prod(shape) > MAX_INPUT_SIZE:
        raise ValueError(f"makes more than {MAX_INPUT_SIZE:,} values an example")
    return shape


def _image(shapes: list[Shape]) -> tuple[int, int, int]:
    if len(shapes[0]) != 3:
        raise ValueError(f"needs images or feature maps (height, width, channels), not {shapes[0]}")
    return shapes[0][0], shapes[0][1], shapes[0][2]


def _same(config: Config, shapes: list[Shape]) -> Shape:
    return shapes[0]


def _slid(config: Config, shapes: list[Shape], window: str, channels: int) -> Shape:
    """Return (height, width, channels) after a window has been slid over a map."""
    sizes = []
    dilations = config.get("dilation_rate", [1, 1])
    for n, k, stride, dilation in zip(
        _image(shapes)[:2], config[window], config["strides"], dilations, strict=True
    ):
        if stride > 1 and dilation > 1:
            raise ValueError("has both strides and dilation")
        reach = (k - 1) * dilation + 1
        sizes.append(-(-n // stride) if config["padding"] == "same" else (n - reach) // stride + 1)
    return (*sizes, channels)


def _bias(config: Config, units: int) -> Shapes:
    return {"bias": (units,)} if config["use_bias"] else {}


def _dense_weights(config: Config, shape: Shape) -> Shapes:
    return {"kernel": (shape[-1], config["units"]), **_bias(config, config["units"])}


def _conv_output(config: Config, shapes: list[Shape]) -> Shape:
    channels, groups = _image(shapes)[2], config["groups"]
    if channels % groups or config["filters"] % groups:
        raise ValueError(f"has {groups} groups, which do not divide its channels")
    return _slid(config, shapes, "kernel_size", config["filters"])


def _conv_weights(config: Config, shape: Shape) -> Shapes:
    filters = config["filters"]
    kernel = (*config["kernel_size"], shape[-1] // config["groups"], filters)
    return {"kernel": kernel, **_bias(config, filters)}


def _depthwise_output(config: Config, shapes: list[Shape]) -> Shape:
    if config["strides"][0] != config["strides"][1]:
        raise ValueError("has two different strides")
    channels = _image(shapes)[2] * config.get("depth_multiplier", 1)
    return _slid(config, shapes, "kernel_size", config.get("filters", channels))


def _depthwise_weights(config: Config, shape: Shape) -> Shapes:
    kernel = (*config["kernel_size"], shape[-1], config["depth_multiplier"])
    return {"kernel": kernel, **_bias(config, shape[-1] * config["depth_multiplier"])}


def _separable_weights(config: Config, shape: Shape) -> Shapes:
    depth, filters = config["depth_multiplier"], config["filters"]
    return {
        "depthwise_kernel": (*config["kernel_size"], shape[-1], depth),
        "pointwise_kernel": (1, 1, shape[-1] * depth, filters),
        **_bias(config, filters),
    }


def _transposed_output(config: Config, shapes: list[Shape]) -> Shape:
    sizes = [
        n * stride + (max(k - stride, 0) if config["padding"] == "valid" else 0)
        for n, k, stride in zip(
            _image(shapes)[:2], config["kernel_size"], config["strides"], strict=True
        )
    ]
    return (*sizes, config["filters"])


def _transposed_weights(config: Config, shape: Shape) -> Shapes:
    filters = config["filters"]
    return {
        "kernel": (*config["kernel_size"], filters, shape[-1]),
        **_bias(config, filters),
    }


def _affine(config: Config, shape: Shape) -> Shapes:
    gamma: Shapes = {"gamma": (shape[-1],)} if config["scale"] else {}
    return gamma | ({"beta": (shape[-1],)} if config["center"] else {})


def _batch_weights(config: Config, shape: Shape) -> Shapes:
    statistics: Shapes = {"moving_mean": (shape[-1],), "moving_variance": (shape[-1],)}
    return _affine(config, shape) | statistics


def _grouped(config: Config, shapes: list[Shape]) -> Shape:
    groups = config["groups"]
    if len(shapes[0]) < 2 or (groups > 0 and shapes[0][-1] % groups) or groups == 0:
        raise ValueError(f"has {groups} groups, which do not divide inputs of {shapes[0]}")
    return shapes[0]


def _slope_weights(config: Config, shape: Shape) -> Shapes:
    shared = config["shared_axes"]
    return {"alpha": tuple(1 if i in shared else n for i, n in enumerate(shape, start=1))}


def _pooled_whole(config: Config, shapes: list[Shape]) -> Shape:
    _image(shapes)
    channels = shapes[0][-1]
    return (1, 1, channels) if config["keepdims"] else (channels,)


def _pooled_row(config: Config, shapes: list[Shape]) -> Shape:
    if len(shapes[0]) != 2:
        raise ValueError(f"needs rows of features, not {shapes[0]}")
    return (1, shapes[0][1]) if config["keepdims"] else (shapes[0][1],)


def _framed(sign: int, option: str) -> Callable[[Config, list[Shape]], Shape]:
    def output(config: Config, shapes: list[Shape]) -> Shape:
        height, width, channels = _image(shapes)
        rows, columns = (sign * sum(side) for side in config[option])
        return (height + rows, width + columns, channels)

    return output


def _enlarged(config: Config, shapes: list[Shape]) -> Shape:
    height, width, channels = _image(shapes)
    return (height * config["size"][0], width * config["size"][1], channels)


def _resized(config: Config, shapes: list[Shape]) -> Shape:
    return (config["height"], config["width"], _image(shapes)[2])


def _reshaped(config: Config, shapes: list[Shape]) -> Shape:
    total, target = math.prod(shapes[0]), config["target_shape"]
    known = math.prod(n for n in target if n != -1)
    sizes = tuple(total // known if n == -1 else n for n in target)
    if math.prod(sizes) != total:
        raise ValueError(f"cannot make {target} of {shapes[0]}")
    return sizes


def _flat(config: Config, shapes: list[Shape]) -> Shape:
    return (math.prod(shapes[0]),)


def _merged(config: Config, shapes: list[Shape]) -> Shape:
    if len({len(shape) for shape in shapes}) != 1:
        raise ValueError(f"cannot merge {', '.join(map(str, shapes))}")
    result = []
    for sizes in zip(*shapes, strict=True):
        if len(set(sizes) - {1}) > 1:
            raise ValueError(f"cannot merge {', '.join(map(str, shapes))}")
        result.append(max(sizes))
    return tuple(result)


def _subtracted(config: Config, shapes: list[Shape]) -> Shape:
    if len(shapes) != 2:
        raise ValueError("needs two inputs")
    return _merged(config, shapes)


def _joined(config: Config, shapes: list[Shape]) -> Shape:
    rank, axis = len(shapes[0]), config["axis"]
    place = axis - 1 if axis > 0 else rank + axis
    if axis == 0 or not 0 <= place < rank or any(len(shape) != rank for shape in shapes):
        raise ValueError(f"cannot join {', '.join(map(str, shapes))} along axis {axis}")
    if len({shape[:place] + shape[place + 1 :] for shape in shapes}) != 1:
        raise ValueError(f"cannot join {', '.join(map(str, shapes))} along axis {axis}")
    total = sum(shape[place] for shape in shapes)
    return (*shapes[0][:place], total, *shapes[0][place + 1 :])


def _by_channel(*options: str) -> Callable[[Config, list[Shape]], Shape]:
    def output(config: Config, shapes: list[Shape]) -> Shape:
        for option in options:
            value = config[option]
            if isinstance(value, list) and len(value) not in {1, shapes[0][-1]}:
                raise ValueError(f"has {len(value)} values in {option!r} for {shapes[0]}")
        return shapes[0]

    return output


def _last(config: Config, shapes: list[Shape]) -> Shape:
    return shapes[0]


_SIZE = rule.pair(1, 4096)
_CONV: dict[str, Rule] = {
    "kernel_size": _SIZE,
    "strides": _SIZE,
    "padding": rule.padding,
    "activation": rule.activation,
    "use_bias": rule.flag,
}
_DEPTH: dict[str, Rule] = {**_CONV, "dilation_rate": _SIZE, "depth_multiplier": rule.count}
_NORM: dict[str, Rule] = {
    "epsilon": rule.number(0, 1),
    "center": rule.flag,
    "scale": rule.flag,
}
_POOL = {"pool_size": _SIZE, "strides": _SIZE, "padding": rule.padding}
_WHOLE = {"keepdims": rule.flag}


def _pool(config: Config, shapes: list[Shape]) -> Shape:
    return _slid(config, shapes, "pool_size", _image(shapes)[2])


LAYERS: dict[str, Kind] = {
    "Dense": Kind(
        options={"units": rule.count, "activation": rule.activation, "use_bias": rule.flag},
        output=lambda config, shapes: (*shapes[0][:-1], config["units"]),
        weights=_dense_weights,
        learns=True,
    ),
    "Conv2D": Kind(
        options={
            **_CONV,
            "filters": rule.count,
            "dilation_rate": _SIZE,
            "groups": rule.count,
        },
        defaults={"groups": 1},
        output=_conv_output,
        weights=_conv_weights,
        learns=True,
    ),
    "DepthwiseConv2D": Kind(
        options=_DEPTH, output=_depthwise_output, weights=_depthwise_weights, learns=True
    ),
    "SeparableConv2D": Kind(
        options={**_DEPTH, "filters": rule.count},
        output=_depthwise_output,
        weights=_separable_weights,
        learns=True,
    ),
    "Conv2DTranspose": Kind(
        options={**_CONV, "filters": rule.count},
        output=_transposed_output,
        weights=_transposed_weights,
        learns=True,
    ),
    "BatchNormalization": Kind(
        options={**_NORM, "momentum": rule.fraction}, output=_last, weights=_batch_weights
    ),
    "LayerNormalization": Kind(options=_NORM, output=_last, weights=_affine),
    "GroupNormalization": Kind(
        options={**_NORM, "groups": rule.integer(-1, 1 << 20)}, output=_grouped, weights=_affine
    ),
    "Activation": Kind(options={"activation": rule.activation}, output=_same),
    "ReLU": Kind(
        options={
            "max_value": rule.optional(rule.real),
            "negative_slope": rule.real,
            "threshold": rule.real,
        },
        output=_same,
    ),
    "LeakyReLU": Kind(options={"negative_slope": rule.real}, output=_same),
    "ELU": Kind(options={"alpha": rule.real}, output=_same),
    "PReLU": Kind(options={"shared_axes": rule.axes}, output=_same, weights=_slope_weights),
    "Softmax": Kind(output=_same),
    "MaxPooling2D": Kind(options=_POOL, output=_pool),
    "AveragePooling2D": Kind(options=_POOL, output=_pool),
    "GlobalMaxPooling2D": Kind(options=_WHOLE, output=_pooled_whole),
    "GlobalAveragePooling2D": Kind(options=_WHOLE, output=_pooled_whole),
    "GlobalAveragePooling1D": Kind(options=_WHOLE, output=_pooled_row),
    "ZeroPadding2D": Kind(options={"padding": rule.margins}, output=_framed(1, "padding")),
    "Cropping2D": Kind(options={"cropping": rule.margins}, output=_framed(-1, "cropping")),
    "UpSampling2D": Kind(
        options={"size": _SIZE, "interpolation": rule.interpolation}, output=_enlarged
    ),
    "Flatten": Kind(output=_flat),
    "Reshape": Kind(options={"target_shape": rule.whole_shape}, output=_reshaped),
    "Add": Kind(output=_merged, merges=True),
    "Multiply": Kind(output=_merged, merges=True),
    "Average": Kind(output=_merged, merges=True),
    "Maximum": Kind(output=_merged, merges=True),
    "Minimum": Kind(output=_merged, merges=True),
    "Subtract": Kind(output=_subtracted, merges=True),
    "Concatenate": Kind(options={"axis": rule.integer(-4, 4)}, output=_joined, merges=True),
    "Rescaling": Kind(
        options={"scale": rule.one_or_more, "offset": rule.one_or_more},
        output=_by_channel("scale", "offset"),
    ),
    "Normalization": Kind(
        options={"mean": rule.numbers, "variance": rule.numbers},
        output=_by_channel("mean", "variance"),
    ),
    "Resizing": Kind(
        options={
            "height": rule.integer(1, 4096),
            "width": rule.integer(1, 4096),
            "interpolation": rule.interpolation,
            "antialias": rule.flag,
        },
        defaults={"antialias": False},
        output=_resized,
    ),
}
