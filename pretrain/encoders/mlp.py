"""``mlp``: the seed's dense encoder, SELU with LeCun-normal initialisation.

Klambauer et al. 2017, "Self-Normalizing Neural Networks": SELU keeps activations near mean 0 and
variance 1 when the weights start from N(0, 1 / fan_in).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from headstart.lazy import keras
from pretrain.encoders.base import Architecture, Option, Shapes, affine, choice, integers

INITIALISER = {
    "selu": "lecun_normal",
    "relu": "he_normal",
    "gelu": "he_normal",
    "tanh": "glorot_uniform",
    "sigmoid": "glorot_uniform",
}


def shapes(input_shape: tuple[int, ...], options: Mapping[str, Any]) -> Shapes:
    """Return the shapes of kernel and bias of each block's one dense layer."""
    result: Shapes = {}
    below = math.prod(input_shape)
    for i, units in enumerate(options["units"], start=1):
        result |= affine(f"block{i}/dense", below, units)
        below = units
    return result


def build(input_shape: tuple[int, ...], options: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Build one block a dense layer; the first also flattens the input."""
    blocks = []
    shape = input_shape
    for i, units in enumerate(options["units"], start=1):
        inputs = keras.Input(shape)
        hidden = keras.layers.Flatten(name="flatten")(inputs) if len(shape) > 1 else inputs
        outputs = _dense(hidden, units, options["activation"], "dense")
        blocks.append((f"block{i}", keras.Model(inputs, outputs, name=f"block{i}")))
        shape = (units,)
    return blocks


def _dense(hidden: Any, units: int, activation: str, name: str) -> Any:
    initial = INITIALISER[activation]
    return keras.layers.Dense(units, activation, kernel_initializer=initial, name=name)(hidden)


def decode(input_shape: tuple[int, ...], options: Mapping[str, Any]) -> Any:
    """Build the mirror image: the hidden sizes in reverse order, then logits of the input's shape."""
    units = options["units"]
    hidden = inputs = keras.Input((units[-1],))
    for i, size in enumerate(reversed(units[:-1]), start=1):
        hidden = _dense(hidden, size, options["activation"], f"decode{i}")
    logits = keras.layers.Dense(math.prod(input_shape), name="logits")(hidden)
    outputs = keras.layers.Reshape(input_shape, name="reshape")(logits)
    return keras.Model(inputs, outputs, name="decoder")


ROW = Architecture(
    name="mlp",
    summary="dense layers 300-100-50-50-50, SELU; any input, fastest a step",
    shapes=shapes,
    build=build,
    decode=decode,
    convolutional=False,
    options={
        "units": Option(
            [300, 100, 50, 50, 50], "sizes of the dense layers, lowest first", integers(1, 65536)
        ),
        "activation": Option("selu", "selu, relu, gelu, tanh or sigmoid", choice(*INITIALISER)),
    },
)
