"""VICReg's three terms against NumPy's covariance, and at points where they are known."""

import numpy as np
import pytest

from pretrain.strategies.vicreg import EPSILON, vicreg_terms


def slow(first, second):
    """Bardes et al. 2022, equations 1 to 5, in float64; the variance halved as in the paper's code."""
    size = first.shape[1]
    invariance = np.mean([np.sum((a - b) ** 2) / size for a, b in zip(first, second, strict=True)])
    variance, covariance = 0.0, 0.0
    for z in (first, second):
        matrix = np.cov(z.T.astype(float), ddof=1)
        variance += np.mean([max(0, 1 - np.sqrt(v + EPSILON)) for v in np.diag(matrix)]) / 2
        pairs = [(i, j) for i in range(size) for j in range(size) if i != j]
        covariance += sum(matrix[i, j] ** 2 for i, j in pairs) / size
    return invariance, variance, covariance


@pytest.mark.parametrize("scale", [0.1, 1.0, 3.0])
def test_the_terms_are_the_papers(scale):
    rng = np.random.default_rng(1)
    first, second = (scale * rng.normal(size=(2, 9, 4))).astype(np.float32)
    got = [float(term) for term in vicreg_terms(first, second)]
    assert got == pytest.approx(slow(first, second), rel=1e-4, abs=1e-6)


def test_agreeing_views_that_vary_enough_cost_nothing():
    corners = np.array([[2, 2], [2, -2], [-2, 2], [-2, -2]], np.float32)
    assert [float(t) for t in vicreg_terms(corners, corners)] == pytest.approx([0, 0, 0], abs=1e-6)


def test_collapse_costs_the_variance_term_only():
    same = np.ones((6, 3), np.float32)
    invariance, variance, covariance = (float(t) for t in vicreg_terms(same, same))
    assert (invariance, covariance) == (0, 0)
    assert variance == pytest.approx(1 - np.sqrt(EPSILON), rel=1e-5)


def test_a_single_example_has_a_finite_loss_and_gradient():
    import tensorflow as tf

    z = tf.constant([[0.5, -1.0, 2.0]])
    with tf.GradientTape() as tape:
        tape.watch(z)
        loss = sum(vicreg_terms(z, 2 * z))
    assert np.isfinite(float(loss))
    assert np.isfinite(tape.gradient(loss, z).numpy()).all()
