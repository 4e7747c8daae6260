"""The strategies' losses against numbers from elsewhere."""

import numpy as np
import pytest
from toys import patterns

from pretrain.encoders import encoder_config, fresh_names
from pretrain.encoders.encoder import Preprocessing
from pretrain.engine.stage import Batch
from pretrain.strategies import strategy
from pretrain.strategies.autoencoder import reconstruction_loss
from pretrain.strategies.base import Setup


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def objective(name, encoder_name, **options):
    """The first stage's only objective, its encoder, and a batch of raw examples."""
    import tensorflow as tf

    from pretrain.encoders.encoder import Encoder

    pool = patterns(24)
    row = strategy(name)
    encoder = Encoder(encoder_config(encoder_name, pool.input_shape), seed=1)
    setup = Setup(
        encoder=encoder,
        preprocess=Preprocessing.fit(pool),
        arrays={"x": pool.x, "y": pool.y.astype(np.int32)},
        validation=None,
        n_classes=3,
        options={n: option.default for n, option in row.options.items()} | options,
        recipe=row.recipe,
    )
    (stage,) = row.stages(setup)
    arrays = {n: tf.constant(a) for n, a in stage.arrays.items()}
    batch = Batch(arrays=arrays, seed=tf.constant([0, 0]), training=True)
    return stage.objectives[0], encoder, batch, pool


@pytest.mark.parametrize("encoder_name", fresh_names())
def test_supervised_is_the_cross_entropy_of_the_softmax(encoder_name):
    found, encoder, batch, pool = objective("supervised", encoder_name)
    kernel, bias = found.variables[-2:]
    kernel.assign(kernel * 10)  # far from a uniform guess
    bias.assign([0.5, -1.0, 2.0])
    features = np.asarray(encoder((pool.x / 255).astype(np.float32), True), np.float64)
    logits = features @ kernel.numpy().astype(float) + bias.numpy()
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = -np.log(chances[np.arange(24), pool.y]).mean()
    measured = found.loss(batch)
    assert float(measured["loss"]) == pytest.approx(expected, rel=1e-5)
    assert float(measured["accuracy"]) == pytest.approx((chances.argmax(axis=1) == pool.y).mean())
    assert set(measured) == {"loss", *found.metrics}


def test_a_reconstruction_by_hand():
    # x = 1, 0, 0.5 and logits 0, log 3, -log 3: r = 1/2, 3/4, 1/4
    x = np.array([[1.0, 0.0, 0.5]], np.float32)
    logits = np.array([[0.0, np.log(3), -np.log(3)]], np.float32)
    mse = (0.25 + 0.5625 + 0.0625) / 3
    bce = (np.log(2) + np.log(4) + 0.5 * np.log(4) + 0.5 * np.log(4 / 3)) / 3
    assert float(reconstruction_loss(x, logits, "mse")) == pytest.approx(mse, rel=1e-6)
    assert float(reconstruction_loss(x, logits, "bce")) == pytest.approx(bce, rel=1e-6)


@pytest.mark.parametrize("kind", ["bce", "mse"])
def test_reconstructions_against_numpy(kind):
    rng = np.random.default_rng(0)
    x, logits = rng.random((5, 4, 4, 2)), rng.normal(0, 3, (5, 4, 4, 2))
    r = sigmoid(logits)
    losses = (x - r) ** 2 if kind == "mse" else -x * np.log(r) - (1 - x) * np.log(1 - r)
    found = reconstruction_loss(x.astype(np.float32), logits.astype(np.float32), kind)
    assert float(found) == pytest.approx(losses.mean(), rel=1e-5)


@pytest.mark.parametrize("kind", ["bce", "mse"])
def test_certain_reconstructions_are_finite(kind):
    logits = np.array([[-1e4, 1e4]], np.float32)
    right, wrong = (
        float(reconstruction_loss(np.array([x], np.float32), logits, kind))
        for x in ([0, 1], [1, 0])
    )
    assert right == pytest.approx(0, abs=1e-6)
    assert wrong == pytest.approx(1e4 if kind == "bce" else 1)


@pytest.mark.parametrize("encoder_name", fresh_names())
@pytest.mark.parametrize("kind", ["bce", "mse"])
def test_the_autoencoder_starts_near_a_grey_picture(encoder_name, kind):
    """Untrained logits are near 0, so the loss is near that of r = 1/2 everywhere."""
    found, encoder, batch, pool = objective("autoencoder", encoder_name, loss=kind)
    x = pool.x / 255
    grey = np.log(2) if kind == "bce" else ((x - 0.5) ** 2).mean()
    for variable in found.variables:
        if variable.path.endswith(("logits/kernel", "logits/bias")):
            variable.assign(np.zeros(variable.shape, np.float32))
    assert float(found.loss(batch)["loss"]) == pytest.approx(grey, rel=1e-5)
    assert {id(v) for v in encoder.trainable} < {id(v) for v in found.variables}


def test_an_unknown_loss_is_refused():
    from headstart.errors import InputError
    from pretrain.encoders.base import resolve_options

    with pytest.raises(InputError, match=r"'loss' .* must be one of bce, mse. Got 'l1'"):
        resolve_options("the strategy", strategy("autoencoder").options, {"loss": "l1"})
