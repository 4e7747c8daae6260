"""Single values out of HDF5, for the weights file: looked at through their headers, then read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from h5py import h5a, h5s, h5t

from pretrain.weights_checks import DISTRUST, Fault


def attribute(root: Any, name: bytes, dtype: np.dtype[Any]) -> Any:
    """Read one small scalar attribute after looking at its declared type and size."""
    attribute = h5a.open(root, name)
    kind, space = attribute.get_type(), attribute.get_space()
    is_text = isinstance(kind, h5t.TypeStringID) and not kind.is_variable_str()
    good = kind.equal(h5t.STD_I64LE) if dtype.kind == "i" else is_text
    if space.get_simple_extent_type() != h5s.SCALAR or not good or kind.get_size() > 64:
        raise Fault(f"its attribute {name.decode()!r} must be one {_KINDS[dtype.kind]}", DISTRUST)
    value = np.empty((), dtype if dtype.kind == "i" else f"S{kind.get_size()}")
    attribute.read(value)
    return value[()]


_KINDS = {"i": "little-endian 64-bit integer", "S": "short text of fixed length"}


def type_name(kind: Any) -> str:
    """Return an HDF5 type in words."""
    names: dict[int, Callable[[], str]] = {
        h5t.INTEGER: lambda: f"{_order(kind)}{8 * kind.get_size()}-bit integer",
        h5t.FLOAT: lambda: f"{_order(kind)}{8 * kind.get_size()}-bit float",
        h5t.STRING: lambda: "string",
        h5t.BITFIELD: lambda: "bitfield",
        h5t.OPAQUE: lambda: "opaque",
        h5t.COMPOUND: lambda: "compound",
        h5t.REFERENCE: lambda: "reference",
        h5t.ENUM: lambda: "enumeration",
        h5t.VLEN: lambda: "variable length",
        h5t.ARRAY: lambda: "array",
    }
    return names.get(kind.get_class(), lambda: "unknown")()


def _order(kind: Any) -> str:
    return "big-endian " if kind.get_order() == h5t.ORDER_BE else ""


def read_bytes(dataset: Any) -> bytes:
    """Read a JSON dataset whose size has been checked."""
    data = np.empty(dataset.shape, np.uint8)
    dataset.read(h5s.ALL, h5s.ALL, data)
    return data.tobytes()


def read_tensor(dataset: Any) -> np.ndarray:
    """Read a float32 tensor whose storage has been checked. Shape: as stored."""
    data = np.empty(dataset.shape, "<f4")
    dataset.read(h5s.ALL, h5s.ALL, data)
    return data
