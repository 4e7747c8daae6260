"""What y can be: classes, numbers, or several labels an example; and by what each is stratified."""

from __future__ import annotations

import numpy as np

KINDS = {
    "classes": "one class an example",
    "numbers": "one number an example",
    "multi-label": "any of several labels an example",
}
# Numbers are spread evenly over so many stretches, where there are enough examples for each.
STRETCHES, LEAST = 10, 5


def target_kind(y: np.ndarray) -> str:
    """Return the name in KINDS of y: (N,) integers, (N,) floating point, or (N, K) of 0 and 1."""
    if y.ndim == 2:
        return "multi-label"
    return "numbers" if y.dtype.kind == "f" else "classes"


def strata(y: np.ndarray) -> np.ndarray:
    """Return (N,) int64, the numbers 0..S-1 of the groups to stratify y by; classes are their own.

    Numbers: tenths of the sorted examples (fewer and larger parts below 50 examples). Several labels: the
    rarest label that an example has, and one group for those that have none; so rare labels are
    spread evenly, and common ones nearly.
    """
    kind = target_kind(y)
    if kind == "classes":
        return y.astype(np.int64)
    if kind == "numbers":
        count = max(1, min(STRETCHES, len(y) // LEAST))
        rank = np.empty(len(y), np.int64)
        rank[np.argsort(y, kind="stable")] = np.arange(len(y))
        return rank * count // len(y)
    has = y > 0.5
    order = np.argsort(has.sum(axis=0), kind="stable")
    rarest = np.where(has.any(axis=1), has[:, order].argmax(axis=1), has.shape[1])
    groups: np.ndarray = np.unique(rarest, return_inverse=True)[1].astype(np.int64)
    return groups
