"""``keras``: a graph of stock Keras layers, taken over from a model that was trained elsewhere.

Its option ``blocks`` describes the layers as plain data: class names from a table, numbers, and which layer
feeds which. ``pretrain import`` writes it; the graph is built layer by layer, and nothing in it is ever code.
Each block is a list of layers, the lowest block first:

    {"class": "Conv2D", "config": {"filters": 8, ...}, "inputs": ["input"], "name": "conv"}

``inputs`` names earlier layers of the same block, or "input", the block's own input. The last layer of a
block is its output. The last block's output is the features (B, D).

The option ``shapes`` lists the shapes of the weights. A weights file does not store it twice: it is the
file's manifest. Keras alone knows which shapes the layers have, so they are compared when the encoder is
built, before memory for a single weight is taken (see ``deferred``).
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from headstart.errors import InputError
from headstart.lazy import keras
from pretrain.encoders.base import (
    MAX_INPUT_SIZE,
    MAX_PARAMETERS,
    Architecture,
    Option,
    Shapes,
    by_path,
)
from pretrain.encoders.keras_graph.options import ATTENDING, LAYERS, MERGING, WRAPPED, plain_options

INPUT = "input"
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
MAX_BLOCKS, MAX_LAYERS, MAX_RANK = 64, 2000, 8
LAYER_KEYS = {"name", "class", "config", "inputs"}
CALLS = ("use_causal_mask",)


def free_name(wanted: str, taken: Any) -> str:
    """Return ``wanted`` as a name that is allowed and not in ``taken``."""
    base = re.sub(r"[^A-Za-z0-9_.-]", "_", wanted)[:56] or "layer"
    base = base if NAME.fullmatch(base) else f"_{base}"[:56]
    name, number = base, 1
    while name in taken or name == INPUT:
        number += 1
        name = f"{base}.{number}"
    return name


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
    here, unused = {INPUT}, {INPUT}
    layers = []
    for raw in block:
        layers.append(_parse_layer(raw, here))
        name = layers[-1]["name"]
        if name in names:
            raise ValueError(f"names the layer {name!r} twice")
        names.add(name)
        here.add(name)
        unused = (unused - set(layers[-1]["inputs"])) | {name}
    if astray := unused - {layers[-1]["name"]}:
        raise ValueError(f"has layers that lead nowhere, such as {min(astray)!r}")
    return layers


def _parse_layer(raw: Any, here: set[str]) -> dict[str, Any]:
    """Check one layer, whose inputs must be in ``here``."""
    if not isinstance(raw, dict) or set(raw) - {"call"} != LAYER_KEYS:
        raise ValueError("must have layers of exactly name, class, config and inputs")
    name, kind, inputs = raw["name"], raw["class"], raw["inputs"]
    if not isinstance(name, str) or not NAME.fullmatch(name) or name == INPUT:
        raise ValueError(
            "must name each layer by at most 64 letters, digits, '_', '.' and '-', and not 'input'"
        )
    about = f"has a layer {name!r}"
    if not isinstance(kind, str) or kind not in LAYERS:
        raise ValueError(f"{about} of an unknown class")
    if not isinstance(inputs, list) or not inputs:
        raise ValueError(f"{about} without inputs")
    if not all(isinstance(one, str) and one in here for one in inputs):
        raise ValueError(f"{about} whose inputs are no earlier layers of its block")
    check_inputs(name, kind, len(inputs))
    try:
        config = plain_options(kind, raw["config"])
    except ValueError as error:
        raise ValueError(f"{about} ({kind}) that {error}") from None
    if set(config) != set(raw["config"]):
        raise ValueError(f"{about} ({kind}) with options that are never stored")
    layer = {"name": name, "class": kind, "config": config, "inputs": list(inputs)}
    if "call" not in raw:
        return layer
    call = dict.fromkeys(CALLS, True)
    if kind not in MERGING | ATTENDING or not isinstance(raw["call"], dict) or raw["call"] != call:
        raise ValueError(f"{about} that is called in an unknown way")
    return {**layer, "call": call}


def check_inputs(name: str, kind: str, count: int) -> None:
    """Raise ValueError unless a layer of this class takes that number of inputs."""
    if kind in MERGING | ATTENDING:
        if not 2 <= count <= MAX_LAYERS or (kind in ATTENDING and count > 3):
            raise ValueError(f"has a layer {name!r} ({kind}) that needs two inputs or more")
    elif count != 1:
        raise ValueError(f"has a layer {name!r} ({kind}) that needs one input")


def parse_shapes(value: Any) -> list[list[Any]]:
    """Check [["block/layer/variable", [sizes]], ...]. Raises ValueError with the rule."""
    rows: list[Any] = value if isinstance(value, list) else [None]
    result = []
    for row in rows:
        path, sizes = row if isinstance(row, list | tuple) and len(row) == 2 else (None, [])
        good = isinstance(path, str) and isinstance(sizes, list | tuple) and len(sizes) <= MAX_RANK
        if not good or not all(type(n) is int and n > 0 for n in sizes):
            raise ValueError("must be pairs of a weight's path and its sizes")
        result.append([path, list(sizes)])
    return result


def shapes(input_shape: tuple[int, ...], options: Mapping[str, Any]) -> Shapes:
    """Return every weight's path and declared shape, in order. Raises InputError.

    The paths are checked here; whether the layers have these weights only Keras can tell, in ``build``.
    """
    if len(input_shape) not in (1, 3):
        raise InputError(
            f"The encoder 'keras' takes images (height, width, channels) or vectors. Got {input_shape}."
        )
    place = {
        (f"block{i}", layer["name"]): (i, j)
        for i, block in enumerate(options["blocks"], start=1)
        for j, layer in enumerate(block)
    }
    result: Shapes = {}
    places = []
    for path, sizes in options["shapes"]:
        block, _, rest = path.partition("/")
        layer, _, variable = rest.partition("/")
        if (block, layer) not in place or not NAME.fullmatch(variable) or path in result:
            raise InputError(f"The encoder 'keras' has no layer for the tensor {path[:200]!r}.")
        places.append(place[block, layer])
        result[path] = tuple(sizes)
    if without := {i for i, _ in place.values()} - {i for i, _ in places}:
        raise InputError(f"The encoder 'keras' has no weights in block{min(without)}.")
    if places != sorted(places):
        raise InputError("The encoder 'keras' has tensors that are not in the order of its layers.")
    return result


def build(input_shape: tuple[int, ...], options: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Build each block with Keras' own layers. Raises InputError, before memory for weights is taken."""
    blocks: list[tuple[str, Any]] = []
    shape = tuple(input_shape)
    declared = shapes(input_shape, options)
    with deferred():
        for i, layers in enumerate(options["blocks"], start=1):
            try:
                model = build_model(shape, layers, f"block{i}")
            except ValueError as error:
                raise InputError(f"The encoder 'keras' cannot be built: {error}.") from None
            shape = tuple(model.output_shape[1:])
            blocks.append((f"block{i}", model))
        if len(shape) != 1:
            raise InputError(f"The encoder 'keras' ends in {shape}, and features have one axis.")
        found = {path: tuple(weight.shape) for path, weight in by_path(blocks).items()}
        if found != declared:
            apart = sorted(dict(declared.items() ^ found.items()))[:3]
            raise InputError(
                f"The weights declared for the encoder 'keras' are not those of its layers, such as "
                f"{', '.join(apart)}; import the model again."
            )
    return blocks


