"""Examples that occur in two sets: pretraining pools must not hold test examples unnoticed."""

from __future__ import annotations

import numpy as np


def overlap(x_a: np.ndarray, x_b: np.ndarray) -> np.ndarray:
    """Find the examples of one set that also occur in another, exactly.

    Sets of different dtypes are compared as float32; examples of different shapes are never the same.

    Args:
        x_a: (N, ...) examples.
        x_b: (M, ...) examples.

    Returns:
        Sorted int64 indices into ``x_b``.
    """
    if x_a.shape[1:] != x_b.shape[1:]:
        return np.empty(0, dtype=np.int64)
    if x_a.dtype != x_b.dtype:
        x_a, x_b = x_a.astype(np.float32), x_b.astype(np.float32)
    known = set(example_bytes(x_a))
    return np.flatnonzero([row in known for row in example_bytes(x_b)])


def example_bytes(x: np.ndarray) -> list[bytes]:
    """Return the bytes of each of the N examples of ``x`` (N, ...); -0.0 counts as 0.0."""
    if x.dtype.kind == "f":
        x = x + x.dtype.type(0)  # turns -0.0, whose bytes differ, into 0.0
    data = np.ascontiguousarray(x).tobytes()
    size = len(data) // max(1, len(x))
    return [data[i * size : (i + 1) * size] for i in range(len(x))]
