"""The ridge head against scikit-learn, and its leave-one-out against fitting again without each label."""

import numpy as np
import pytest

from transfer.heads.base import Labelled
from transfer.heads.ridge import ROW, _Fit
from transfer.targets import TARGETS


def examples(classes=3, n=24, size=40, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    x = rng.normal(size=(classes, size))[y] + 1.5 * rng.normal(size=(n, size)) + 3
    return x.astype(np.float32), y.astype(np.int32)


def labelled(x, y, classes, weights=None):
    target = TARGETS["classes"](names=tuple(map(str, range(classes))))
    return Labelled(features=x, y=y, target=target, weights=weights)


@pytest.mark.parametrize("penalty", [0.01, 1.0])
def test_the_fit_is_scikit_learns(penalty):
    from sklearn.linear_model import Ridge

    x, y = examples()
    answers = 2 * np.eye(3)[y] - 1
    fit = _Fit(x.astype(float), answers, np.full(len(x), 1 / len(x)), penalty)
    length2 = np.square(x - x.mean(axis=0)).sum(axis=1).mean()
    model = Ridge(alpha=penalty * length2).fit(x, answers)
    np.testing.assert_allclose(fit.kernel.T, model.coef_, atol=1e-6)
    np.testing.assert_allclose(fit.bias, model.intercept_, atol=1e-4)


def test_held_out_answers_are_those_of_fits_without_the_example():
    from sklearn.linear_model import Ridge

    x, y = examples()
    answers = 2 * np.eye(3)[y] - 1
    fit = _Fit(x.astype(float), answers, np.full(len(x), 1 / len(x)), 0.1)
    length2 = np.square(x - x.mean(axis=0)).sum(axis=1).mean()
    for i in range(len(x)):
        others = np.arange(len(x)) != i
        model = Ridge(alpha=0.1 * length2).fit(x[others], answers[others])
        np.testing.assert_allclose(fit.held_out[i], model.predict(x[i : i + 1])[0], atol=1e-4)


def test_an_example_that_counts_twice_is_two_examples():
    x, y = examples(n=12)
    twice = np.concatenate([x, x[:4]]), np.concatenate([y, y[:4]])
    weights = np.where(np.arange(12) < 4, 2.0, 1.0)
    answers = 2 * np.eye(3) - 1
    once = _Fit(x.astype(float), answers[y], weights / weights.sum(), 0.3 * 12 / 16)
    both = _Fit(twice[0].astype(float), answers[twice[1]], np.full(16, 1 / 16), 0.3)
    np.testing.assert_allclose(once.kernel, both.kernel, atol=1e-9)
    np.testing.assert_allclose(once.bias, both.bias, atol=1e-9)


def test_two_classes_have_one_logit_and_say_what_two_outputs_would():
    x, y = examples(classes=2)
    kernel, bias = ROW.solution(labelled(x, y, 2), 0.1).weights
    assert kernel.shape == (40, 1)
    assert bias.shape == (1,)
    assert ((x @ kernel + bias > 0)[:, 0] == y).all()


def test_a_class_without_labels_is_never_said():
    x, y = examples(classes=3)
    kernel, bias = ROW.solution(labelled(x, y, 5), 0.1).weights
    probabilities = TARGETS["classes"](names=("a", "b", "c", "d", "e")).probabilities(
        x @ kernel + bias
    )
    assert probabilities[:, 3:].max() < 0.01


def test_probabilities_are_calibrated_where_features_are_many_and_labels_few():
    rng = np.random.default_rng(0)
    x, y = examples(n=600, size=400)
    train = rng.permutation(600)[:60]
    rest = np.setdiff1d(np.arange(600), train)
    solved = ROW.solve(labelled(x[train], y[train], 3), seed=0)
    kernel, bias = solved.weights
    probabilities = TARGETS["classes"](names=("a", "b", "c")).probabilities(x[rest] @ kernel + bias)
    right = probabilities.argmax(axis=1) == y[rest]
    assert abs(probabilities.max(axis=1).mean() - right.mean()) < 0.1
    assert solved.choice["penalty"] in ROW.values
