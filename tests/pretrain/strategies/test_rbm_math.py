"""Restricted Boltzmann machines against small ones whose sums and integrals can be written out."""

import itertools

import numpy as np
import pytest

from pretrain.strategies.rbm import Machine, contrastive

V = np.array(list(itertools.product([0.0, 1.0], repeat=4)))  # (16, 4), every visible state
H = np.array(list(itertools.product([0.0, 1.0], repeat=3)))  # (8, 3), every hidden state


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


class Small:
    """A machine of 4 x 3 units: the numbers as float64, and ours on the same numbers."""

    def __init__(self, sigma=None, visible=4, spread=1.0):
        import tensorflow as tf

        rng = np.random.default_rng(3)
        self.w = rng.normal(0, spread, (visible, 3))
        self.b, self.c = rng.normal(0, 0.5, visible), rng.normal(0, 0.5, 3)
        self.sigma = sigma
        self.variables = [tf.Variable(a, dtype=tf.float32) for a in (self.w, self.b, self.c)]
        kernel, visible_bias, hidden_bias = self.variables
        self.ours = Machine(
            kernel=kernel, visible_bias=visible_bias, hidden_bias=hidden_bias, sigma=sigma
        )

    def energy(self, v, h):
        """E of every pair of rows, (len(v), len(h)), from the definition."""
        own = -v @ self.b
        if self.sigma is not None:
            own = ((v - self.b) ** 2).sum(axis=1) / (2 * self.sigma**2)
        return own[:, None] - (h @ self.c)[None] - v @ self.w @ h.T

    def chances(self):
        """p(v) of each row of V, by summing over all states."""
        weights = np.exp(-self.energy(V, H)).sum(axis=1)
        return weights / weights.sum()

    def exact_gradient(self, data):
        """Of mean -log p(data), by summing over all 16 x 8 states: [W, b, c]."""
        joint = np.exp(-self.energy(V, H))
        joint /= joint.sum()
        given = np.exp(-self.energy(data, H))
        given /= given.sum(axis=1, keepdims=True) * len(data)
        return [
            V.T @ joint @ H - data.T @ given @ H,
            joint.sum(axis=1) @ V - given.sum(axis=1) @ data,
            joint.sum(axis=0) @ H - given.sum(axis=0) @ H,
        ]

    def gradient(self, data, model):
        """Of our contrastive difference: [W, b, c]."""
        import tensorflow as tf

        with tf.GradientTape() as tape:
            found = contrastive(self.ours, as_float(data), as_float(model))
        return [np.asarray(g) for g in tape.gradient(found, self.variables)]


def as_float(array):
    import tensorflow as tf

    return tf.constant(array, tf.float32)


def draw(number):
    import tensorflow as tf

    return tf.constant([17, number], tf.int32)


DATA = np.array([[1.0, 1, 0, 0], [1, 1, 0, 1], [0, 0, 1, 1], [1, 1, 0, 0]])


@pytest.mark.parametrize("sigma", [None, 0.3, 2.0])
def test_the_free_energy_is_the_sum_over_all_hidden_states(sigma):
    small = Small(sigma)
    v = V if sigma is None else np.random.default_rng(0).normal(0, 1, (16, 4))
    expected = -np.log(np.exp(-small.energy(v, H)).sum(axis=1))
    assert np.asarray(small.ours.free_energy(as_float(v))) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("sigma", [None, 0.7])
def test_hidden_units_are_on_with_the_chance_that_the_energy_gives(sigma):
    small = Small(sigma)
    weights = np.exp(-small.energy(DATA, H))
    expected = (weights / weights.sum(axis=1, keepdims=True)) @ H
    assert sigmoid(np.asarray(small.ours.hidden_logits(as_float(DATA)))) == pytest.approx(
        expected, rel=1e-5
    )


def test_visible_units_are_on_with_the_chance_that_the_energy_gives():
    small = Small()
    weights = np.exp(-small.energy(V, H))
    expected = ((weights / weights.sum(axis=0)).T) @ V
    field = small.ours.visible_field(as_float(H))
    assert np.asarray(small.ours.visible_means(field)) == pytest.approx(expected, rel=1e-5)


def grid(low=-9.0, high=9.0, points=361):
    axis = np.linspace(low, high, points)
    return np.array(list(itertools.product(axis, axis)))  # (points^2, 2)


