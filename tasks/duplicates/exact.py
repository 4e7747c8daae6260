"""Examples that occur in two sets: pretraining pools must not hold test examples unnoticed."""

from __future__ import annotations

import hashlib

import numpy as np


def content_hashes(x: np.ndarray) -> np.ndarray:
    """Hash each example by its bytes.

    Args:
        x: (N, ...) examples.

    Returns:
        (N,) uint64. Equal examples of one dtype have equal hashes; unequal ones almost surely do not.
    """
    digests = b"".join(hashlib.blake2b(row, digest_size=8).digest() for row in example_bytes(x))
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def overlap(x_a: np.ndarray, x_b: np.ndarray) -> np.ndarray:
    """Find the examples of one set that also occur in another, exactly.

    Hashes only pick the candidates, whose values are then compared. Sets of different dtypes are compared as
    float32; examples of different shapes are never the same.

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
    hashes_a, hashes_b = content_hashes(x_a), content_hashes(x_b)
    candidates = np.flatnonzero(np.isin(hashes_b, hashes_a))
    known = set(example_bytes(x_a[np.isin(hashes_a, hashes_b[candidates])]))
    rows = example_bytes(x_b[candidates])
    return candidates[np.fromiter((row in known for row in rows), bool, len(candidates))]


def example_bytes(x: np.ndarray) -> list[bytes]:
    """Return the bytes of each of the N examples of ``x`` (N, ...); -0.0 counts as 0.0."""
    if x.dtype.kind == "f":
        x = x + x.dtype.type(0)  # turns -0.0, whose bytes differ, into 0.0
    data = np.ascontiguousarray(x).tobytes()
    size = len(data) // max(1, len(x))
    return [data[i * size : (i + 1) * size] for i in range(len(x))]
