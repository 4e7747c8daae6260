"""Probabilities of logits, and inference in batches."""

import keras
import numpy as np
import pytest

from transfer.inference import predict_batched
from transfer.numerics import class_probabilities


def test_probabilities_of_extreme_logits_are_finite():
    x = np.array([[-2000.0], [0.0], [2000.0]], np.float32)
    assert class_probabilities(x) == pytest.approx(np.array([[1, 0], [0.5, 0.5], [0, 1]]))
    three = class_probabilities(x * [1.0, -1.0, 0.0])
    assert three == pytest.approx(np.array([[0, 1, 0], [1 / 3] * 3, [1, 0, 0]]))


@pytest.mark.parametrize("batch", [2, 1024])
def test_models_in_a_row_are_one_after_the_other(batch):
    double, add = (keras.layers.Rescaling(*how) for how in ((2.0, 0.0), (1.0, 3.0)))
    x = np.arange(5, dtype=np.float32)[:, None]
    assert np.array_equal(predict_batched((double, add), x, batch), 2 * x + 3)
    assert np.array_equal(predict_batched(double, x, batch, np.negative), -2 * x)
