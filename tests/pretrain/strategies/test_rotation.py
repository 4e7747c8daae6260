"""The turns, and the loss of telling them."""

from dataclasses import replace

import numpy as np
import pytest
from setups import Passing, batch_of, setup_of
from toys import patterns

from headstart.errors import InputError
from pretrain.config import PretrainConfig
from pretrain.plan import PretrainPlan
from pretrain.strategies import strategy
from pretrain.strategies.rotation import turned


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_each_image_is_turned_by_its_own_number_of_quarters(dtype):
    x = np.random.default_rng(0).integers(0, 255, (8, 5, 5, 3)).astype(dtype)
    turns = np.array([0, 1, 2, 3, 3, 1, 0, 2], np.int32)
    found = np.asarray(turned(x, turns))
    assert found.dtype == dtype
    for image, quarters, result in zip(x, turns, found, strict=True):
        assert np.array_equal(result, np.rot90(image, quarters))


def test_the_loss_is_the_cross_entropy_of_the_turn():
    encoder, pool = Passing(8, 8, 1), patterns(24)
    (stage,) = strategy("rotation").stages(setup_of("rotation", encoder, pool))
    objective = stage.objectives[0]
    kernel, bias = objective.variables
    kernel.assign(kernel * 5)  # far from a uniform guess
    bias.assign([0.5, -1.0, 2.0, 0.0])
    measured = objective.loss(batch_of(stage.arrays))

    x = (pool.x / 255).astype(np.float32)
    same = [
        np.isclose(np.rot90(x, k, axes=(1, 2)), encoder.seen).all(axis=(1, 2, 3)) for k in range(4)
    ]
    assert (np.sum(same, axis=0) == 1).all()
    turns = np.argmax(same, axis=0)
    assert set(turns) == {0, 1, 2, 3}
    logits = encoder.seen.reshape(24, -1).astype(float) @ kernel.numpy() + bias.numpy()
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = -np.log(chances[np.arange(24), turns]).mean()
    assert float(measured["loss"]) == pytest.approx(expected, rel=1e-4)
    assert float(measured["accuracy"]) == pytest.approx((chances.argmax(axis=1) == turns).mean())
    assert set(measured) == {"loss", *objective.metrics}


def test_all_turns_are_as_likely_and_the_step_decides():
    pool = patterns(2000)
    encoder = Passing(8, 8, 1)
    (stage,) = strategy("rotation").stages(setup_of("rotation", encoder, pool))
    x, seen = (pool.x / 255).astype(np.float32), []
    for seed in (0, 0, 1):
        stage.objectives[0].loss(batch_of(stage.arrays, seed=seed))
        seen.append(encoder.seen)
    assert np.array_equal(seen[0], seen[1])
    assert not np.array_equal(seen[0], seen[2])
    for k in range(4):
        same = np.isclose(np.rot90(x, k, axes=(1, 2)), seen[0]).all(axis=(1, 2, 3))
        assert same.mean() == pytest.approx(0.25, abs=0.05)  # standard deviation 0.0097


def test_only_square_images_are_taken():
    pool = patterns(24)
    config = PretrainConfig(strategy="rotation")
    assert PretrainPlan.resolve(pool, config).row.name == "rotation"
    for x in (pool.x[:, :, :6], pool.x.reshape(24, 64)):
        with pytest.raises(InputError, match=r"needs images as high as wide.*Got 'rotation'"):
            PretrainPlan.resolve(replace(pool, x=x), config)
