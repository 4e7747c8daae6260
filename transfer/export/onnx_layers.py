"""Keras' layers on vectors and of any shape, each as operators of ONNX."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from headstart.errors import InputError
from transfer.export.onnx_graph import Graph, Handler, Value, known


def numbers(variable: Any) -> np.ndarray:
    """Return a Keras variable's values, or an array's."""
    return np.asarray(variable.numpy() if hasattr(variable, "numpy") else variable, np.float32)


def same(graph: Graph, layer: Any, inputs: Sequence[Value]) -> str:
    """What does nothing outside training: dropout, noise."""
    return inputs[0].name


def dense(graph: Graph, layer: Any, inputs: Sequence[Value]) -> str:
    """x (..., D) @ kernel (D, K) + bias (K,), then the activation."""
    hidden = graph.add("MatMul", [inputs[0].name, graph.constant("kernel", numbers(layer.kernel))])
    if layer.bias is not None:
        hidden = graph.add("Add", [hidden, graph.constant("bias", numbers(layer.bias))])
    return activated(graph, hidden, layer.activation)


def flatten(graph: Graph, layer: Any, inputs: Sequence[Value]) -> str:
    """(B, ...) -> (B, product of the rest)."""
    return graph.reshape(inputs[0].name, [None, math.prod(map(known, inputs[0].shape[1:]))])


def reshape(graph: Graph, layer: Any, inputs: Sequence[Value]) -> str:
    """(B, ...) -> (B, *target_shape), in which one -1 is what is left."""
    return graph.reshape(inputs[0].name, [None, *layer.target_shape])


def permute(graph: Graph, layer: Any, inputs: Sequence[Value]) -> str:
    """Axes in another order; Keras counts them from 1, the batch being 0."""
    return graph.add("Transpose", [inputs[0].name], perm=[0, *layer.dims])


def concatenate(graph: Graph, layer: Any, inputs: Sequence[Value]) -> str:
    """Side by side along one axis."""
    return graph.add("Concat", [value.name for value in inputs], axis=layer.axis)


def folded(operator: str) -> Handler:
    """Return the handler of a layer that combines any number of inputs two by two."""

    def handle(graph: Graph, layer: Any, inputs: Sequence[Value]) -> str:
        hidden = inputs[0].name
        for value in inputs[1:]:
            hidden = graph.add(operator, [hidden, value.name])
        return hidden

    return handle


def scaled(graph: Graph, hidden: str, scale: Any, offset: Any) -> str:
    """x * scale + offset."""
    hidden = graph.add("Mul", [hidden, graph.constant("scale", scale)])
    return graph.add("Add", [hidden, graph.constant("offset", offset)])


def rescaling(graph: Graph, layer: Any, inputs: Sequence[Value]) -> str:
    """x * scale + offset, numbers or one a channel."""
    return scaled(graph, inputs[0].name, layer.scale, layer.offset)


def normalization(graph: Graph, layer: Any, inputs: Sequence[Value]) -> str:
    """(x - mean) / standard deviation, as found by ``adapt``."""
    import keras

    if layer.invert:
        raise InputError("it is set to invert=True.")
    mean, variance = numbers(layer.mean), numbers(layer.variance)
    hidden = graph.add("Sub", [inputs[0].name, graph.constant("mean", mean)])
    spread = np.maximum(np.sqrt(variance), keras.backend.epsilon())
    return graph.add("Div", [hidden, graph.constant("deviation", spread)])


def batch_normalization(graph: Graph, layer: Any, inputs: Sequence[Value]) -> str:
    """With the moving statistics, as outside training: one scale and offset a channel."""
    spread = np.sqrt(numbers(layer.moving_variance).astype(np.float64) + layer.epsilon)
    scale = (1.0 if layer.gamma is None else numbers(layer.gamma)) / spread
    offset = (0.0 if layer.beta is None else numbers(layer.beta)) - scale * numbers(
        layer.moving_mean
    )
    along = _along(layer.axis, inputs[0])
    return scaled(graph, inputs[0].name, scale.reshape(along), offset.reshape(along))


def layer_normalization(graph: Graph, layer: Any, inputs: Sequence[Value]) -> str:
    """Each example by itself over the given axes."""
    if getattr(layer, "rms_scaling", False):
        raise InputError("it is set to rms_scaling.")
    axes = [layer.axis] if isinstance(layer.axis, int) else list(layer.axis)
    rank = len(inputs[0].shape)
    axes = sorted(axis % rank for axis in axes)
    if axes != list(range(rank - len(axes), rank)):
        raise InputError(f"its axes {axes} are not the last ones.")
    hidden = standardised(graph, inputs[0].name, axes, layer.epsilon)
    return _weighted(graph, hidden, layer)


def group_normalization(graph: Graph, layer: Any, inputs: Sequence[Value]) -> str:
    """Each example and group of channels by itself; Wu & He 2018."""
    value = inputs[0]
    rank = len(value.shape)
    if layer.axis % rank != rank - 1:
        raise InputError(f"it groups along the axis {layer.axis}, which is not the last.")
    *rest, channels = map(known, value.shape[1:])
    groups = channels if layer.groups == -1 else layer.groups
    # (B, H, W, C) -> (B, H, W, G, C / G); the statistics are over H, W and the last axis.
    hidden = graph.reshape(value.name, [None, *rest, groups, channels // groups])
    hidden = standardised(graph, hidden, [*range(1, rank - 1), rank], layer.epsilon)
    return _weighted(graph, graph.reshape(hidden, value.shape), layer)


def standardised(graph: Graph, hidden: str, axes: Sequence[int], epsilon: float) -> str:
    """(x - mean) / sqrt(variance + epsilon) over ``axes``."""
    over = graph.integers("axes", axes)
    apart = graph.add("Sub", [hidden, graph.add("ReduceMean", [hidden, over])])
    variance = graph.add("ReduceMean", [graph.add("Mul", [apart, apart]), over])
    variance = graph.add("Add", [variance, graph.constant("epsilon", epsilon)])
    return graph.add("Div", [apart, graph.add("Sqrt", [variance])])


def _weighted(graph: Graph, hidden: str, layer: Any) -> str:
    """x * gamma + beta, where the layer has them."""
    for operator, name in (("Mul", "gamma"), ("Add", "beta")):
        weight = getattr(layer, name, None)
        if weight is not None:
            hidden = graph.add(operator, [hidden, graph.constant(name, numbers(weight))])
    return hidden


def activation(graph: Graph, layer: Any, inputs: Sequence[Value]) -> str:
    """The layer ``Activation``."""
    return activated(graph, inputs[0].name, layer.activation)


def relu(graph: Graph, layer: Any, inputs: Sequence[Value]) -> str:
    """The layer ``ReLU``, with its slope below 0 and its greatest value."""
    hidden = inputs[0].name
    slope, most = float(layer.negative_slope), layer.max_value
    if layer.threshold:
        raise InputError(f"its threshold is {layer.threshold}, not 0.")
    hidden = graph.add("LeakyRelu", [hidden], alpha=slope) if slope else graph.add("Relu", [hidden])
    return hidden if most is None else graph.add("Min", [hidden, graph.constant("most", most)])


def leaky_relu(graph: Graph, layer: Any, inputs: Sequence[Value]) -> str:
    """The layer ``LeakyReLU``."""
    return graph.add("LeakyRelu", [inputs[0].name], alpha=float(layer.negative_slope))


def softmax(graph: Graph, layer: Any, inputs: Sequence[Value]) -> str:
    """The layer ``Softmax``, along one axis."""
    if not isinstance(layer.axis, int):
        raise InputError(f"it is over several axes, {layer.axis}.")
    return graph.add("Softmax", [inputs[0].name], axis=layer.axis)


def activated(graph: Graph, hidden: str, function: Any) -> str:
    """Add Keras' activation ``function`` to ``hidden``. Raises InputError for one that is not known."""
    import keras

    name = getattr(function, "__name__", type(function).__name__)
    if name not in ACTIVATIONS or getattr(keras.activations, name, None) is not function:
        raise InputError(f"its activation {name!r} is not known.")
    return ACTIVATIONS[name](graph, hidden)


