"""``pretrain inspect``: describe a weights file for people and as JSON, without TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pretrain.encoders import architecture, expected_shapes
from pretrain.encoders.encoder import schema_of
from pretrain.weights.file import WeightsFile
from pretrain.weights.validation import short
from tasks.duplicates.fingerprints import Fingerprints

# Shown in a place of their own; everything else in the metadata is listed after them.
KNOWN = ("strategy", "options", "seed", "data", "metrics", "versions")


def describe(weights: WeightsFile, path: Path) -> str:
    """Return a page of text: what was trained, on what, how, and whether it is complete.

    Everything that comes from the file is shown without control characters.
    """
    config, metadata = weights.encoder, weights.metadata
    preprocessing, data = weights.preprocessing, metadata["data"]
    low, high = preprocessing["value_range"]
    rows = [
        ("file", f"{path}, Headstart weights, version {weights.version}"),
        ("strategy", metadata["strategy"] + _in_brackets(metadata.get("options"))),
        ("data", f"{data['name']} (fingerprint {data['fingerprint']})"),
        ("fingerprints", _fingerprints(weights.fingerprints)),
        ("seed", str(metadata["seed"])),
        ("input", f"{_by(config['input_shape'])} {preprocessing['input_dtype']}, {low} to {high}"),
        ("prepared", _prepared(preprocessing)),
        ("encoder", config["architecture"] + _options(config)),
    ]
    rows += [("", line) for line in _blocks(config)]
    rows += [(name, _plain(metadata[name])) for name in metadata if name not in KNOWN]
    rows += [
        (name, _plain(metadata[name])) for name in ("metrics", "versions") if metadata.get(name)
    ]
    rows += [("receipt", weights.receipt()), ("digest", weights.digest)]
    width = max(len(short(name, 24)) for name, _ in rows)
    return "\n".join(f"{short(name, 24):<{width}}  {short(text, 1000)}" for name, text in rows)


def as_json(weights: WeightsFile) -> dict[str, Any]:
    """Return everything but the values themselves, as plain JSON."""
    return {
        "format": "headstart-weights",
        "version": weights.version,
        "digest": weights.digest,
        "encoder": weights.encoder,
        "preprocessing": weights.preprocessing,
        "metadata": weights.metadata,
        "tensors": {name: list(tensor.shape) for name, tensor in weights.tensors.items()},
        "parameters": weights.n_parameters,
        "receipt": weights.receipt(),
        "fingerprints": weights.fingerprints and weights.fingerprints.counts(),
    }


def _prepared(preprocessing: Mapping[str, Any]) -> str:
    schema = schema_of(preprocessing)
    if schema is not None:
        target = f"; to predict: {schema.target}" if schema.target else ""
        return f"a table of {len(schema.columns)} columns: {schema.describe()}{target}"
    return f"x * {_few(preprocessing['scale'])} + {_few(preprocessing['offset'])}"


def _fingerprints(fingerprints: Fingerprints | None) -> str:
    if fingerprints is None:
        return "none: the file does not tell what was in the pool"
    found = fingerprints.counts()
    return (
        f"{found['exact']:,} hashes and {found['near']:,} signatures of {found['examples']:,} "
        f"examples, {found['bytes']:,} bytes"
    )


def _blocks(config: Mapping[str, Any]) -> list[str]:
    """One line a block, lowest first: its name, its parameters, its tensors' shapes."""
    blocks: dict[str, dict[str, tuple[int, ...]]] = {}
    for path, shape in expected_shapes(config).items():
        block, _, rest = path.partition("/")
        blocks.setdefault(block, {})[rest] = shape
    lines = []
    for block, shapes in blocks.items():
        count = sum(math.prod(shape) for shape in shapes.values())
        tensors = ", ".join(f"{name} {_by(shape)}" for name, shape in shapes.items())
        lines.append(f"{block}: {count:,} parameters ({tensors})")
    return lines


def _by(shape: list[int] | tuple[int, ...]) -> str:
    return " x ".join(str(n) for n in shape)


def _few(values: list[float]) -> str:
    """One number, or the first three of many in brackets."""
    if len(values) == 1:
        return f"{values[0]:.6g}"
    more = ", …" if len(values) > 3 else ""
    return "[" + ", ".join(f"{x:.6g}" for x in values[:3]) + more + "]"


def _plain(value: Any) -> str:
    """JSON as a person would write it on one line."""
    if isinstance(value, dict):
        return ", ".join(
            f"{key} {'(' + _plain(item) + ')' if isinstance(item, dict) else _plain(item)}"
            for key, item in value.items()
        )
    if isinstance(value, list):
        more = f", … ({len(value)})" if len(value) > 12 else ""
        return "[" + ", ".join(_plain(item) for item in value[:12]) + more + "]"
    if isinstance(value, float):
        return f"{value:.6g}"
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return str(value)


def _options(config: Mapping[str, Any]) -> str:
    """An encoder's options, or of an imported one, whose options are all its layers, their number."""
    if not architecture(config["architecture"]).imported:
        return _in_brackets(config["options"])
    blocks = config["options"]["blocks"]
    return f" ({sum(map(len, blocks))} layers in {len(blocks)} blocks)"


def _in_brackets(options: Any) -> str:
    return f" ({_plain(options)})" if isinstance(options, dict) and options else ""
