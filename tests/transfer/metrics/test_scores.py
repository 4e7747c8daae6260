import numpy as np
import pytest
from sklearn import metrics

from transfer.metrics.scores import measure


def test_a_case_counted_by_hand():
    # truth 0 0 0 1 1 2, predicted 0 0 1 1 1 0; nobody predicts class 3
    y = np.array([0, 0, 0, 1, 1, 2])
    chances = np.full((6, 4), 0.1)
    chances[range(6), [0, 0, 1, 1, 1, 0]] = 0.7
    found = measure(chances, y)
    assert found["accuracy"] == pytest.approx(4 / 6)
    assert found["confusion"] == [[2, 1, 0, 0], [0, 2, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    assert found["balanced_accuracy"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    # F1 = 2 tp / (2 tp + fp + fn): 4/6, 4/5, 0, and 0 for the empty class
    assert found["macro_f1"] == pytest.approx((4 / 6 + 4 / 5 + 0 + 0) / 4)
    assert found["loss"] == pytest.approx(-(4 * np.log(0.7) + 2 * np.log(0.1)) / 6)
    # Wilson 1927: (p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n), z = 1.959964
    assert found["accuracy_interval"] == pytest.approx([0.2999934, 0.9032286], abs=1e-6)
    assert found["n"] == 6


@pytest.mark.parametrize("classes", [2, 5])
def test_against_scikit_learn(classes):
    rng = np.random.default_rng(classes)
    y = rng.integers(0, classes, 300)
    chances = rng.dirichlet(np.ones(classes), 300)
    chances[np.arange(300), y] += 0.2
    chances /= chances.sum(axis=1, keepdims=True)
    predicted = chances.argmax(axis=1)
    found = measure(chances, y)
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(y, predicted))
    assert found["loss"] == pytest.approx(metrics.log_loss(y, chances))
    assert found["macro_f1"] == pytest.approx(metrics.f1_score(y, predicted, average="macro"))
    assert found["balanced_accuracy"] == pytest.approx(
        metrics.balanced_accuracy_score(y, predicted)
    )
    low, high = found["accuracy_interval"]
    assert 0 < low < found["accuracy"] < high < 1


def test_certainty_in_the_wrong_class_costs_much_and_not_infinitely():
    found = measure(np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([1, 0]))
    assert found["loss"] == pytest.approx(-np.log(1e-7) / 2)


def test_a_test_part_without_some_class_is_measured_without_a_warning():
    found = measure(np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 0]))
    assert found["balanced_accuracy"] == 0.5
