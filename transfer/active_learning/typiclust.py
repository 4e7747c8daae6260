"""TypiClust: label the most typical examples first, one of each cluster.

Points (``features.py``) are grouped by k-means into one cluster a label. Of each cluster the most typical
example is taken (Hacohen, Dekel and Weinshall 2022, "Active Learning on a Budget"): the one with the smallest
mean distance to the nearest three quarters of its cluster. The paper's 20 nearest neighbours are few where
clusters are large: they find the densest spot, which may lie at a cluster's rim (docs/data.md has what was
measured). Examples of large clusters come first.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.errors import InputError
from pretrain.encoders.encoder import sample
from pretrain.monitoring.image_grid import tile

MAX_SAMPLE, MIN_PER_CLUSTER = 20_000, 20
"""Examples that k-means runs on, at most; but this many a cluster."""
NEIGHBOURS = 0.75
"""Part of its cluster, the nearest, to which an example's mean distance is taken."""
MAX_MEMBERS = 2000
"""Members of a cluster that may be taken, the nearest to its centre, and that they are compared with."""
RESTARTS, MAX_CLUSTERS = 5, 1000
"""Runs of k-means, of which the one with the smallest error counts; but so many clusters in all of them."""
BATCH = 4096


@dataclass(frozen=True, kw_only=True, eq=False)
class Suggestion:
    """n examples to label, the one of the largest cluster first.

    Attributes:
        rows: int64 (n,), indices of the examples, no two equal.
        sizes: int64 (n,), the size of each one's cluster.
        distances: float64 (n,), from each one to its cluster's centre.
    """

    rows: np.ndarray
    sizes: np.ndarray
    distances: np.ndarray


def suggest(points: np.ndarray, n: int, seed: int = 0) -> Suggestion:
    """Return the most typical examples.

    The same points, n and seed always give the same examples. Where there are fewer different
    points than n, the examples farthest from those taken fill up the number.

    Args:
        points: (N, D) float, finite; near to one another where examples are alike, as ``encode`` gives.
        n: the number of examples to suggest.
        seed: of k-means.

    Raises:
        InputError: n is below 1 or above N, or some points are not finite.

    Example:
        >>> suggest(np.array([[0.0], [0.1], [9.0]]), n=1).rows.shape
        (1,)
    """
    if points.ndim != 2 or not 1 <= n <= len(points):
        raise InputError(
            f"must be 1 to {len(points):,}, the number of examples", argument="labels", value=n
        )
    x = np.asarray(points, np.float32)
    if not np.isfinite(x).all():
        raise InputError("must be finite, every one of them", argument="points")
    centres = _centres(x, n, seed)
    nearest, distances = _assign(x, centres)
    taken = {}
    for k in np.unique(nearest):
        members = np.flatnonzero(nearest == k)
        close = np.argsort(distances[members], kind="stable")[:MAX_MEMBERS]
        taken[int(k)] = _most_typical(x, members[close], sample(MAX_MEMBERS, members))
    sizes = np.bincount(nearest, minlength=len(centres))
    order = sorted(taken, key=lambda k: (-sizes[k], taken[k]))
    rows = np.array([taken[k] for k in order], np.int64)
    counts = sizes[order]
    if len(rows) < n:
        more = _farthest(x, rows, n - len(rows))
        rows, counts = np.concatenate([rows, more]), np.concatenate([counts, sizes[nearest[more]]])
    return Suggestion(rows=rows, sizes=counts.astype(np.int64), distances=distances[rows])


def image_grid(x: np.ndarray, value_range: tuple[float, float]) -> np.ndarray | None:
    """Return images side by side, in their order, as a uint8 picture.

    Args:
        x: (n, H, W, C). Anything but images of one or three channels returns None.
        value_range: (low, high), drawn as black and white.
    """
    if x.ndim != 4 or x.shape[-1] not in (1, 3):
        return None
    low, high = value_range
    return tile((x.astype(np.float32) - low) / (high - low))


def _centres(x: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Return at most n centres (n, D) of ``x`` (N, D), found on a sample of a large set."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    rng = np.random.default_rng(seed)
    size = min(len(x), max(MAX_SAMPLE, MIN_PER_CLUSTER * n))
    part = x[np.sort(rng.choice(len(x), size, replace=False))]
    restarts = min(RESTARTS, max(1, MAX_CLUSTERS // n))
    kmeans: Any = KMeans(n, n_init=restarts, random_state=int(rng.integers(2**31)))
    with warnings.catch_warnings():
        # Fewer different examples than clusters: the caller fills up.
        warnings.simplefilter("ignore", ConvergenceWarning)
        kmeans.fit(part)
    return np.asarray(kmeans.cluster_centers_)


def _most_typical(x: np.ndarray, candidates: np.ndarray, members: np.ndarray) -> int:
    """Return the most typical of candidates, rows (M,) of x (N, D), among members, rows (L,)."""
    part, others = x[candidates].astype(np.float64), x[members].astype(np.float64)
    squares = (part**2).sum(axis=1)[:, None] + (others**2).sum(axis=1) - 2 * part @ others.T
    distances = np.sqrt(np.maximum(squares, 0))
    count = math.ceil(NEIGHBOURS * len(members))
    means = np.partition(distances, count - 1, axis=1)[:, :count].mean(axis=1)
    # Rounded: equal distances come out of the product a little different.
    return int(candidates[np.round(means, 9).argmin()])


def _assign(x: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each row's nearest centre (N,) and its distance (N,)."""
    nearest, distances = np.empty(len(x), np.int64), np.empty(len(x))
    lengths = (centres.astype(np.float64) ** 2).sum(axis=1)
    for i in range(0, len(x), BATCH):
        part = x[i : i + BATCH].astype(np.float64)
        squares = (part**2).sum(axis=1)[:, None] + lengths - 2 * part @ centres.T
        best = squares.argmin(axis=1)
        nearest[i : i + BATCH] = best
        distances[i : i + BATCH] = np.sqrt(np.maximum(squares[np.arange(len(part)), best], 0))
    return nearest, distances


def _farthest(x: np.ndarray, rows: np.ndarray, count: int) -> np.ndarray:
    """Return ``count`` further rows, each the farthest from all that were taken before."""
    squares = np.full(len(x), np.inf)
    more: list[int] = []
    for row in rows:
        squares = np.minimum(squares, ((x - x[row]) ** 2).sum(axis=1))
    squares[rows] = -1
    for _ in range(count):
        row = int(squares.argmax())
        more.append(row)
        squares = np.minimum(squares, ((x - x[row]) ** 2).sum(axis=1))
        squares[row] = -1
    return np.array(more, np.int64)
