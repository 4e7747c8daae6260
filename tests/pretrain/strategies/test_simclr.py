"""NT-Xent against sums written out, and against values that can be worked out by hand."""

import math

import numpy as np
import pytest

from pretrain.strategies.simclr import nt_xent


def slow(first, second, temperature):
    """Chen et al. 2020, equation 1, term by term in float64."""
    z = np.concatenate([first, second]).astype(float)
    z = np.array([row / math.sqrt(sum(row**2)) for row in z])
    count, total = len(first), 0.0
    for i in range(2 * count):
        j = (i + count) % (2 * count)
        similar = [math.exp(z[i] @ z[k] / temperature) for k in range(2 * count)]
        total -= math.log(similar[j] / (sum(similar) - similar[i]))
    return total / (2 * count)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_the_loss_is_the_papers_sum(count, temperature):
    rng = np.random.default_rng(count)
    first, second = rng.normal(size=(2, count, 5)).astype(np.float32)
    loss, found = nt_xent(first, second, temperature)
    assert float(loss) == pytest.approx(slow(first, second, temperature), rel=1e-5, abs=1e-6)
    assert 0 <= float(found) <= 1


def test_perfect_views_of_orthogonal_examples():
    """Each view meets its other at 1 and 2 (B - 1) strangers at 0: log(1 + 2 (B - 1) exp(-1 / t))."""
    views = np.eye(4, dtype=np.float32) * 3
    loss, found = nt_xent(views, views, 0.5)
    assert float(loss) == pytest.approx(math.log(1 + 6 * math.exp(-2)), rel=1e-5)
    assert float(found) == 1


def test_collapsed_views_are_told_apart_by_nobody():
    """All the same: each of the 2 B - 1 others is as likely."""
    views = np.ones((4, 3), np.float32)
    assert float(nt_xent(views, views, 0.2)[0]) == pytest.approx(math.log(7), rel=1e-5)


def test_the_order_and_length_of_the_vectors_do_not_matter():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 6, 4)).astype(np.float32)
    order = rng.permutation(6)
    loss = float(nt_xent(first, second, 0.3)[0])
    assert float(nt_xent(first[order], second[order], 0.3)[0]) == pytest.approx(loss, rel=1e-5)
    assert float(nt_xent(5 * first, 0.1 * second, 0.3)[0]) == pytest.approx(loss, rel=1e-5)