def _along(axis: int, value: Value) -> list[int]:
    """Return the shape in which one number an index of ``axis`` meets a tensor like ``value``."""
    shape = [1] * len(value.shape)
    shape[axis] = -1
    return shape


def _plain(operator: str, **attributes: Any) -> Callable[[Graph, str], str]:
    return lambda graph, x: graph.add(operator, [x], **attributes)


def _silu(graph: Graph, x: str) -> str:
    return graph.add("Mul", [x, graph.add("Sigmoid", [x])])


def _gelu(graph: Graph, x: str) -> str:
    """x / 2 * (1 + erf(x / sqrt 2)); Hendrycks & Gimpel 2016, not its approximation."""
    erf = graph.add("Erf", [graph.add("Mul", [x, graph.constant("root", math.sqrt(0.5))])])
    half = graph.add("Mul", [x, graph.constant("half", 0.5)])
    return graph.add("Mul", [half, graph.add("Add", [erf, graph.constant("one", 1.0)])])


def _relu6(graph: Graph, x: str) -> str:
    return graph.add("Min", [graph.add("Relu", [x]), graph.constant("six", 6.0)])


ACTIVATIONS: Mapping[str, Callable[[Graph, str], str]] = {
    "linear": lambda graph, x: x,
    "relu": _plain("Relu"),
    "relu6": _relu6,
    "leaky_relu": _plain("LeakyRelu", alpha=0.2),
    "elu": _plain("Elu"),
    "selu": _plain("Selu"),
    "gelu": _gelu,
    "silu": _silu,
    "tanh": _plain("Tanh"),
    "sigmoid": _plain("Sigmoid"),
    "hard_sigmoid": _plain("HardSigmoid", alpha=1 / 6, beta=0.5),
    "hard_silu": _plain("HardSwish"),
    "softplus": _plain("Softplus"),
    "softsign": _plain("Softsign"),
    "exponential": _plain("Exp"),
    "softmax": _plain("Softmax", axis=-1),
}
"""The function's name in ``keras.activations`` -> what adds it, with Keras' default arguments."""

LAYERS: Mapping[str, Handler] = {
    "InputLayer": same,
    "Dropout": same,
    "SpatialDropout2D": same,
    "GaussianNoise": same,
    "GaussianDropout": same,
    "Dense": dense,
    "Flatten": flatten,
    "Reshape": reshape,
    "Permute": permute,
    "Concatenate": concatenate,
    "Add": folded("Add"),
    "Multiply": folded("Mul"),
    "Maximum": folded("Max"),
    "Minimum": folded("Min"),
    "Subtract": folded("Sub"),
    "Rescaling": rescaling,
    "Normalization": normalization,
    "BatchNormalization": batch_normalization,
    "LayerNormalization": layer_normalization,
    "GroupNormalization": group_normalization,
    "Activation": activation,
    "ReLU": relu,
    "LeakyReLU": leaky_relu,
    "Softmax": softmax,
}
