"""The table of encoder architectures; configurations and shapes of weights, without TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from headstart.errors import InputError, suggest
from pretrain.encoders import convnet, keras_graph, mlp, patches, resnet, table
from pretrain.encoders.base import (
    MAX_INPUT_SIZE,
    MAX_PARAMETERS,
    Architecture,
    Shapes,
    resolve_options,
)

ARCHITECTURES: dict[str, Architecture] = {
    row.name: row
    for row in (mlp.ROW, convnet.ROW, resnet.ROW, table.ROW, patches.ROW, keras_graph.ROW)
}


def fresh_names() -> list[str]:
    """Return the names of the encoders that a pretraining can begin with."""
    return [name for name, row in ARCHITECTURES.items() if not row.imported]


def architecture(name: str) -> Architecture:
    """Return the row called ``name``. Raises InputError with near names."""
    if name not in ARCHITECTURES:
        rule, hint = f"must be one of {', '.join(ARCHITECTURES)}", suggest(name, ARCHITECTURES)
        raise InputError(rule, argument="encoder", value=name, hint=hint)
    return ARCHITECTURES[name]


def encoder_config(
    name: str, input_shape: tuple[int, ...], options: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the checked, complete JSON configuration of an encoder. Raises InputError."""
    row = architecture(name)
    return {
        "architecture": row.name,
        "input_shape": [int(n) for n in input_shape],
        "options": resolve_options(f"the encoder {name!r}", row.options, options or {}),
    }


def check_config(config: Any) -> dict[str, Any]:
    """Check a configuration that came from outside (a weights file). Raises InputError."""
    if not isinstance(config, dict) or set(config) != {"architecture", "input_shape", "options"}:
        raise InputError(
            "An encoder's configuration must hold exactly 'architecture', 'input_shape' and 'options'."
        )
    shape, options, name = config["input_shape"], config["options"], config["architecture"]
    if not isinstance(name, str) or not isinstance(options, dict):
        raise InputError("An encoder's 'architecture' must be text and its 'options' an object.")
    good = isinstance(shape, list) and 1 <= len(shape) <= 4
    if not good or not all(type(n) is int and n > 0 for n in shape):
        raise InputError("An encoder's 'input_shape' must be 1 to 4 positive integers", value=shape)
    if math.prod(shape) > MAX_INPUT_SIZE:
        raise InputError(
            f"An encoder's input may hold at most {MAX_INPUT_SIZE} values", value=shape
        )
    return encoder_config(name, tuple(shape), options)


def stored_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a checked configuration as a weights file holds it.

    The shapes of an imported encoder's weights are left out: the file's manifest declares them.
    """
    options = config["options"]
    if ARCHITECTURES[config["architecture"]].imported:
        options = {name: value for name, value in options.items() if name != "shapes"}
    return {**config, "options": options}


def declared_config(raw: Any, shapes: Mapping[str, Any]) -> Any:
    """Return what a weights file holds as a configuration, with the shapes that its manifest declares.

    raw: anything; it is not checked here. Raises InputError for shapes outside the manifest.
    """
    name = raw.get("architecture") if isinstance(raw, dict) else None
    row = ARCHITECTURES.get(name) if isinstance(name, str) else None
    if row is None or not row.imported or not isinstance(raw.get("options"), dict):
        return raw
    if "shapes" in raw["options"]:
        raise InputError(f"The encoder {name!r} has no option 'shapes' in a file.")
    rows = [[path, list(shape)] for path, shape in shapes.items()]
    return {**raw, "options": {**raw["options"], "shapes": rows}}


def expected_shapes(config: Mapping[str, Any]) -> Shapes:
    """Return every weight's ``"block/layer/variable"`` and shape, in order, without Keras.

    Those of an imported encoder are the declared ones, which are checked when it is built.

    Raises InputError when the configuration cannot be built or is larger than the limits.
    """
    row = architecture(config["architecture"])
    shapes = row.shapes(tuple(config["input_shape"]), config["options"])
    if sum(math.prod(shape) for shape in shapes.values()) > MAX_PARAMETERS:
        raise InputError(
            f"The encoder {row.name!r} would have more than {MAX_PARAMETERS} parameters."
        )
    return shapes


def block_names(config: Mapping[str, Any]) -> list[str]:
    """Return the names of the encoder's blocks, lowest first."""
    return list(dict.fromkeys(path.split("/")[0] for path in expected_shapes(config)))
