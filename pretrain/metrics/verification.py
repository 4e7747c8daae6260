"""Verification: how well the distance of two examples' features shows that they are the same item.

Two examples are taken for the same when their distance is at most a threshold. Over all thresholds, the
false-positive rate F is the part of the different pairs that are taken for the same, and the false-negative
rate M the part of the same pairs that are not.

- AUC, the area under 1 - M over F, is the chance that a same pair is nearer than a different one (a tie
  counts half). 0.5 is guessing, 1 is perfect.
- EER, the equal error rate, is where F = M, interpolated linearly between thresholds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tasks.pairs import Pairs
from tasks.splits import generator

CHUNK = 1 << 24


@dataclass(frozen=True, kw_only=True)
class Verified:
    """AUC and equal error rate of distances, both 0 to 1."""

    auc: float
    eer: float


def distances(values: np.ndarray, pairs: Pairs, *, unit: bool = True) -> np.ndarray:
    """Return the Euclidean distances (P,) float32 of pairs of rows of ``values`` (N, ...).

    unit: scale every row to length 1 before, so that d^2 = 2 - 2 cos: the order is the cosine's. A row of
        zeros stays as it is.
    """
    left, right, _ = pairs
    rows = values.reshape(len(values), -1).astype(np.float32)
    if unit:
        rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    step = max(1, CHUNK // rows.shape[1])
    parts = [
        np.linalg.norm(rows[left[i : i + step]] - rows[right[i : i + step]], axis=1)
        for i in range(0, len(left), step)
    ]
    return np.concatenate(parts)


class Thresholds:
    """The distances of some pairs, sorted once, to be weighed many times.

    distance: float (P,); same: (P,), 1 or 0, with pairs of both kinds.
    """

    def __init__(self, distance: np.ndarray, same: np.ndarray) -> None:
        self._values, self._place = np.unique(distance, return_inverse=True)
        self._same = np.asarray(same, bool)

    def verify(self, weights: np.ndarray | None = None) -> Verified:
        """Return AUC and EER; ``weights`` (P,) >= 0 counts pairs more than once, or not at all."""
        weights = np.ones(len(self._same)) if weights is None else weights
        hits = self._rate(weights * self._same)
        false = self._rate(weights * ~self._same)
        auc = float(np.sum(np.diff(false) * (hits[1:] + hits[:-1]) / 2))
        # F - M rises from -1 to 1: it is 0 between the last threshold where it is below 0 and the next.
        balance = false + hits - 1
        after = int(np.argmax(balance >= 0))
        before = after - 1
        part = -balance[before] / (balance[after] - balance[before])
        return Verified(auc=auc, eer=float(false[before] + part * (false[after] - false[before])))

    def _rate(self, weights: np.ndarray) -> np.ndarray:
        """Return the part of ``weights`` within each threshold, from none to all of it."""
        sums = np.bincount(self._place, weights, minlength=len(self._values))
        cumulated = np.r_[0.0, np.cumsum(sums)]
        return cumulated / cumulated[-1]


def verify(features: np.ndarray, pairs: Pairs) -> Verified:
    """Return AUC and EER of the distances of ``features`` (N, ...) over ``pairs`` of their rows."""
    return Thresholds(distances(features, pairs), pairs[2]).verify()


def resampled(y: np.ndarray, pairs: Pairs, count: int, seed: int) -> Iterator[np.ndarray]:
    """Yield the pairs' weights (P,) in each of ``count`` bootstrap samples of the classes.

    Examples of one person are not independent, so people are drawn, as many as there are, with
    replacement. With c(k) the number of times that person k was drawn, a same pair of k weighs c(k), and a
    different pair of k and l weighs c(k) c(l): two draws of one person are never taken for two people.
    Samples without one kind of pairs are drawn again.

    y: (N,) integer labels; pairs: of both kinds.
    """
    left, right, same = pairs
    classes, of = np.unique(y, return_inverse=True)
    of_left, of_right, is_same = of[left], of[right], same > 0.5
    rng = generator(seed)
    while count:
        drawn = np.bincount(rng.integers(0, len(classes), len(classes)), minlength=len(classes))
        weights = np.where(is_same, drawn[of_left], drawn[of_left] * drawn[of_right]).astype(float)
        if weights[is_same].any() and weights[~is_same].any():
            count -= 1
            yield weights
