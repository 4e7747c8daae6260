"""Checks of a weights file's JSON: its encoder, preprocessing, metadata, manifest and fingerprints.

Nothing here touches HDF5 (that is ``hdf5``) or TensorFlow. Everything is bounded before it is built: a
file can be written by anyone.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from headstart.errors import InputError
from pretrain.encoders import check_config, declared_config, expected_shapes
from pretrain.encoders.base import Shapes
from tasks.duplicates.fingerprints import (
    HASH,
    MAX_EXACT,
    MAX_NEAR,
    SIGNATURE,
    Fingerprints,
    comparable,
)
from tasks.tables.schema import Schema

MAX_JSON_VALUES = 500_000
MAX_JSON_DEPTH = 32
MAX_EXAMPLES = 1 << 48
LARGEST = 3.4e38  # a float32; scale and offset are applied in float32

INPUT_DTYPES = ("uint8", "uint16", "int32", "int64", "float32", "float64")
PREPROCESSING_KEYS = {"input_dtype", "value_range", "scale", "offset"}
ENTRY_KEYS = {"name", "shape", "dtype", "sha256"}
STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
KINDS = {"exact": HASH, "near": SIGNATURE}
SHA256 = re.compile(r"[0-9a-f]{64}")

COPY_AGAIN = "copy or download it again, or write it again with the pretrain command"
WRITE_AGAIN = "write it again with the pretrain command"
DISTRUST = "Headstart never writes that, so do not use the file; " + WRITE_AGAIN


class Fault(Exception):
    """A fault of a file, and the way out; becomes an InputError that names the file."""

    def __init__(self, what: str, way_out: str = DISTRUST) -> None:
        super().__init__(f"{what}; {way_out}")
        self.what, self.way_out = what, way_out


def listing(items: Iterable[str], most: int = 200) -> str:
    """Join every item, or the first ``most`` and the number of the others."""
    shown = list(items)
    more = len(shown) - most
    return "; ".join(shown[:most]) + (f"; and {more} more" if more > 0 else "")


def short(value: object, most: int = 200) -> str:
    """Return ``value`` as text that is safe in a message: printable, and not endless."""
    text = value if isinstance(value, str) else repr(value)
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[: most + 1])
    return text if len(text) <= most else text[:most] + "…"


def canonical(value: Any) -> bytes:
    """Return the one JSON text of ``value``: sorted keys, no blanks, UTF-8, finite numbers.

    Raises ValueError or TypeError when it has none.
    """
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode()


def sha256(data: Any) -> str:
    """Return the sha256, in hexadecimal, of a bytes-like object."""
    return hashlib.sha256(data).hexdigest()


def file_sha256(path: Path) -> str:
    """Return the sha256, in hexadecimal, of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of(content: Mapping[str, Any], manifest: list[dict[str, Any]]) -> str:
    """Return the digest of a file: sha256 of its canonical description and manifest."""
    return sha256(canonical({**content, "manifest": manifest}))


def oversize(data: bytes, depth: int) -> str | None:
    """Say how JSON goes beyond the limits on values and on depth, without parsing it; or None."""
    bare = STRING.sub(b"", data)
    if sum(bare.count(mark) for mark in (b"[", b"{", b",", b":")) > MAX_JSON_VALUES:
        return f"holds more than {MAX_JSON_VALUES:,} values"
    steps = (1 if mark in b"[{" else -1 for mark in re.findall(rb"[\[\]{}]", bare))
    if max(accumulate(steps), default=0) > depth:
        return f"is nested deeper than {depth} levels"
    return None


def parse_json(data: bytes, where: str) -> Any:
    """Parse canonical JSON within the limits on depth and size. Raises Fault."""
    if fault := oversize(data, MAX_JSON_DEPTH):
        raise Fault(f"its {where} {fault}")
    try:
        value = json.loads(
            data.decode(), object_pairs_hook=_unique, parse_constant=_refuse_constant
        )
        if canonical(value) != data:
            raise Fault(f"its {where} is not canonical JSON")
    except (ValueError, RecursionError) as error:
        raise Fault(f"its {where} is not valid JSON: {short(str(error))}") from None
    return value


