"""VISReg's terms against NumPy and SciPy's normal quantiles, and the views of multi-crop."""

import dataclasses
import math

import numpy as np
import pytest
from scipy.stats import norm
from setups import Passing, batch_of, setup_of
from toys import patterns

from pretrain.augment.recipes import Augmentation
from pretrain.strategies.visreg import invariance, regularity, stages, wasserstein

SEED = np.array([3, 4], np.int32)


def slow(samples):
    """The squared distance of samples (B,) to a normal variable, sample by sample in float64."""
    count = len(samples)
    pairs = zip(sorted(samples.astype(float)), range(1, count + 1), strict=True)
    return sum((x - norm.ppf(i / (count + 1))) ** 2 for x, i in pairs) / count


def terms(z, directions=200):
    return [float(term) for term in regularity(np.asarray(z, np.float32), SEED, directions)]


@pytest.mark.parametrize("count", [1, 2, 7, 40])
def test_the_distance_is_that_of_the_quantiles(count):
    samples = np.random.default_rng(count).normal(0.5, 2, (2, 3, count)).astype(np.float32)
    expected = np.mean([slow(row) for view in samples for row in view])
    assert float(wasserstein(samples)) == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_with_one_dimension_every_direction_is_the_same_up_to_its_sign():
    """Then center, scale and shape are those of the numbers themselves, or of their mirror image."""
    z = np.random.default_rng(0).exponential(2.0, (2, 30, 1))
    center, scale, shape = terms(z, directions=1000)
    assert center == pytest.approx(np.mean(z.mean(axis=1) ** 2), rel=1e-4)
    assert scale == pytest.approx(np.mean((z.std(axis=1) - 1) ** 2), rel=1e-4)
    # The quantiles lie symmetrically about 0, so the mirror image is as far away.
    standard = (z - z.mean(axis=1, keepdims=True)) / z.std(axis=1, keepdims=True)
    assert shape == pytest.approx(np.mean([slow(view[:, 0]) for view in standard]), rel=1e-4)


def test_standard_normal_projections_cost_least():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(2, 2000, 8))
    best = sum(terms(z))
    assert best < 0.02
    correlated = z @ np.linalg.cholesky(np.full((8, 8), 0.8) + 0.2 * np.eye(8)).T
    corners = rng.choice([-1.0, 1.0], z.shape) * rng.choice([0.1, 1.41], (2, 2000, 1))
    for worse in (z + 1, 2 * z, 0.5 * z, 0 * z, correlated, corners):
        assert sum(terms(worse)) > 5 * best


def test_shape_heeds_neither_place_nor_scale():
    z = np.random.default_rng(0).normal(size=(1, 50, 4))
    assert terms(3 * z - 5)[2] == pytest.approx(terms(z)[2], rel=1e-3)


def test_directions_are_a_function_of_the_seed():
    z = np.random.default_rng(0).uniform(size=(2, 30, 4)).astype(np.float32)
    first, again, other = (
        float(regularity(z, np.array(seed, np.int32), 5)[2]) for seed in ([1, 2], [1, 2], [1, 3])
    )
    assert first == again != other


def test_every_view_is_compared_with_the_mean_of_the_global_ones():
    z = np.random.default_rng(0).normal(size=(4, 3, 2)).astype(np.float32)
    total = 0.0
    for example in range(3):
        mean = (z[0, example] + z[1, example]) / 2
        total += sum(np.sum((z[v, example] - mean) ** 2) / 2 for v in range(4))
    assert float(invariance(z, 2)) == pytest.approx(total / 12, rel=1e-5)


@pytest.mark.parametrize("count", [1, 64])
def test_a_collapsed_cloud_is_pulled_apart_by_a_finite_gradient(count):
    import tensorflow as tf

    z = tf.constant(1e-2 * np.random.default_rng(0).normal(size=(1, count, 4)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(z)
        loss = tf.add_n(regularity(z, tf.constant(SEED), 32))
    gradient = tape.gradient(loss, z).numpy()
    assert np.isfinite(gradient).all()
    if count > 1:
        centred = z - tf.reduce_mean(z, axis=1, keepdims=True)
        pull = -np.sum(gradient * centred) / math.sqrt(np.sum(np.square(centred)))
        # Of (deviation - 1)^2 alone, with 4 dimensions whose deviations are near 0, B examples each.
        assert pull == pytest.approx(2 / math.sqrt(4 * count), rel=0.1)


def seen_views(augmentation, given):
    """The views (4, 12, H, W, C) of a step, two global ones first."""
    pool = patterns(12)
    encoder = Passing(*pool.input_shape)
    setup = setup_of("visreg", encoder, pool, views=2, crops=2, crop=0.1, projector=[4])
    how = Augmentation.of(augmentation, pool.input_shape, given)
    stage = next(iter(stages(dataclasses.replace(setup, augmentation=how))))
    stage.objectives[0].loss(batch_of({"x": pool.x}))
    return encoder.seen.reshape(4, 12, *pool.input_shape)


def test_local_views_keep_less_of_an_image_and_differ_from_the_global_ones():
    views = seen_views("objects", {"erase": 0, "gamma": 0})
    for one in range(4):
        for other in range(one):
            assert not np.allclose(views[one], views[other])
    # Less of an image, enlarged, is smoother: neighbours differ less.
    rough = np.abs(np.diff(views, axis=3)).mean(axis=(1, 2, 3, 4))
    assert rough[2:].max() < rough[:2].min()


def test_no_view_is_cropped_where_the_augmentation_crops_nothing():
    dimmed = seen_views("none", {"brightness": 0.1})
    pool = patterns(12).x / 255
    ratio = dimmed / pool  # one factor an image
    assert ratio.std(axis=(2, 3, 4)).max() < 0.02
