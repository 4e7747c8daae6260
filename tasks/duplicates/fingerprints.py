"""Fingerprints of a pool, stored in weights files to find out later whether an example was in it.

Each example leaves an exact hash, 8 bytes; each image also a signature, 64 bytes, by which its near
duplicates are found: shifted by a pixel, saved as JPEG, made a little brighter or darker.

The signature of an image is its inner part, one pixel cut off on every side, averaged over 8x8 equal cells of
grey, minus the mean, divided by the largest absolute value, so that brightness and contrast do not count. A
query is looked up by its nine inner parts: one of them is free of any shift by a pixel, whatever came in at
the border. Two signatures, brought to length 1, are near when their Euclidean distance is at most
``TOLERANCE``.
"""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass

import numpy as np

from tasks.duplicates.exact import example_bytes

HASH = "blake2b-64"
SIGNATURE = "thumbnail-8x8"
CELLS = 8
WIDTH = CELLS * CELLS
MIN_SIDE = 4
MAX_EXACT = 1_000_000
MAX_NEAR = 200_000
# Measured on Fashion-MNIST: it finds 99.9 % of images shifted by a pixel and saved as JPEG of quality 85,
# and flags 19 of the 10,000 test images, of which about a dozen do show the same piece of clothing.
TOLERANCE = 0.04
# An image whose cells spread less than this part of the value range is taken for flat.
FLAT = 0.01
CHUNK = 2048