def check_encoder(
    raw: Any, declared: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any], Shapes]:
    """Return a file's complete encoder configuration and the shapes it needs. Raises Fault.

    declared: of a file, the shapes in its manifest, which are those that an imported encoder needs.
    """
    try:
        raw = raw if declared is None else declared_config(raw, declared)
        config = check_config(raw)
        shapes = expected_shapes(config)
    except InputError as error:
        raise Fault(
            f"its encoder is refused: {short(str(error).rstrip('.?'), 600)}",
            "read it with the Headstart that wrote it, or write it again with the pretrain command",
        ) from None
    except (ValueError, TypeError, KeyError, IndexError, ArithmeticError, RecursionError) as error:
        raise Fault(f"its encoder configuration is not valid: {short(str(error))}") from None
    for name, value in raw["options"].items():
        if canonical(config["options"][name]) != canonical(value):
            raise Fault(f"its encoder option {name!r} is not in the form that Headstart stores")
    return config, shapes


def check_preprocessing(raw: Any, input_shape: list[int]) -> dict[str, Any]:
    """Check how raw examples become the encoder's input: x * scale + offset. Raises Fault."""
    if not isinstance(raw, dict) or set(raw) - {"table"} != PREPROCESSING_KEYS:
        raise Fault(f"its preprocessing must hold exactly {', '.join(sorted(PREPROCESSING_KEYS))}")
    if raw["input_dtype"] not in INPUT_DTYPES:
        raise Fault(
            f"its preprocessing's 'input_dtype' must be one of {', '.join(INPUT_DTYPES)}. "
            f"Got {short(repr(raw['input_dtype']))}"
        )
    one = {1, input_shape[-1]}  # for all channels, or one a channel
    for name, lengths in (("value_range", {2}), ("scale", one), ("offset", one)):
        value = raw[name]
        if not isinstance(value, list) or len(value) not in lengths or not all(map(_finite, value)):
            needed = " or ".join(str(n) for n in sorted(lengths))
            raise Fault(
                f"its preprocessing's {name!r} must be a list of {needed} finite numbers. "
                f"Got {short(repr(value))}"
            )
    low, high = raw["value_range"]
    if not low < high:
        raise Fault(f"its preprocessing's 'value_range' must rise. Got [{low}, {high}]")
    if "table" in raw:
        _check_table(raw, list(input_shape))
    return raw


def _check_table(raw: Mapping[str, Any], input_shape: list[int]) -> None:
    """Check a preprocessing with the schema of a table. Raises Fault."""
    try:
        schema = Schema.from_json(raw["table"])
    except ValueError as error:
        raise Fault(f"its preprocessing's 'table' {short(str(error))}") from None
    if [schema.width] != input_shape:
        what = f"its table gives {schema.width} values and its encoder takes {input_shape}"
        raise Fault(what, WRITE_AGAIN)
    plain = {"input_dtype": "float32", "value_range": [0, 1], "scale": [1], "offset": [0]}
    for name, value in plain.items():
        if raw[name] != value:
            raise Fault(f"its preprocessing has a table, and its {name!r} must be {value}")


