"""Keras' layers on images (B, H, W, C), each as operators of ONNX, which has channels first."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from headstart.errors import InputError
from transfer.export.onnx_graph import Graph, Handler, Value, known
from transfer.export.onnx_layers import activated, numbers


def conv(graph: Graph, layer: Any, inputs: Sequence[Value]) -> str:
    """The layer ``Conv2D``; kernel (h, w, C / groups, K)."""
    kernel = numbers(layer.kernel).transpose(3, 2, 0, 1)
    hidden = _convolved(graph, layer, inputs[0], kernel, layer.groups, layer.padding)
    return activated(graph, _biased(graph, hidden, layer), layer.activation)


def depthwise(graph: Graph, layer: Any, inputs: Sequence[Value]) -> str:
    """The layer ``DepthwiseConv2D``; kernel (h, w, C, multiplier), each channel by itself."""
    hidden = _convolved(graph, layer, inputs[0], *_each_channel(layer.kernel), layer.padding)
    return activated(graph, _biased(graph, hidden, layer), layer.activation)


def separable(graph: Graph, layer: Any, inputs: Sequence[Value]) -> str:
    """The layer ``SeparableConv2D``: each channel by itself, then a mixture of channels."""
    kernel, groups = _each_channel(layer.depthwise_kernel)
    hidden = _convolved(graph, layer, inputs[0], kernel, groups, layer.padding)
    mixture = numbers(layer.pointwise_kernel)[0, 0]
    hidden = graph.add("MatMul", [hidden, graph.constant("mixture", mixture)])
    return activated(graph, _biased(graph, hidden, layer), layer.activation)


def pool(operator: str) -> Handler:
    """Return the handler of ``MaxPooling2D`` or ``AveragePooling2D``; padding does not count."""

    def handle(graph: Graph, layer: Any, inputs: Sequence[Value]) -> str:
        value = _channels_last(layer, inputs[0])
        size, strides = list(layer.pool_size), list(layer.strides)
        pads = _pads(layer.padding, value, size, strides, [1, 1])
        hidden = graph.add("Transpose", [value.name], perm=[0, 3, 1, 2])
        hidden = graph.add(operator, [hidden], kernel_shape=size, strides=strides, pads=pads)
        return graph.add("Transpose", [hidden], perm=[0, 2, 3, 1])

    return handle


def global_pool(operator: str) -> Handler:
    """Return the handler of the mean or maximum over all positions."""

    def handle(graph: Graph, layer: Any, inputs: Sequence[Value]) -> str:
        value = _channels_last(layer, inputs[0])
        axes = graph.integers("axes", [1, 2])
        return graph.add(operator, [value.name, axes], keepdims=int(layer.keepdims))

    return handle


def zero_padding(graph: Graph, layer: Any, inputs: Sequence[Value]) -> str:
    """The layer ``ZeroPadding2D``."""
    value = _channels_last(layer, inputs[0])
    (top, bottom), (left, right) = layer.padding
    pads = graph.integers("pads", [0, top, left, 0, 0, bottom, right, 0])
    return graph.add("Pad", [value.name, pads])


def cropping(graph: Graph, layer: Any, inputs: Sequence[Value]) -> str:
    """The layer ``Cropping2D``."""
    value = _channels_last(layer, inputs[0])
    (top, bottom), (left, right) = layer.cropping
    height, width = known(value.shape[1]), known(value.shape[2])
    starts = graph.integers("starts", [top, left])
    ends = graph.integers("ends", [height - bottom, width - right])
    return graph.add("Slice", [value.name, starts, ends, graph.integers("axes", [1, 2])])


def resizing(graph: Graph, layer: Any, inputs: Sequence[Value]) -> str:
    """The layer ``Resizing``: linear in the pixels, so it is one matrix a side.

    ONNX' own Resize has TensorFlow's antialiasing only nearly. The matrices are found by resizing the
    unit vectors, with the layer's own code, and hold whatever interpolation it is set to.
    """
    value = _channels_last(layer, inputs[0])
    if value.raw:
        raise InputError("it resizes integers, and rounds them. Put a Rescaling before it.")
    if layer.crop_to_aspect_ratio or layer.pad_to_aspect_ratio:
        raise InputError("it crops or pads to keep the aspect ratio.")
    height, width, channels = map(known, value.shape[1:])
    rows, columns = _resizer(layer, height, layer.height), _resizer(layer, width, layer.width)
    # (h, H) @ (B, H, W * C), then (w, W) @ (B, h, W, C).
    hidden = graph.reshape(value.name, [None, height, width * channels])
    hidden = graph.add("MatMul", [graph.constant("rows", rows), hidden])
    hidden = graph.reshape(hidden, [None, layer.height, width, channels])
    return graph.add("MatMul", [graph.constant("columns", columns), hidden])


def grey(graph: Graph, layer: Any, inputs: Sequence[Value]) -> str:
    """``keras.ops.image.rgb_to_grayscale``: a weighted sum of the channels."""
    value = _channels_last(layer, inputs[0])
    if value.raw:
        raise InputError("it is computed on integers, and rounded. Put a Rescaling before it.")
    if value.shape[-1] != 3:
        return value.name
    # The weights as this version of Keras has them.
    weights = numbers(layer(np.eye(3, dtype=np.float32).reshape(3, 1, 1, 3))).reshape(3, 1)
    return graph.add("MatMul", [value.name, graph.constant("weights", weights)])


def _convolved(
    graph: Graph, layer: Any, value: Value, kernel: np.ndarray, groups: int, padding: str
) -> str:
    """Add a convolution with ``kernel`` (K, C / groups, h, w); return the maps, channels last."""
    value = _channels_last(layer, value)
    strides, dilations = list(layer.strides), list(layer.dilation_rate)
    pads = _pads(padding, value, list(kernel.shape[2:]), strides, dilations)
    hidden = graph.add("Transpose", [value.name], perm=[0, 3, 1, 2])
    hidden = graph.add(
        "Conv",
        [hidden, graph.constant("kernel", kernel)],
        strides=strides,
        dilations=dilations,
        pads=pads,
        group=groups,
    )
    return graph.add("Transpose", [hidden], perm=[0, 2, 3, 1])


def _each_channel(variable: Any) -> tuple[np.ndarray, int]:
    """Return a kernel (h, w, C, M) as (C * M, 1, h, w), and the number of groups, C."""
    kernel = numbers(variable)
    height, width, channels, multiplier = kernel.shape
    kernel = kernel.transpose(2, 3, 0, 1).reshape(channels * multiplier, 1, height, width)
    return kernel, channels


def _biased(graph: Graph, hidden: str, layer: Any) -> str:
    if layer.bias is None:
        return hidden
    return graph.add("Add", [hidden, graph.constant("bias", numbers(layer.bias))])


def _channels_last(layer: Any, value: Value) -> Value:
    if getattr(layer, "data_format", None) not in (None, "channels_last"):
        raise InputError("it has its channels first.")
    if len(value.shape) != 4:
        raise InputError(f"it takes no images (B, H, W, C), but {value.shape}.")
    return value


def _pads(
    padding: str, value: Value, size: list[int], strides: list[int], dilations: list[int]
) -> list[int]:
    """Return [top, left, bottom, right]: with "same", TensorFlow puts the odd one at the end."""
    if padding == "valid":
        return [0, 0, 0, 0]
    if padding != "same":
        raise InputError(f"its padding is {padding!r}.")
    before, after = [], []
    for length, kernel, stride, dilation in zip(
        map(known, value.shape[1:3]), size, strides, dilations, strict=True
    ):
        covered = (math.ceil(length / stride) - 1) * stride + (kernel - 1) * dilation + 1
        missing = max(covered - length, 0)
        before.append(missing // 2)
        after.append(missing - missing // 2)
    return before + after


def _resizer(layer: Any, length: int, wanted: int) -> np.ndarray:
    """Return the matrix (wanted, length) that resizes one side as ``layer`` does."""
    import keras

    one_side = keras.layers.Resizing(
        wanted, 1, interpolation=layer.interpolation, antialias=layer.antialias
    )
    units = np.eye(length, dtype=np.float32).reshape(length, length, 1, 1)
    return numbers(one_side(units)).reshape(length, wanted).T


IMAGE_LAYERS: Mapping[str, Handler] = {
    "Conv2D": conv,
    "DepthwiseConv2D": depthwise,
    "SeparableConv2D": separable,
    "MaxPooling2D": pool("MaxPool"),
    "AveragePooling2D": pool("AveragePool"),
    "GlobalAveragePooling2D": global_pool("ReduceMean"),
    "GlobalMaxPooling2D": global_pool("ReduceMax"),
    "ZeroPadding2D": zero_padding,
    "Cropping2D": cropping,
    "Resizing": resizing,
    "ops.RGBToGrayscale": grey,
}