@dataclass(frozen=True, kw_only=True, eq=False)
class Fingerprints:
    """The fingerprints of a pool's examples, by rising hash, each different example once.

    Attributes:
        examples: number of examples in the pool, equal ones and those without a fingerprint included.
        dtype: of the examples.
        shape: of one example.
        exact: (n, 8) uint8, rising: the n smallest hashes, at most MAX_EXACT.
        near: (m, 64) uint8, the signatures of the first m of them, at most MAX_NEAR, each value 128 plus
            -127..127; None when the examples are not images or smaller than 4x4 pixels.
    """

    examples: int
    dtype: str
    shape: tuple[int, ...]
    exact: np.ndarray
    near: np.ndarray | None

    @classmethod
    def of(cls, x: np.ndarray, value_range: tuple[float, float]) -> Fingerprints:
        """Return the fingerprints of a pool (N, ...) uint8 or float32, whose values span ``value_range``."""
        hashes = exact_hashes(x)
        _, first = np.unique(_as_integers(hashes), return_index=True)
        rows = first[:MAX_EXACT]
        images = comparable(x.shape[1:])
        return cls(
            examples=len(x),
            dtype=str(x.dtype),
            shape=tuple(x.shape[1:]),
            exact=hashes[rows],
            near=_stored(x, rows[:MAX_NEAR], value_range) if images else None,
        )

    def counts(self) -> dict[str, int]:
        """Return the numbers of examples, of exact and of near fingerprints, and of bytes in memory."""
        near = self.exact[:0] if self.near is None else self.near
        sizes = {"exact": len(self.exact), "near": len(near)}
        return {"examples": self.examples, **sizes, "bytes": self.exact.nbytes + near.nbytes}

    def find(
        self, x: np.ndarray, value_range: tuple[float, float]
    ) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Find the examples (N, ...), of values that span ``value_range``, that are in the pool.

        Returns:
            Two bool arrays (N,), exact and near. The first is None when dtype or shape are not the pool's, so
            that nothing can be equal; the second when either side has no signatures. An example that is in
            the pool exactly counts as near as well.
        """
        exact = None
        if (str(x.dtype), tuple(x.shape[1:])) == (self.dtype, self.shape):
            exact = np.isin(_as_integers(exact_hashes(x)), _as_integers(self.exact))
        near = None
        if self.near is not None and comparable(x.shape[1:]):
            near = _near(self.near, (self.shape[0], self.shape[1]), x, value_range)
            near = near if exact is None else near | exact
        return exact, near


def _as_integers(hashes: np.ndarray) -> np.ndarray:
    """Return hashes (n, 8) uint8 as (n,) uint64, which sort fast and as their bytes do."""
    # In this machine's byte order: of another, numpy.isin fails where the hashes of a pool span little.
    return hashes.view(">u8")[:, 0].astype(np.uint64)


def comparable(shape: tuple[int, ...]) -> bool:
    """Say whether examples of ``shape`` are images large enough for a signature."""
    return len(shape) == 3 and min(shape[:2]) >= MIN_SIDE


def exact_hashes(x: np.ndarray) -> np.ndarray:
    """Return (N, 8) uint8: BLAKE2b of dtype, shape and bytes of each example of ``x`` (N, ...)."""
    head = f"{x.dtype.str} {tuple(x.shape[1:])}\n".encode()
    # In chunks, so that a large pool is not in memory twice.
    parts = (example_bytes(x[i : i + CHUNK]) for i in range(0, len(x), CHUNK))
    hashes = (hashlib.blake2b(head + row, digest_size=8).digest() for part in parts for row in part)
    return np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, 8)


def thumbnails(x: np.ndarray, size: tuple[int, int], down: int = 0, right: int = 0) -> np.ndarray:
    """Return images, without the outermost pixels of the pool's ``size``, as 8x8 grey cells (N, 64) float32.

    ``down`` and ``right`` shift the part by -1, 0 or 1 pixels of the pool's images.
    """
    (height, width), (tall, wide) = x.shape[1:3], size
    rows = _averages(height, (1 + down) * height / tall, (tall - 1 + down) * height / tall)
    columns = _averages(width, (1 + right) * width / wide, (wide - 1 + right) * width / wide)
    cells = rows @ _grey(x.astype(np.float32)) @ columns.T
    return cells.reshape(len(x), WIDTH)


def _near(
    stored: np.ndarray, size: tuple[int, int], x: np.ndarray, value_range: tuple[float, float]
) -> np.ndarray:
    """Say of each image of ``x`` whether any of its nine inner parts is near a stored signature."""
    from scipy.spatial import KDTree

    tree = KDTree(_turned(stored.astype(np.float32) - 128))
    found = np.zeros(len(x), bool)
    for i in range(0, len(x), CHUNK):
        rest = np.arange(i, min(i + CHUNK, len(x)))
        # Unmoved first: what is found there need not be looked up again.
        for down, right in itertools.product((0, -1, 1), repeat=2):
            cells, flat = _centred(thumbnails(x[rest], size, down, right), value_range)
            distance, _ = tree.query(_turned(cells), distance_upper_bound=TOLERANCE)
            found[rest] = np.isfinite(distance) & ~flat
            rest = rest[~found[rest]]
    return found


def _stored(x: np.ndarray, rows: np.ndarray, value_range: tuple[float, float]) -> np.ndarray:
    """Return the signatures (m, 64) uint8 of ``x[rows]``; of flat images, which match nothing, 128."""
    stored = np.empty((len(rows), WIDTH), np.uint8)
    for i in range(0, len(rows), CHUNK):
        cells = thumbnails(x[rows[i : i + CHUNK]], (x.shape[1], x.shape[2]))
        centred, flat = _centred(cells, value_range)
        largest = np.abs(centred).max(axis=1, keepdims=True)
        scaled = 127 * centred / np.where(largest > 0, largest, 1)
        stored[i : i + CHUNK] = np.rint(np.where(flat[:, None], 0, scaled)) + 128
    return stored


def _centred(cells: np.ndarray, value_range: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Return thumbnails (N, 64) without their means, and which of them (N,) are flat."""
    low, high = value_range
    with np.errstate(over="ignore", invalid="ignore"):
        centred, spread = cells - cells.mean(axis=1, keepdims=True), cells.std(axis=1)
    # Sums of values near the largest float overflow: such an image is taken for flat.
    flat = ~(np.isfinite(spread) & (spread >= FLAT * (high - low)))
    return np.where(flat[:, None], 0, centred), flat


def _turned(centred: np.ndarray) -> np.ndarray:
    """Return (N, 64) float64 of length 1 in the basis of the cosine transform, which moves no distance."""
    from scipy.fft import dctn

    # There a few axes tell most images apart, and the tree needs to look at little more.
    square = centred.reshape(-1, CELLS, CELLS).astype(np.float64)
    turned = dctn(square, axes=(1, 2), norm="ortho").reshape(-1, WIDTH)
    return turned / np.maximum(np.linalg.norm(turned, axis=1, keepdims=True), 1e-12)


def _averages(size: int, begin: float, end: float) -> np.ndarray:
    """Return the (8, size) float32 weights that average pixels ``begin`` to ``end`` in 8 stretches."""
    edges, pixels = np.linspace(begin, end, CELLS + 1), np.arange(size)
    covered = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return (np.clip(covered, 0, None) * (CELLS / (end - begin))).astype(np.float32)


def _grey(x: np.ndarray) -> np.ndarray:
    """Return images (N, H, W, C) as (N, H, W): colour by ITU-R BT.601, else the channels' mean."""
    if x.shape[-1] == 3:
        return x @ np.array([0.2989, 0.5870, 0.1140], np.float32)
    return x.mean(axis=-1)
