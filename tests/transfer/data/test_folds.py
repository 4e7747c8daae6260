"""Folds are stratified, hold every class, and are weighed to have the shares of all labels."""

import numpy as np
import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from transfer.data.folds import folds, restore_class_proportions


@forall(st.lists(st.integers(1, 60), min_size=2, max_size=6), st.integers(0, 5), st.booleans())
def test_folds_are_stratified_disjoint_and_complete(counts, seed, shuffled):
    y = np.repeat(np.arange(len(counts)), counts)
    if shuffled:
        y = np.random.default_rng(seed).permutation(y)
    dealt = np.flatnonzero(np.array(counts)[y] > 1)
    made = folds(y, seed)
    assert bool(made) == bool(len(dealt))
    most = 5 if len(y) < 150 else 3
    assert not made or len(made) == max(2, min(most, len(dealt) // 2))
    # Each is validated once, but for the only one of a class, which is always trained on.
    held_out = [row for _, held in made for row in held]
    assert np.array_equal(np.sort(held_out), dealt)
    sizes = [len(held) for _, held in made]
    assert not made or max(sizes) - min(sizes) <= 1
    for train, held in made:
        assert np.array_equal(np.sort(np.r_[train, held]), np.arange(len(y)))
        for k, count in enumerate(counts):
            assert count == 1 or abs((y[held] == k).sum() - count / len(made)) < 1
        assert len(np.unique(y[train])) == len(counts)
    strata = folds(y, seed, classes=False)
    assert np.array_equal(np.sort([r for _, held in strata for r in held]), np.arange(len(y)))


@forall(st.lists(st.integers(2, 9), min_size=2, max_size=6), st.integers(0, 5))
def test_weights_give_each_class_its_share_of_all_labels(counts, seed):
    y = np.repeat(np.arange(len(counts)), counts)
    for train, _ in folds(y, seed):
        weights = restore_class_proportions(y, train)
        given = np.ones(len(train)) if weights is None else weights
        sums = np.bincount(y[train], given) / len(train)
        off = np.abs(sums / (np.array(counts) / len(y)) - 1)
        assert off.max() < (0.25 if weights is None else 1e-5)
        assert given.mean() == pytest.approx(1, rel=1e-5)


def test_equal_shares_are_not_weighed():
    for counts in ([10] * 10, [100, 101, 99], [40, 80]):
        y = np.repeat(np.arange(len(counts)), counts)
        assert [restore_class_proportions(y, train) for train, _ in folds(y, 0)] == [None] * (
            5 if len(y) < 150 else 3
        )
