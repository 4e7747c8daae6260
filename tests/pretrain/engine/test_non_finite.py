"""The loop: runs that stop being finite."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from stages import Linear, data

from headstart.errors import NonFiniteError
from pretrain.engine.checkpoint import Checkpoints
from pretrain.engine.session import Session
from pretrain.engine.stage import Objective, Optimizer, Stage
from pretrain.engine.train import Run, train

pytestmark = pytest.mark.usefixtures("look_up_after_every_step")


def stop(stage, folder):
    run = Run(seed=0, key="bad", session=Session(checkpoints=Checkpoints(folder, {}, 1e9)))
    with pytest.raises(NonFiniteError) as caught:
        train([stage], run)
    assert caught.value.exit_code == 3
    assert list(folder.iterdir()) == []
    assert "learning_rate" in caught.value.hint
    return str(caught.value)


def test_a_huge_learning_rate_stops_the_run(path, tmp_path):
    linear = Linear(optimizer=Optimizer(name="sgd"), learning_rate=1e30, epochs=9)
    assert "it was 1e+30" in stop(linear.stage(), tmp_path)


def test_nan_in_the_data_stops_the_run(path, tmp_path):
    linear = Linear(n=9)
    linear.how["arrays"]["x"][8, 1] = np.nan
    text = stop(linear.stage(), tmp_path)
    assert "stage 'linear', epoch 1, within steps" in text


def test_nan_weights_behind_a_relu_that_hides_them_are_found(path, tmp_path):
    layer = keras.layers.Dense(8, activation="relu", name="hidden")
    layer.build((None, 3))
    layer.kernel.assign(np.full((3, 8), np.nan))

    def loss(batch):
        # oneDNN's relu can turn NaN into 0; here it is sure to.
        hidden = layer(batch.x)
        return {"loss": tf.reduce_mean(tf.where(tf.math.is_nan(hidden), 0.0, hidden))}

    objective = Objective(name="hide", loss=loss, variables=layer.trainable_weights)
    stage = Stage(
        name="hide",
        objectives=[objective],
        arrays=data(8),
        epochs=1,
        batch_size=4,
        learning_rate=0.0,
    )
    assert "the weights hidden/kernel" in stop(stage, tmp_path)


def test_a_state_that_becomes_infinite_is_found(path, tmp_path):
    linear = Linear()
    average = keras.Variable(1.0, name="average")
    stage = linear.stage(state=[average], after=lambda batch: average.assign(average * np.inf))
    assert "the weights average" in stop(stage, tmp_path)