def example_shape(encoder: Mapping[str, Any], preprocessing: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the shape of a raw example: of a table as many values as columns, else the encoder's input."""
    table = preprocessing.get("table")
    return tuple(encoder["input_shape"] if table is None else [len(table["columns"])])


def check_metadata(raw: Any) -> dict[str, Any]:
    """Check the least that the metadata must say. Raises Fault."""
    if not isinstance(raw, dict):
        raise Fault("its metadata must be an object")
    data = raw.get("data")
    rules = {
        "'strategy' (text)": isinstance(raw.get("strategy"), str) and bool(raw["strategy"]),
        "'seed' (an integer)": type(raw.get("seed")) is int,
        "'data' with 'name' and 'fingerprint' (text)": isinstance(data, dict)
        and all(isinstance(data.get(key), str) for key in ("name", "fingerprint")),
        "'versions' (an object)": isinstance(raw.get("versions"), dict),
    }
    if broken := [rule for rule, kept in rules.items() if not kept]:
        raise Fault(f"its metadata lacks {', '.join(broken)}")
    return raw


def check_manifest(raw: Any) -> dict[str, dict[str, Any]]:
    """Check the manifest's form and return its entries by name, in order. Raises Fault."""
    if not isinstance(raw, list):
        raise Fault("its manifest must be a list")
    entries: dict[str, dict[str, Any]] = {}
    for entry in raw:
        if not isinstance(entry, dict) or set(entry) != ENTRY_KEYS:
            raise Fault("each entry of its manifest must hold exactly name, shape, dtype, sha256")
        name, shape = entry["name"], entry["shape"]
        sizes = shape if isinstance(shape, list) else [None]
        if not isinstance(name, str) or not all(type(n) is int and n > 0 for n in sizes):
            raise Fault(f"its manifest has an entry without name or shape: {short(repr(entry))}")
        if entry["dtype"] != "<f4":
            raise Fault(f"its manifest gives {short(repr(name))} the dtype {short(entry['dtype'])}")
        if not isinstance(entry["sha256"], str) or not SHA256.fullmatch(entry["sha256"]):
            raise Fault(f"its manifest has no sha256 for {short(repr(name))}")
        if name in entries:
            raise Fault(f"its manifest names {short(repr(name))} twice")
        entries[name] = entry
    return entries


def describe_pool(
    fingerprints: Fingerprints, content: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return what the file's JSON says of them, and the arrays (rows, 8 or 64) uint8 by name.

    content: the file's checked encoder and preprocessing. Raises Fault when they are of another pool.
    """
    pool = (fingerprints.dtype, list(fingerprints.shape))
    file = (
        content["preprocessing"]["input_dtype"],
        list(example_shape(content["encoder"], content["preprocessing"])),
    )
    if pool != file:
        raise Fault(
            f"the fingerprints are of {pool}, the encoder takes {file}", "give its own pool's"
        )
    about: dict[str, Any] = {"examples": fingerprints.examples}
    arrays = {}
    for name, kind in KINDS.items():
        about[name] = None
        if (found := getattr(fingerprints, name)) is not None:
            arrays[name] = np.ascontiguousarray(found, np.uint8)
            about[name] = {"kind": kind, "rows": len(found), "sha256": sha256(arrays[name])}
    return about, arrays


def check_pool(raw: Any, encoder: Mapping[str, Any], stored: Mapping[str, Any]) -> None:
    """Check the description against the encoder and the stored, unread arrays. Raises Fault."""
    if not isinstance(raw, dict) or set(raw) != {"examples", "exact", "near"}:
        raise Fault("its fingerprints must be described by exactly examples, exact and near")
    examples = raw["examples"]
    if type(examples) is not int or not 1 <= examples <= MAX_EXAMPLES:
        raise Fault(f"its fingerprints are of {short(repr(examples))} examples")
    most = {"exact": min(examples, MAX_EXACT), "near": MAX_NEAR}
    for name, kind in KINDS.items():
        about, found = raw[name], stored.get(name)
        if about is None and found is None and name == "near":
            continue
        part = f"its fingerprints' {name!r}"
        if not isinstance(about, dict) or set(about) != {"kind", "rows", "sha256"}:
            raise Fault(f"{part} must hold exactly kind, rows and sha256")
        rows, have = about["rows"], "none" if found is None else found.shape[0]
        if about["kind"] != kind:
            raise Fault(f"{part} are of the kind {short(repr(about['kind']))}")
        if type(rows) is not int or have != rows:
            raise Fault(f"{part} should have {short(repr(rows))} rows and has {have}")
        if rows > most[name]:
            raise Fault(f"{part} has more than {most[name]:,} rows")
        if not isinstance(about["sha256"], str) or not SHA256.fullmatch(about["sha256"]):
            raise Fault(f"{part} has no sha256")
    wanted = min(raw["exact"]["rows"], MAX_NEAR) if comparable(encoder["input_shape"]) else None
    rows = raw["near"]["rows"] if raw["near"] else None
    if rows != wanted:
        raise Fault(f"its fingerprints' 'near' has {rows} rows where {wanted} belong")


def differences(needed: Shapes, found: Mapping[str, tuple[int, ...]], holder: str) -> list[str]:
    """List every tensor that ``holder`` lacks, has too many, or has in another shape."""
    problems = []
    for name, shape in needed.items():
        if name not in found:
            problems.append(f"{holder} lacks {name} {shape}")
        elif found[name] != shape:
            problems.append(
                f"{name} is {short(found[name])} in {holder}, the encoder needs {shape}"
            )
    extra = [f"{holder} has an unexpected {short(repr(n))}" for n in found if n not in needed]
    return problems + extra


def _finite(value: Any) -> bool:
    return type(value) in (int, float) and -LARGEST <= value <= LARGEST


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for i, key in enumerate(keys) if key in keys[:i])
        raise ValueError(f"the key {short(repr(twice))} appears twice")
    return result


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")
