"""The pool's fingerprints inside a weights file: described, checked, and only then read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pretrain.weights.hdf5 import read
from pretrain.weights.validation import COPY_AGAIN, SHA256, Fault, sha256, short
from tasks.duplicates.fingerprints import (
    HASH,
    MAX_EXACT,
    MAX_NEAR,
    SIGNATURE,
    Fingerprints,
    comparable,
)

KINDS = {"exact": HASH, "near": SIGNATURE}
MAX_EXAMPLES = 1 << 48


def describe_pool(
    fingerprints: Fingerprints, content: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return what the file's JSON says of them, and the arrays (rows, 8 or 64) uint8 by name.

    content: the file's checked encoder and preprocessing. Raises Fault when they are of another pool.
    """
    pool = (fingerprints.dtype, list(fingerprints.shape))
    file = (content["preprocessing"]["input_dtype"], list(content["encoder"]["input_shape"]))
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


def read_pool(content: Mapping[str, Any], stored: Mapping[str, Any]) -> Fingerprints:
    """Read the arrays, whose description and storage have been checked. Raises Fault."""
    about = content["fingerprints"]
    arrays = {}
    for name, dataset in stored.items():
        arrays[name] = read(dataset, "u1")
        if sha256(arrays[name]) != about[name]["sha256"]:
            raise Fault(f"the sha256 of its fingerprints' {name!r} is another", COPY_AGAIN)
    exact = arrays["exact"].view(">u8")[:, 0]
    if not (exact[1:] > exact[:-1]).all():
        raise Fault("its fingerprints' 'exact' do not rise")
    near = arrays.get("near")
    if near is not None:
        largest = np.abs(near.astype(np.int16) - 128).max(axis=1)
        if not ((near > 0).all() and np.isin(largest, (0, 127)).all()):
            raise Fault("its fingerprints' 'near' has rows that are no signatures")
    return Fingerprints(
        examples=about["examples"],
        dtype=content["preprocessing"]["input_dtype"],
        shape=tuple(content["encoder"]["input_shape"]),
        exact=arrays["exact"],
        near=near,
    )
