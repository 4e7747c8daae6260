"""``keras``: a graph of stock Keras layers, taken over from a model that was trained elsewhere.

Its one option describes the layers as plain data: class names from a table, numbers, and which layer feeds
which. ``pretrain import`` writes it; the graph is built layer by layer from the table, and nothing in it is
ever code. Each block is a list of layers, the lowest block first:

    {"class": "Conv2D", "config": {"filters": 8, ...}, "inputs": ["input"], "name": "conv"}

``inputs`` names earlier layers of the same block, or "input", the block's own input. The last layer of a
block is its output. The last block's output is the features (B, D).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headstart.errors import InputError
from pretrain.encoders.base import Architecture, Option, Shapes
from pretrain.encoders.keras_graph.layers import LAYERS, Shape, output_shape
from pretrain.encoders.keras_graph.names import INPUT, check_name

MAX_BLOCKS = 64
MAX_LAYERS = 2000
LAYER_KEYS = {"name", "class", "config", "inputs"}


def parse_blocks(value: Any) -> list[list[dict[str, Any]]]:
    """Check a description and return it as it is stored. Raises ValueError with the rule."""
    if not isinstance(value, list) or not value:
        raise ValueError("is made by `pretrain import` and cannot be given by hand")
    if len(value) > MAX_BLOCKS:
        raise ValueError(f"must have at most {MAX_BLOCKS} blocks")
    if not all(isinstance(block, list) and block for block in value):
        raise ValueError("must be a list of blocks, each of them a list of layers")
    if sum(map(len, value)) > MAX_LAYERS:
        raise ValueError(f"must have at most {MAX_LAYERS} layers")
    names: set[str] = set()
    return [_parse_block(block, names) for block in value]


def _parse_block(block: list[Any], names: set[str]) -> list[dict[str, Any]]:
    here: set[str] = {INPUT}
    unused: set[str] = {INPUT}
    layers = []
    for raw in block:
        if not isinstance(raw, dict) or set(raw) != LAYER_KEYS:
            raise ValueError("must have layers of exactly name, class, config and inputs")
        name, kind, inputs = check_name(raw["name"]), raw["class"], raw["inputs"]
        if name in names:
            raise ValueError(f"names the layer {name!r} twice")
        if not isinstance(kind, str) or kind not in LAYERS:
            raise ValueError(f"has a layer {name!r} of an unknown class")
        if not isinstance(inputs, list) or not 1 <= len(inputs) <= MAX_LAYERS:
            raise ValueError(f"has a layer {name!r} without inputs")
        if not all(isinstance(one, str) and one in here for one in inputs):
            raise ValueError(
                f"has a layer {name!r} whose inputs are no earlier layers of its block"
            )
        names.add(name)
        here.add(name)
        unused = (unused - set(inputs)) | {name}
        layers.append(
            {
                "name": name,
                "class": kind,
                "config": check_config(name, kind, raw["config"]),
                "inputs": list(inputs),
            }
        )
    if astray := unused - {layers[-1]["name"]}:
        raise ValueError(f"has layers that lead nowhere, such as {min(astray)!r}")
    return layers


def check_config(name: str, kind: str, raw: Any) -> dict[str, Any]:
    """Return a layer's complete configuration as it is stored. Raises ValueError."""
    table = LAYERS[kind].options
    if not isinstance(raw, dict) or set(raw) != set(table):
        raise ValueError(f"has a layer {name!r} ({kind}) without exactly the options of its class")
    checked = {}
    for option, rule in table.items():
        try:
            checked[option] = rule(raw[option])
        except ValueError as error:
            raise ValueError(f"has a layer {name!r} ({kind}) whose {option!r} {error}") from None
    return checked


def shapes(input_shape: tuple[int, ...], options: Mapping[str, Any]) -> Shapes:
    """Return every weight's path and shape, by arithmetic alone. Raises InputError."""
    result: Shapes = {}
    shape: Shape = tuple(input_shape)
    if len(shape) not in (1, 3):
        raise InputError(
            f"The encoder 'keras' takes images (height, width, channels) or vectors. Got {shape}."
        )
    for i, block in enumerate(options["blocks"], start=1):
        made = {INPUT: shape}
        found: Shapes = {}
        for layer in block:
            name, kind, config = layer["name"], layer["class"], layer["config"]
            given = [made[one] for one in layer["inputs"]]
            try:
                made[name] = output_shape(kind, config, given)
            except ValueError as error:
                raise InputError(f"The layer {name!r} ({kind}) {error}.") from None
            for variable, size in LAYERS[kind].weights(config, given[0]).items():
                found[f"block{i}/{name}/{variable}"] = size
        if not found:
            raise InputError(f"The encoder 'keras' has no weights in block{i}.")
        result |= found
        shape = made[block[-1]["name"]]
    if len(shape) != 1:
        raise InputError(f"The encoder 'keras' ends in {shape}, and features have one axis.")
    return result


def build(input_shape: tuple[int, ...], options: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Build each block with Keras' own layers; every option was checked against the table."""
    blocks: list[tuple[str, Any]] = []
    shape = tuple(input_shape)
    for i, block in enumerate(options["blocks"], start=1):
        model = build_model(shape, block, f"block{i}")
        shape = tuple(model.output_shape[1:])
        blocks.append((f"block{i}", model))
    return blocks


def build_model(
    shape: tuple[int, ...],
    layers: list[dict[str, Any]],
    name: str,
    outputs: list[str] | None = None,
) -> Any:
    """Return one functional Keras model of checked ``layers``; its output is the last of them.

    outputs: names of layers; then the model returns a list of their outputs.
    """
    import keras

    inputs = keras.Input(shape, name=INPUT)
    made = {INPUT: inputs}
    for layer in layers:
        kind = LAYERS[layer["class"]]
        config = {k: v for k, v in layer["config"].items() if not (k == "shared_axes" and v == [])}
        given = [made[one] for one in layer["inputs"]]
        built = getattr(keras.layers, layer["class"])(**config, name=layer["name"])
        made[layer["name"]] = built(given if kind.merges else given[0])
    last = made[layers[-1]["name"]] if outputs is None else [made[one] for one in outputs]
    return keras.Model(inputs, last, name=name)


def decode(input_shape: tuple[int, ...], options: Mapping[str, Any]) -> Any:
    """Refuse: nothing that needs a decoder trains an imported encoder. Raises InputError."""
    raise InputError("The encoder 'keras' is imported and has no decoder.")


ROW = Architecture(
    name="keras",
    summary="the stock layers of a Keras model that was trained elsewhere; made by `pretrain import` only",
    shapes=shapes,
    build=build,
    decode=decode,
    convolutional=True,
    imported=True,
    options={
        "blocks": Option(
            default=[],
            help="the layers, block by block, as plain data; `pretrain import` writes them",
            parse=parse_blocks,
        )
    },
)
