"""A weights file for Keras users."""

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from toys import patterns
from transfers import weights

import pretrain
from headstart.errors import InputError
from pretrain.encoders.encoder import Encoder, Preprocessing, features
from pretrain.weights.file import assign


@pytest.mark.parametrize("name", ["mlp", "convnet", "resnet"])
@pytest.mark.parametrize("per_channel", [False, True], ids=["one scale", "a scale a channel"])
def test_the_model_gives_the_features_of_raw_examples(name, per_channel, tmp_path):
    file = weights(name, shape=(8, 8, 3))
    if per_channel:
        channels = {"scale": [1 / 255, 1 / 100, 1 / 50], "offset": [0.0, -0.5, 0.25]}
        file = replace(file, preprocessing=file.preprocessing | channels)
    path = tmp_path / "weights.h5"
    file.write(path)
    encoder = Encoder(file.encoder, 0)
    assign(file.tensors, encoder.variables)
    x = patterns(24, channels=3).x
    expected = features(encoder, Preprocessing.from_json(file.preprocessing), x)
    model = pretrain.load_encoder(str(path))
    assert isinstance(model, keras.Model)
    assert np.allclose(model.predict(x, verbose=0), expected, atol=1e-6)
    # Floats are not cut down to the uint8 that the pretraining had.
    assert not np.allclose(model(x + np.float32(0.75)), expected, atol=1e-4)

    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    assert np.allclose(again(x), expected, atol=1e-6)
    names = [layer.name for layer in model.get_layer("encoder").layers[1:]]
    assert names == [name for name, _ in encoder.blocks]


def test_it_leaves_keras_random_numbers_to_the_user(tmp_path):
    path = tmp_path / "weights.h5"
    weights().write(path)
    drawn = []
    for seed in (1, 2, 1):
        keras.utils.set_random_seed(seed)
        pretrain.load_encoder(path)
        kernel = keras.layers.Dense(3)
        kernel.build((None, 4))
        drawn.append([kernel.kernel.numpy(), keras.random.normal((5,)), tf.random.normal((5,))])
    for first, second, third in zip(*drawn, strict=True):
        assert np.array_equal(first, third)
        assert not np.allclose(first, second)


def test_a_file_that_is_none_is_refused(tmp_path):
    (tmp_path / "weights.h5").write_bytes(b"nothing")
    for name in ("weights.h5", "nowhere.h5"):
        with pytest.raises(InputError, match=f"{name} is not usable|no file.*{name}"):
            pretrain.load_encoder(tmp_path / name)
