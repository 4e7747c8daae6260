"""The whitening, the steps of k-means and the scale of the features, against slow arithmetic."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from setups import batch_of, setup_of
from toys import patterns

from pretrain.encoders.patches import EVEN
from pretrain.strategies import strategy

WORDS = 12


@pytest.fixture(params=[1, 3], ids=["grey", "colour"])
def begun(request):
    """A setup, and its one stage, before a step is made."""
    pool = patterns(60, size=10, channels=request.param)
    setup = setup_of("patch-dictionary", "patches", pool, encoder_options={"words": WORDS})
    stages = strategy("patch-dictionary").stages(setup)
    return setup, next(stages), stages


def normalised(setup):
    """Every normalised patch of the pool, (N, S S C)."""
    x = setup.arrays["x"] / 255
    side, _, _, size = setup.encoder.tensors()["block1/whiten/kernel"].shape
    patches = sliding_window_view(x, (side, side), axis=(1, 2))
    patches = np.moveaxis(patches, 3, -1).reshape(-1, size)
    patches = patches - patches.mean(axis=1, keepdims=True)
    return patches / np.sqrt(patches.var(axis=1, keepdims=True) + EVEN)


def test_whitened_patches_have_no_correlation_and_nearly_one_variance(begun):
    setup, _, _ = begun
    patches = normalised(setup)
    filters = setup.encoder.tensors()["block1/whiten/kernel"].reshape(patches.shape[1], -1)
    found = np.cov(patches @ filters, rowvar=False)
    values = np.linalg.eigvalsh(np.cov(patches, rowvar=False))
    expected = values / (values + setup.options["zca"])
    np.testing.assert_allclose(np.sort(np.diag(found)), np.sort(expected), atol=2e-3)
    assert np.abs(found - np.diag(np.diag(found))).max() < 2e-3
    np.testing.assert_allclose(filters.sum(axis=0), 0, atol=1e-4)


def words(setup):
    return -0.5 * setup.encoder.tensors()["block1/words/kernel"][0, 0].T


def test_words_begin_as_patches_of_the_pool(begun):
    setup, _, _ = begun
    patches = normalised(setup)
    filters = setup.encoder.tensors()["block1/whiten/kernel"].reshape(patches.shape[1], -1)
    for word in words(setup):
        assert np.linalg.norm(patches @ filters - word, axis=1).min() < 1e-2


def test_a_step_moves_each_word_to_the_mean_of_what_was_nearest_to_it(begun):
    setup, stage, _ = begun
    objective = stage.objectives[0]
    counts = objective.state[-1]
    before, had = words(setup), counts.numpy()
    objective.loss(batch_of(stage.arrays))
    after, has = words(setup), counts.numpy()
    new = has - had
    assert new.sum() == setup.options["patches"] * len(setup.arrays["x"])
    still = new == 0
    np.testing.assert_allclose(after[still], before[still], atol=1e-6)
    # All that came to a word is within what is whitened, and the word is a mean of it and of itself.
    patches = normalised(setup)
    filters = setup.encoder.tensors()["block1/whiten/kernel"].reshape(patches.shape[1], -1)
    white = patches @ filters
    nearest = np.linalg.norm(white[:, None] - before, axis=2).argmin(axis=1)
    for k in np.flatnonzero(~still):
        came = ((after[k] * has[k]) - before[k] * had[k]) / new[k]
        mine = white[nearest == k]
        assert (came >= mine.min(axis=0) - 1e-3).all()
        assert (came <= mine.max(axis=0) + 1e-3).all()


def test_steps_make_the_distances_shorter_and_the_bias_fits_the_words(begun):
    setup, stage, _ = begun
    objective = stage.objectives[0]
    fixed = {"seed": 99, "training": False}
    seen = [float(objective.loss(batch_of(stage.arrays, **fixed))["loss"])]
    for seed in range(8):
        objective.loss(batch_of(stage.arrays, seed=seed))
        seen.append(float(objective.loss(batch_of(stage.arrays, **fixed))["loss"]))
    assert seen[-1] < 0.9 * seen[0]
    assert all(later < 1.02 * earlier for earlier, later in pairwise(seen))
    bias = setup.encoder.tensors()["block1/words/bias"]
    np.testing.assert_allclose(bias, np.square(words(setup)).sum(axis=1), rtol=1e-4)


def test_at_the_end_features_have_one_scale_over_the_pool(begun):
    setup, _, stages = begun
    assert list(stages) == []
    found = np.asarray(setup.features(setup.arrays["x"], False)).reshape(-1, WORDS)
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-3)
    assert (found.std(axis=0) < 1.0).all()
    assert found.std(axis=0).mean() > 0.8
