"""The stock Keras layers that an imported encoder may have, each in plain arithmetic.

A row says a layer's options, the shape that it makes and the weights that it has, all without Keras, so
that a hostile file is refused before anything is built. Shapes are those of one example, without the batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pretrain.encoders.base import MAX_INPUT_SIZE, Shapes
from pretrain.encoders.keras_graph import arithmetic as at
from pretrain.encoders.keras_graph import rules as rule
from pretrain.encoders.keras_graph.arithmetic import Config, Shape
from pretrain.encoders.keras_graph.rules import Rule


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


LAYERS: dict[str, Kind] = {
    "Dense": Kind(
        options={"units": rule.count, "activation": rule.activation, "use_bias": rule.flag},
        output=lambda config, shapes: (*shapes[0][:-1], config["units"]),
        weights=at.dense_weights,
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
        output=at.conv_output,
        weights=at.conv_weights,
        learns=True,
    ),
    "DepthwiseConv2D": Kind(
        options=_DEPTH, output=at.depthwise_output, weights=at.depthwise_weights, learns=True
    ),
    "SeparableConv2D": Kind(
        options={**_DEPTH, "filters": rule.count},
        output=at.depthwise_output,
        weights=at.separable_weights,
        learns=True,
    ),
    "Conv2DTranspose": Kind(
        options={**_CONV, "filters": rule.count},
        output=at.transposed_output,
        weights=at.transposed_weights,
        learns=True,
    ),
    "BatchNormalization": Kind(
        options={**_NORM, "momentum": rule.fraction}, output=at.same, weights=at.batch_weights
    ),
    "LayerNormalization": Kind(options=_NORM, output=at.same, weights=at.affine),
    "GroupNormalization": Kind(
        options={**_NORM, "groups": rule.integer(-1, 1 << 20)}, output=at.grouped, weights=at.affine
    ),
    "Activation": Kind(options={"activation": rule.activation}, output=at.same),
    "ReLU": Kind(
        options={
            "max_value": rule.optional(rule.real),
            "negative_slope": rule.real,
            "threshold": rule.real,
        },
        output=at.same,
    ),
    "LeakyReLU": Kind(options={"negative_slope": rule.real}, output=at.same),
    "ELU": Kind(options={"alpha": rule.real}, output=at.same),
    "PReLU": Kind(options={"shared_axes": rule.axes}, output=at.same, weights=at.slope_weights),
    "Softmax": Kind(output=at.same),
    "MaxPooling2D": Kind(options=_POOL, output=at.pool),
    "AveragePooling2D": Kind(options=_POOL, output=at.pool),
    "GlobalMaxPooling2D": Kind(options=_WHOLE, output=at.pooled_whole),
    "GlobalAveragePooling2D": Kind(options=_WHOLE, output=at.pooled_whole),
    "GlobalAveragePooling1D": Kind(options=_WHOLE, output=at.pooled_row),
    "ZeroPadding2D": Kind(options={"padding": rule.margins}, output=at.framed(1, "padding")),
    "Cropping2D": Kind(options={"cropping": rule.margins}, output=at.framed(-1, "cropping")),
    "UpSampling2D": Kind(
        options={"size": _SIZE, "interpolation": rule.interpolation}, output=at.enlarged
    ),
    "Flatten": Kind(output=at.flat),
    "Reshape": Kind(options={"target_shape": rule.whole_shape}, output=at.reshaped),
    "Add": Kind(output=at.merged, merges=True),
    "Multiply": Kind(output=at.merged, merges=True),
    "Average": Kind(output=at.merged, merges=True),
    "Maximum": Kind(output=at.merged, merges=True),
    "Minimum": Kind(output=at.merged, merges=True),
    "Subtract": Kind(output=at.subtracted, merges=True),
    "Concatenate": Kind(options={"axis": rule.integer(-4, 4)}, output=at.joined, merges=True),
    "Rescaling": Kind(
        options={"scale": rule.one_or_more, "offset": rule.one_or_more},
        output=at.by_channel("scale", "offset"),
    ),
    "Normalization": Kind(
        options={"mean": rule.numbers, "variance": rule.numbers},
        output=at.by_channel("mean", "variance"),
    ),
    "Resizing": Kind(
        options={
            "height": rule.integer(1, 4096),
            "width": rule.integer(1, 4096),
            "interpolation": rule.interpolation,
            "antialias": rule.flag,
        },
        defaults={"antialias": False},
        output=at.resized,
    ),
}