def test_gaussian_visibles_against_numerical_integration():
    small = Small(sigma=0.8, visible=2)
    v = grid()
    weights = np.exp(-small.energy(v, H))  # (states of v, 8)
    weights /= weights.sum(axis=0)
    means = weights.T @ v
    field = small.ours.visible_field(as_float(H))
    assert np.asarray(small.ours.visible_means(field)) == pytest.approx(means, abs=1e-4)
    variance = weights.T @ v**2 - means**2
    many = np.asarray(small.ours.down(field[:1] + np.zeros((20_000, 1), np.float32), draw(0)))
    assert variance == pytest.approx(0.8**2, abs=1e-3)
    assert many.var(axis=0) == pytest.approx(variance[0], rel=0.05)
    assert many.mean(axis=0) == pytest.approx(means[0], abs=0.03)


def test_the_gradient_on_the_models_own_samples_is_the_likelihoods():
    small = Small()
    samples = np.repeat(V, np.rint(20_000 * small.chances()).astype(int), axis=0)
    for ours, exact in zip(small.gradient(DATA, samples), small.exact_gradient(DATA), strict=True):
        assert ours == pytest.approx(exact, abs=1e-3)
        assert np.abs(exact).max() > 0.05


def test_gaussian_gradient_on_the_models_own_samples_is_the_likelihoods():
    small = Small(sigma=0.8, visible=2)
    v, data = grid(points=181), np.array([[0.3, -1.0], [1.2, 0.4]])
    joint = np.exp(-small.energy(v, H))
    joint /= joint.sum()
    given = np.exp(-small.energy(data, H))
    given /= given.sum(axis=1, keepdims=True) * 2
    exact = [
        v.T @ joint @ H - data.T @ given @ H,
        (joint.sum(axis=1) @ (v - small.b) - given.sum(axis=1) @ (data - small.b)) / 0.8**2,
        joint.sum(axis=0) @ H - given.sum(axis=0) @ H,
    ]
    counts = np.rint(400_000 * joint.sum(axis=1)).astype(int)
    samples = np.repeat(v, counts, axis=0)
    for ours, expected in zip(small.gradient(data, samples), exact, strict=True):
        assert ours == pytest.approx(expected, abs=0.01)
        assert np.abs(expected).max() > 0.05


def test_many_gibbs_steps_approach_the_likelihoods_gradient():
    small = Small(spread=1.5)
    start = np.tile(DATA, (5000, 1))
    exact = small.exact_gradient(DATA)

    def worst(steps):
        model, _ = small.ours.gibbs(as_float(start), steps, draw, means=False)
        assert set(np.unique(model)) == {0.0, 1.0}
        found = small.gradient(DATA, model)
        return max(np.abs(a - b).max() for a, b in zip(found, exact, strict=True))

    assert worst(60) < 0.015
    assert worst(1) > 0.05


def test_many_gaussian_gibbs_steps_approach_the_model():
    small = Small(sigma=0.8, visible=2)
    v = grid(points=181)
    joint = np.exp(-small.energy(v, H)).sum(axis=1)
    joint /= joint.sum()
    start = as_float(np.zeros((20_000, 2)))
    model, _ = small.ours.gibbs(start, 40, draw, means=False)
    mean = joint @ v
    assert np.asarray(model).mean(axis=0) == pytest.approx(mean, abs=0.04)
    assert np.asarray(model).std(axis=0) == pytest.approx(np.sqrt(joint @ v**2 - mean**2), rel=0.04)


def negative_log_by_hand(small, v, h):
    if small.sigma is None:
        p = sigmoid(small.b + h @ small.w.T)
        return -(v * np.log(p) + (1 - v) * np.log(1 - p)).sum(axis=1)
    mean = small.b + small.sigma**2 * h @ small.w.T
    return ((v - mean) ** 2).sum(axis=1) / (2 * small.sigma**2)


@pytest.mark.parametrize("sigma", [None, 0.5])
def test_the_reconstructions_negative_log(sigma):
    small = Small(sigma)
    v, h = np.random.default_rng(0).random((8, 4)), H
    found = small.ours.negative_log(as_float(v), small.ours.visible_field(as_float(h)))
    assert np.asarray(found) == pytest.approx(negative_log_by_hand(small, v, h), rel=1e-4)
