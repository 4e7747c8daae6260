"""What is spoilt, by how much, and that the clean example is asked for."""

import numpy as np
import pytest
from setups import Passing, batch_of, setup_of
from toys import patterns

from pretrain.strategies import strategy
from pretrain.strategies.denoising import corrupt


def spoil(x, kind, amount, seed=0):
    return np.asarray(corrupt(x, batch_of({"x": x}, seed=seed), kind, amount))


@pytest.fixture
def x():
    # None of the values is 0 or 1, so every one that is spoilt shows.
    return np.random.default_rng(0).uniform(0.2, 0.8, (50, 10, 10, 3)).astype(np.float32)


@pytest.mark.parametrize("amount", [0.1, 0.6])
def test_mask_makes_that_part_of_the_values_zero_each_by_itself(x, amount):
    spoilt = spoil(x, "mask", amount)
    masked = spoilt != x
    assert (spoilt[masked] == 0).all()
    # Standard deviation of the share of 15,000 values: at most 0.0041.
    assert masked.mean() == pytest.approx(amount, abs=0.02)
    # Whether a channel is masked says nothing of the next channel, pixel and example.
    for axis in range(4):
        both = masked & np.roll(masked, 1, axis=axis)
        assert both.mean() == pytest.approx(amount**2, abs=0.03)


def test_salt_is_zero_or_one_equally_often(x):
    spoilt = spoil(x, "salt", 0.4)
    changed = spoilt[spoilt != x]
    assert set(np.unique(changed)) == {0, 1}
    assert changed.size / x.size == pytest.approx(0.4, abs=0.02)
    assert changed.mean() == pytest.approx(0.5, abs=0.03)


def test_gaussian_adds_noise_of_that_deviation_and_cuts_nothing(x):
    noise = spoil(x, "gaussian", 0.7) - x
    assert noise.mean() == pytest.approx(0, abs=0.03)
    assert noise.std() == pytest.approx(0.7, abs=0.02)
    assert (x + noise).min() < 0
    assert (x + noise).max() > 1


@pytest.mark.parametrize("kind", ["mask", "gaussian", "salt"])
def test_the_step_decides_and_no_amount_spoils_nothing(x, kind):
    assert np.array_equal(spoil(x, kind, 0.3), spoil(x, kind, 0.3))
    assert not np.array_equal(spoil(x, kind, 0.3), spoil(x, kind, 0.3, seed=1))
    assert np.array_equal(spoil(x, kind, 0.0), x)


@pytest.mark.parametrize("kind", ["mask", "gaussian", "salt"])
@pytest.mark.parametrize("loss", ["bce", "mse"])
def test_the_encoder_sees_the_spoilt_and_the_loss_asks_for_the_clean(kind, loss):
    encoder, pool = Passing(8, 8, 1), patterns(24)
    setup = setup_of("denoising-autoencoder", encoder, pool, corrupt=kind, amount=0.5, loss=loss)
    (stage,) = strategy("denoising-autoencoder").stages(setup)
    found = float(stage.objectives[0].loss(batch_of(stage.arrays))["loss"])
    clean, seen = pool.x / 255, encoder.seen.astype(float)
    assert (np.abs(seen - clean) > 1e-6).mean() > 0.4
    # The stand-in's logits are what it saw.
    r = 1 / (1 + np.exp(-seen))
    values = (clean - r) ** 2
    if loss == "bce":
        values = -clean * np.log(r) - (1 - clean) * np.log(1 - r)
    assert found == pytest.approx(values.mean(), rel=1e-5)
