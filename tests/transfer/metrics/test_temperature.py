"""Losses and temperatures against scikit-learn and against known truths."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import log_loss

from transfer.metrics.temperature import fit_temperature, losses


def drawn(count=4000, classes=3, seed=0):
    """Logits, and classes drawn from exactly their softmax."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (count, classes))
    y = np.array([rng.choice(classes, p=p) for p in softmax(logits, axis=1)])
    return logits, y


def test_losses_are_those_of_scikit_learn():
    logits, y = drawn(200)
    chances = softmax(logits, axis=1)
    assert losses(chances, y).mean() == pytest.approx(log_loss(y, chances))
    warm = softmax(logits / 2.5, axis=1)
    np.testing.assert_allclose(losses(chances, y, 2.5), losses(warm, y), rtol=1e-5)
    np.testing.assert_allclose(losses(np.eye(2)[[0, 1]], np.array([1, 1])), [69.078, 0], atol=1e-3)
    # Scores that are three times as sure are calibrated to the same losses.
    sure = softmax(3 * logits, axis=1)
    np.testing.assert_allclose(losses(sure, y, 3.0), losses(chances, y), rtol=1e-6)
    assert np.isnan(losses(np.full((2, 2), np.nan), np.array([0, 1]))).all()


@pytest.mark.parametrize("by", [0.5, 1.0, 4.0])
def test_the_temperature_undoes_a_wrong_confidence(by):
    logits, y = drawn()
    chances = softmax(by * logits, axis=1)
    found = fit_temperature(chances, y)
    assert found == pytest.approx(by, rel=0.1)
    mean = losses(chances, y, found).mean()
    assert all(mean <= losses(chances, y, found * f).mean() for f in (0.9, 1.0, 1.1))


def test_where_nothing_was_seen_or_all_is_right_it_stays_in_its_range():
    assert fit_temperature(np.empty((0, 3)), np.empty(0, int)) == 1
    assert 0.1 < fit_temperature(np.full((5, 2), [0.9, 0.1]), np.zeros(5, int)) < 0.2
    assert 19 < fit_temperature(np.full((5, 2), [0.9, 0.1]), np.ones(5, int)) < 21