def build_model(
    shape: tuple[int, ...],
    layers: list[dict[str, Any]],
    name: str,
    outputs: list[str] | None = None,
) -> Any:
    """Return one functional Keras model of ``layers`` as they are stored; its output is the last of them.

    outputs: names of layers; then the model returns a list of their outputs. Raises ValueError.
    """
    inputs = keras.Input(shape, name=INPUT)
    made = {INPUT: inputs}
    total = 0
    for layer in layers:
        kind, about = layer["class"], f"the layer {layer['name']!r} ({layer['class']})"
        given = [made[one] for one in layer["inputs"]]
        try:
            built = _made_layer(kind, layer["config"], layer["name"])
            arguments = [given] if kind in MERGING else given
            output = built(*arguments, **layer.get("call", {}))
        except Exception as error:  # Keras raises many kinds for options that do not fit together
            raise ValueError(f"{about} cannot be: {' '.join(str(error).split())[:300]}") from None
        sizes = getattr(output, "shape", (None, None))[1:]
        if None in sizes:
            raise ValueError(f"{about} leaves sizes of its output open")
        if min(sizes, default=0) < 1:
            raise ValueError(f"{about} makes nothing of inputs of shape {given[0].shape[1:]}")
        # An attention layer also computes a score of each pair of places.
        pairs = math.prod(math.prod(one.shape[1:-1]) for one in given[:2])
        largest = max(math.prod(sizes), pairs if kind.endswith("Attention") else 0)
        if largest > MAX_INPUT_SIZE:
            raise ValueError(f"{about} makes more than {MAX_INPUT_SIZE:,} values an example")
        total += sum(math.prod(weight.shape) for weight in built.weights)
        if total > MAX_PARAMETERS:
            raise ValueError(f"{about} brings it above {MAX_PARAMETERS:,} parameters")
        made[layer["name"]] = output
    last = made[layers[-1]["name"]] if outputs is None else [made[one] for one in outputs]
    return keras.Model(inputs, last, name=name)


def _made_layer(kind: str, options: Mapping[str, Any], name: str) -> Any:
    config = dict(options)
    for key in WRAPPED.get(kind, ()):
        if config.get(key) is not None:
            config[key] = _made_layer(config[key]["class"], config[key]["config"], key)
    if config.get("shared_axes") == []:
        config["shared_axes"] = None
    return getattr(keras.layers, kind)(**config, name=name)


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Build Keras layers whose weights take memory only when the block ends without an error.

    Shapes can so be checked before anything is allocated: ten lines of JSON may name terabytes.
    """
    from keras.src.backend.common import global_state
    from keras.src.backend.common.variables import initialize_all_variables

    try:
        with keras.StatelessScope(initialize_variables=False):
            yield
    except BaseException:
        global_state.set_global_attribute("uninitialized_variables", [])
        raise
    initialize_all_variables()


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
            [],
            "the layers, block by block, as plain data; `pretrain import` writes them",
            parse_blocks,
        ),
        "shapes": Option(
            [],
            "the shapes of the weights; a weights file declares them in its manifest",
            parse_shapes,
        ),
    },
)
