"""The learning-rate finder: where it looks, what it leaves, and that training takes it."""

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from transfers import QUICK, encoder_weights, source, task, transferred

from headstart.errors import NonFiniteError
from pretrain.engine.program import Programs
from pretrain.engine.stage import Objective, Optimizer, Stage
from transfer.config import TransferConfig
from transfer.report.figures import learning_rate_curve
from transfer.training.lr_finder import HIGHEST, LOWEST, find_rate


def quadratic(curvature, factor=1.0):
    """A stage whose loss is curvature / 2 * w^2: gradient descent diverges above 2 / curvature."""
    w = keras.Variable(3.0)
    objective = Objective(
        name="bowl",
        loss=lambda batch: {
            "loss": tf.reduce_mean(batch.x) * factor * curvature / 2 * tf.square(w.value)
        },
        variables=[w],
        optimizer=Optimizer(name="sgd"),
    )
    return w, Stage(
        name="bowl",
        objectives=[objective],
        arrays={"x": np.ones((10, 1), np.float32)},
        epochs=1,
        batch_size=4,
        learning_rate=1.0,
    )


@pytest.mark.parametrize("curvature", [4.0, 40.0, 4000.0])
def test_the_rate_found_trains_and_follows_the_curvature(curvature):
    w, stage = quadratic(curvature)
    curve = find_rate(stage, Programs(), "bowl", seed=0)
    assert float(w.numpy()) == 3.0
    assert 1e-3 / curvature < curve.found < 2 / curvature
    assert curve.rates[0] == LOWEST
    assert len(curve.rates) == len(curve.losses)
    if curvature > 4:
        assert curve.rates[-1] < HIGHEST  # it stopped when the loss had blown up


def test_losses_that_are_not_finite_at_once_are_an_error():
    _, stage = quadratic(1.0, factor=float("inf"))
    with pytest.raises(NonFiniteError, match="saw losses that are not finite"):
        find_rate(stage, Programs(), "bowl", seed=0)


@pytest.mark.parametrize("reuse", [None, 0])
def test_a_transfer_takes_it_and_is_the_one_with_that_rate_given(reuse):
    given, on = source(), task()

    def run(recipe):
        config = TransferConfig(recipe=recipe, labels=40, reuse=reuse)
        return transferred(on, given, config, programs=Programs())

    done = run(replace(QUICK, find=True))
    found = done.result["learning_rate"]["found"]
    assert done.result["recipe"]["find"]
    by_hand = run(replace(QUICK, learning_rate=found, scratch_learning_rate=found))
    assert by_hand.result["digest"] == done.result["digest"]
    assert run(replace(QUICK, find=True)).result["digest"] == done.result["digest"]
    assert len(encoder_weights(done.model)) == 6


def test_its_picture(tmp_path):
    _, stage = quadratic(40.0)
    curve = find_rate(stage, Programs(), "bowl", seed=0).to_json()
    (tmp_path / "curve.png").write_bytes(learning_rate_curve(curve))
    pixels = np.asarray(Image.open(tmp_path / "curve.png").convert("L"))
    assert pixels.std() > 5
    assert learning_rate_curve(curve) == learning_rate_curve(curve)
