"""Barlow Twins' two terms against NumPy's correlation, and at points where they are known."""

import numpy as np
import pytest

from pretrain.strategies.barlow import barlow_terms


def slow(first, second):
    """Zbontar et al. 2021, equations 1 and 2, in float64, over the number of dimensions."""
    size = first.shape[1]
    whole = np.corrcoef(first.T.astype(float), second.T.astype(float))
    cross = whole[:size, size:]
    on = sum((1 - cross[i, i]) ** 2 for i in range(size)) / size
    off = sum(cross[i, j] ** 2 for i in range(size) for j in range(size) if i != j) / size
    return on, off


@pytest.mark.parametrize("rows", [10, 100])
def test_the_terms_are_the_papers(rows):
    rng = np.random.default_rng(rows)
    first = rng.normal(size=(rows, 4)).astype(np.float32)
    second = (first + 0.5 * rng.normal(size=(rows, 4))).astype(np.float32)
    got = [float(term) for term in barlow_terms(first, second)]
    assert got == pytest.approx(slow(first, second), rel=5e-3)


def test_equal_views_of_uncorrelated_dimensions_cost_nothing():
    corners = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]], np.float32)
    assert [float(t) for t in barlow_terms(corners, corners)] == pytest.approx([0, 0], abs=1e-4)


def test_dimensions_that_repeat_each_other_cost_the_off_diagonal():
    column = np.array([[1.0], [-1.0], [1.0], [-1.0]], np.float32)
    twice = np.concatenate([column, column], axis=1)
    on, off = (float(term) for term in barlow_terms(twice, twice))
    assert on == pytest.approx(0, abs=1e-4)
    assert off == pytest.approx(1, rel=1e-3)  # two entries of 1, over two dimensions


def test_collapse_is_the_worst_on_the_diagonal_and_finite():
    same = np.ones((5, 3), np.float32)
    on, off = (float(term) for term in barlow_terms(same, same))
    assert (on, off) == pytest.approx((1, 0), abs=1e-4)
