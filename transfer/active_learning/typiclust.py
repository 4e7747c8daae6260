"""Which examples to label first: the most typical ones, by the encoder's features.

Features are standardised, brought to length 1, and grouped by k-means into as many clusters as there are
labels to spend. Of each cluster the example in the densest place is taken: the one with the smallest
mean distance to its 20 nearest neighbours in the cluster (Hacohen, Dekel and Weinshall 2022, "Active
Learning on a Budget"). On Fashion-MNIST that was better than the one nearest to the centre. Examples that
stand for many others come first.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.errors import InputError
from pretrain.monitoring.image_grid import tile
from pretrain.weights.file import WeightsFile, assign
from transfer.numerics import mean_and_spread

if TYPE_CHECKING:
    from transfer.data.input_adapter import InputAdapter

SAMPLE = 20_000
"""At most as many examples decide the centres, unless there are many clusters."""
PER_CLUSTER = 20
NEIGHBOURS = 20
MEMBERS = 2000
"""Of a larger cluster, as many of the examples nearest to its centre are looked at."""
CHUNK = 4096


@dataclass(frozen=True, kw_only=True, eq=False)
class Suggestion:
    """n examples, the one of the largest cluster first.

    rows: (n,) int64 indices of the examples, no two equal.
    sizes: (n,) int64, how many examples each one's cluster has.
    distances: (n,) float64, from each one to its cluster's centre, features being of length 1.
    """

    rows: np.ndarray
    sizes: np.ndarray
    distances: np.ndarray


def suggest(features: np.ndarray, n: int, seed: int = 0) -> np.ndarray:
    """Return (n,) int64 indices of the examples to label; see ``clusters``."""
    return clusters(features, n, seed).rows


def clusters(features: np.ndarray, n: int, seed: int = 0) -> Suggestion:
    """Return the n most typical of N examples with ``features`` (N, D), finite floats.

    The same features, n and seed always give the same examples. Where there are fewer different
    features than n, the examples farthest from those taken fill up the number.

    Raises InputError unless 1 <= n <= N and all features are finite.
    """
    if features.ndim != 2 or not 1 <= n <= len(features):
        raise InputError(
            f"The number of examples to suggest must be 1 to {len(features):,}, as many as there are. "
            f"Got {n}."
        )
    if not np.isfinite(features).all():
        raise InputError(
            "The encoder's features of these examples are not all finite. Check the data for values "
            "far outside the pool's range."
        )
    x = _normalised(features)
    centres = _centres(x, n, seed)
    nearest, distances = _assign(x, centres)
    taken = {}
    for k in np.unique(nearest):
        members = np.flatnonzero(nearest == k)
        close = np.argsort(distances[members], kind="stable")[:MEMBERS]
        taken[int(k)] = _densest(x, members[close])
    sizes = np.bincount(nearest, minlength=len(centres))
    order = sorted(taken, key=lambda k: (-sizes[k], taken[k]))
    rows = np.array([taken[k] for k in order], np.int64)
    counts = sizes[order]
    if len(rows) < n:
        more = _farthest(x, rows, n - len(rows))
        rows, counts = np.concatenate([rows, more]), np.concatenate([counts, sizes[nearest[more]]])
    return Suggestion(rows=rows, sizes=counts.astype(np.int64), distances=distances[rows])


def encode(weights: WeightsFile, inputs: InputAdapter, x: np.ndarray) -> np.ndarray:
    """Return the file's features (N, D) float32 of raw examples ``x`` (N, ...)."""
    from pretrain.encoders.encoder import Encoder
    from transfer.inference import predict_batched

    encoder = Encoder(weights.encoder, seed=0)
    assign(weights.tensors, encoder.variables)
    front = inputs.model()
    # Part by part: as the encoder's float32 input, all examples at once may not fit into memory.
    return predict_batched((front, encoder.model), x, CHUNK)


def image_grid(x: np.ndarray, value_range: tuple[float, float]) -> np.ndarray | None:
    """Return examples (n, H, W, C) side by side, in their order, as a uint8 picture.

    None for what is no picture: vectors, and images of other than one or three channels.
    """
    if x.ndim != 4 or x.shape[-1] not in (1, 3):
        return None
    low, high = value_range
    return tile((x.astype(np.float32) - low) / (high - low))


def _normalised(features: np.ndarray) -> np.ndarray:
    """Return the features (N, D) as float32, each standardised, then each row of length 1."""
    x = features.astype(np.float64)
    x -= x.mean(axis=0)
    x /= mean_and_spread(x, tolerance=1e-9, relative_to=None, constant=1.0)[1]
    x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9)
    return x.astype(np.float32)


def _centres(x: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Return at most n centres (n, D) of ``x`` (N, D), decided by a sample of a large set."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    rng = np.random.default_rng(seed)
    size = min(len(x), max(SAMPLE, PER_CLUSTER * n))
    sample = x[np.sort(rng.choice(len(x), size, replace=False))]
    means: Any = KMeans(n, n_init=1, random_state=int(rng.integers(2**31)))
    with warnings.catch_warnings():
        # Fewer different examples than clusters: the caller fills up.
        warnings.simplefilter("ignore", ConvergenceWarning)
        means.fit(sample)
    return np.asarray(means.cluster_centers_)


def _densest(x: np.ndarray, members: np.ndarray) -> int:
    """Return which of the ``members`` of ``x`` (N, D) has its nearest neighbours among them closest.

    Of equally good ones the first: give them by their distance to the centre.
    """
    part = x[members].astype(np.float64)
    lengths = (part**2).sum(axis=1)
    apart = np.sqrt(np.maximum(lengths[:, None] + lengths - 2 * part @ part.T, 0))
    count = min(NEIGHBOURS + 1, len(members))  # each is its own nearest
    means = np.partition(apart, count - 1, axis=1)[:, :count].mean(axis=1)
    # Rounded, for distances that are equal come out of the product a little different.
    return int(members[np.round(means, 9).argmin()])


def _assign(x: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each row's nearest centre (N,) and its distance (N,)."""
    nearest, distances = np.empty(len(x), np.int64), np.empty(len(x))
    lengths = (centres.astype(np.float64) ** 2).sum(axis=1)
    for i in range(0, len(x), CHUNK):
        part = x[i : i + CHUNK].astype(np.float64)
        apart = (part**2).sum(axis=1)[:, None] + lengths - 2 * part @ centres.T
        best = apart.argmin(axis=1)
        nearest[i : i + CHUNK] = best
        distances[i : i + CHUNK] = np.sqrt(np.maximum(apart[np.arange(len(part)), best], 0))
    return nearest, distances


def _farthest(x: np.ndarray, rows: np.ndarray, count: int) -> np.ndarray:
    """Return ``count`` further rows, each the farthest from all that were taken before."""
    apart = np.full(len(x), np.inf)
    more: list[int] = []
    for row in rows:
        apart = np.minimum(apart, ((x - x[row]) ** 2).sum(axis=1))
    apart[rows] = -1
    for _ in range(count):
        row = int(apart.argmax())
        more.append(row)
        apart = np.minimum(apart, ((x - x[row]) ** 2).sum(axis=1))
        apart[row] = -1
    return np.array(more, np.int64)
