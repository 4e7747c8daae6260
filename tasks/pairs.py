"""Pairs of examples: *same* when the two have one label (one person, one item), else *different*.

An auxiliary task for pretraining, and its evaluation. No example is ever paired with itself.
"""

from __future__ import annotations

import numpy as np

from headstart.errors import InputError, require
from tasks.splits import generator

Pairs = tuple[np.ndarray, np.ndarray, np.ndarray]
"""left, right: int32 (P,) indices of examples; same: float32 (P,), 1 or 0."""


def pairable(y: np.ndarray) -> bool:
    """Say whether labels (N,) allow both kinds of pairs: two classes, and a class of two examples."""
    counts = np.unique(y, return_counts=True)[1]
    return len(counts) >= 2 and int(counts.max()) >= 2


def labelled_pairs(y: np.ndarray, count: int, seed: int) -> Pairs:
    """Draw pairs at random, with replacement, half of them same, in random order.

    Within each kind every pair is as likely as any other, so a class of n examples gives same pairs in
    proportion to n (n - 1), and one of a single example gives only different ones.

    Args:
        y: (N,) integer labels.
        count: number of pairs, 2 or more; of an odd number, the larger half is different.
        seed: 0 or more.

    Raises:
        InputError: there is no same pair or no different pair.
    """
    y = _checked(y)
    require(count >= 2, "count", "must be 2 or more, one of each kind of pair", value=count)
    rng = generator(seed)
    # Sorted by class, an example's own class is a run: its others are the run without it.
    order = np.argsort(y, kind="stable")
    _, starts, sizes = np.unique(y[order], return_index=True, return_counts=True)
    start, size = np.repeat(starts, sizes), np.repeat(sizes, sizes)

    def lefts(weights: np.ndarray, number: int) -> np.ndarray:
        # By the inverse of the cumulated weights, which stay whole numbers.
        cumulated = np.cumsum(weights, dtype=np.int64)
        return np.searchsorted(cumulated, rng.integers(0, cumulated[-1], number), side="right")

    alike = lefts(size - 1, count // 2)
    step = rng.integers(1, size[alike])
    mates = start[alike] + (alike - start[alike] + step) % size[alike]
    unlike = lefts(len(y) - size, count - count // 2)
    step = rng.integers(0, len(y) - size[unlike])
    others = (start[unlike] + size[unlike] + step) % len(y)
    left, right = order[np.r_[alike, unlike]], order[np.r_[mates, others]]
    same = np.r_[np.ones(len(alike)), np.zeros(len(unlike))]
    shuffled = rng.permutation(count)
    return _pairs(left[shuffled], right[shuffled], same[shuffled])


def all_pairs(y: np.ndarray, most: int = 1_000_000, seed: int = 0) -> Pairs:
    """Return every pair of examples once, left < right; or a sample when there are more than ``most``.

    A sample is drawn by ``labelled_pairs``: error rates within each kind of pair, and so AUC and equal error
    rate, are still estimates of those over all pairs.

    Args:
        y: (N,) integer labels.
        most: the maximum number of pairs.
        seed: of the sample, 0 or more.

    Raises:
        InputError: there is no same pair or no different pair.
    """
    y = _checked(y)
    if len(y) * (len(y) - 1) // 2 > most:
        return labelled_pairs(y, most, seed)
    left, right = np.triu_indices(len(y), 1)
    return _pairs(left, right, y[left] == y[right])


def _pairs(left: np.ndarray, right: np.ndarray, same: np.ndarray) -> Pairs:
    return left.astype(np.int32), right.astype(np.int32), same.astype(np.float32)


def _checked(y: np.ndarray) -> np.ndarray:
    y = np.asarray(y)
    if pairable(y):
        return y
    if len(np.unique(y)) < 2:
        raise InputError(
            f"No pair of different items can be made: all {len(y)} examples have one label.",
            hint="Give data of two classes or more.",
        )
    raise InputError(
        f"No pair of the same item can be made: each of {len(y)} examples has a label of its own.",
        hint="Give data with two examples or more of some class.",
    )
