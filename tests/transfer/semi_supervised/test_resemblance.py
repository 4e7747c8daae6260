"""Sets of other things are told apart, and sets of the same kind are not."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu
from sklearn.datasets import load_digits

from transfer.semi_supervised.resemblance import resemblance

X, Y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)


def compared(labelled, more, seed=0):
    return resemblance({"raw": np.concatenate([labelled, more])}, len(labelled), seed)


def test_examples_of_one_set_are_of_one_kind_whatever_the_draw():
    rng = np.random.default_rng(0)
    for seed in range(30):
        rows = rng.permutation(len(X))
        found = compared(X[rows[:20]], X[rows[20:]], seed)
        assert found.same_kind
        assert 0.2 < found.apart < 0.8
    # Nor does it matter that labels are drawn from one class, or that the set has duplicates.
    ones = np.flatnonzero(Y == 1)
    assert compared(X[ones[:20]], np.delete(X, ones[:20], axis=0)).same_kind
    assert compared(X[:20], np.repeat(X[20:], 3, axis=0)).same_kind


@pytest.mark.parametrize("of", ["noise", "other classes", "shifted"])
def test_other_things_are_told(of):
    low = np.flatnonzero(Y < 5)
    more = {
        "noise": np.random.default_rng(0).random((800, 64)).astype(np.float32),
        "other classes": X[Y >= 5],
        "shifted": X[low[20:]] + 1,
    }[of]
    found = compared(X[low[:20]], more)
    assert not found.same_kind
    assert found.p < 1e-6


def test_a_set_that_has_their_kind_among_others_is_not_refused():
    low = np.flatnonzero(Y < 5)
    assert compared(X[low[:20]], np.concatenate([X[low[20:]], X[Y >= 5]])).same_kind


def test_the_numbers_are_those_of_distances_one_by_one():
    rng = np.random.default_rng(1)
    points = rng.normal(size=(40, 3)).astype(np.float32)
    apart = np.linalg.norm(points[:, None] - points, axis=2)
    other = [np.sort(apart[i, 9:])[4] for i in range(9)]
    own = [np.sort(np.delete(apart[i, 9:], i - 9))[4] for i in range(9, 40)]
    expected = mannwhitneyu(other, own, alternative="greater")
    found = resemblance({"a": points, "b": points}, 9, seed=0)
    assert found.p == pytest.approx(min(1, 2 * expected.pvalue))
    assert found.apart == pytest.approx(expected.statistic / (9 * 31))


def test_a_set_of_one_example_says_nothing():
    assert compared(X[:5], X[5:6]).same_kind
