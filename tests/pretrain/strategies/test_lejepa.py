"""LeJEPA: SIGReg against integrals written out and known characteristic functions; the views of multi-crop."""

import math

import numpy as np
import pytest
from setups import Passing, batch_of, setup_of

from pretrain.augment.recipes import Augmentation
from pretrain.strategies.lejepa import epps_pulley, prediction, sigreg, stages


def slow(samples):
    """The statistic of one direction, samples (B,), by the trapezoidal rule on 17 points, in float64."""
    t = np.linspace(-5, 5, 17)
    empirical = np.array([np.mean([np.exp(1j * u * x) for x in samples.astype(float)]) for u in t])
    apart = np.abs(empirical - np.exp(-(t**2) / 2)) ** 2 * np.exp(-(t**2) / 2)
    return len(samples) * np.trapezoid(apart, t)


def closed(samples):
    """The same integral over all t in closed form, with b = 1 of the weight exp(-t^2 / 2).

    |mean exp(i t x) - exp(-t^2 / 2)|^2 multiplied out leaves integrals of cos(t d) exp(-c t^2 / 2), each
    sqrt(2 pi / c) exp(-d^2 / (2 c)): Henze & Wagner 1997, section 1.
    """
    x = samples.astype(float)
    pairs = np.exp(-((x[:, None] - x[None, :]) ** 2) / 2).mean()
    cross = np.exp(-(x**2) / 4).mean() / math.sqrt(2)
    return len(x) * math.sqrt(2 * math.pi) * (pairs - 2 * cross + 1 / math.sqrt(3))


@pytest.mark.parametrize("count", [1, 2, 40])
@pytest.mark.parametrize(("mean", "scale"), [(0, 1), (1, 1), (0, 0.2), (-2, 3)])
def test_the_statistic_is_the_papers(count, mean, scale):
    rng = np.random.default_rng(count)
    samples = rng.normal(mean, scale, (3, count, 2)).astype(np.float32)
    got = np.asarray(epps_pulley(samples))
    assert got.shape == (3, 2)
    for view in range(3):
        for column in range(2):
            expected = slow(samples[view, :, column])
            assert got[view, column] == pytest.approx(expected, rel=1e-4, abs=1e-5)
            # Where no sample lies so far out that 17 points would miss its waves.
            if np.abs(samples).max() < 4:
                assert expected == pytest.approx(closed(samples[view, :, column]), rel=1e-3, abs=1e-4)


def test_standard_normal_projections_cost_least():
    import tensorflow as tf

    z = np.random.default_rng(0).normal(size=(1, 2000, 8)).astype(np.float32)
    seed = tf.constant([3, 4])
    least = float(sigreg(z, seed, 50))
    # Of normal samples the expectation does not depend on B: the integral of (1 - exp(-t^2)) w(t).
    assert least == pytest.approx(math.sqrt(2 * math.pi) * (1 - 1 / math.sqrt(3)), rel=0.25)
    uniform = np.random.default_rng(1).uniform(-math.sqrt(3), math.sqrt(3), (1, 2000, 8))
    narrow = z * np.array([1, 1, 1, 1, 0.1, 0.1, 0.1, 0.1], np.float32)
    for worse in (z + 1, 2 * z, 0.5 * z, 0 * z, narrow):
        assert float(sigreg(worse, seed, 50)) > 10 * least
    axes = epps_pulley(uniform.astype(np.float32))  # of the right variance, and not Gaussian
    assert float(tf.reduce_mean(axes)) > 3 * least


def test_directions_are_a_function_of_the_seed():
    z = np.random.default_rng(0).normal(size=(2, 30, 4)).astype(np.float32) + 0.3
    first, again, other = (float(sigreg(z, np.array(s, np.int32), 5)) for s in ([1, 2], [1, 2], [1, 3]))
    assert first == again != other


def test_every_view_is_compared_with_the_mean_of_the_global_ones():
    z = np.random.default_rng(0).normal(size=(4, 3, 2)).astype(np.float32)
    total = 0.0
    for example in range(3):
        mean = (z[0, example] + z[1, example]) / 2
        total += sum(np.sum((z[v, example] - mean) ** 2) / 2 for v in range(4))
    assert float(prediction(z, 2)) == pytest.approx(total / 12, rel=1e-5)


def test_gradients_pull_a_collapsed_cloud_apart_and_stay_finite():
    import tensorflow as tf

    rng = np.random.default_rng(0)
    z = tf.constant(1e-3 * rng.normal(size=(1, 64, 4)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(z)
        loss = sigreg(z, tf.constant([0, 1]), 32)
    gradient = tape.gradient(loss, z).numpy()
    assert np.isfinite(gradient).all()
    assert float(np.sum(gradient * z)) < 0  # a step against it makes the cloud wider


def test_local_views_keep_less_of_an_image_and_differ_from_the_global_ones():
    import dataclasses

    from toys import patterns

    pool = patterns(12)
    encoder = Passing(*pool.input_shape)
    setup = setup_of("lejepa", encoder, pool, views=2, crops=2, crop=0.1, projector=[4])
    how = Augmentation.of("objects", pool.input_shape, {"erase": 0, "gamma": 0})
    setup = dataclasses.replace(setup, augmentation=how)
    stage = next(iter(stages(setup)))
    stage.objectives[0].loss(batch_of({"x": pool.x}))
    views = encoder.seen.reshape(4, 12, *pool.input_shape)
    for one in range(4):
        for other in range(one):
            assert not np.allclose(views[one], views[other])
    # Less of an image, enlarged, is smoother: neighbours differ less.
    rough = np.abs(np.diff(views, axis=3)).mean(axis=(1, 2, 3, 4))
    assert rough[2:].max() < rough[:2].min()
