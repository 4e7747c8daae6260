"""Group normalisation against NumPy, and that it is the same function whatever the batch and the mode."""

import numpy as np
import pytest

from pretrain.encoders import encoder_config, expected_shapes
from pretrain.encoders.convolutions import groups, normalised

CASES = [
    ("convnet", {"normalisation": "group"}),
    ("convnet", {"normalisation": "group", "activation": "gelu", "filters": [8, 12]}),
    ("convnet", {"activation": "leaky_relu"}),
    ("resnet", {}),
    ("resnet", {"depth": 2, "stem_stride": 1, "filters": [8, 12, 16], "activation": "silu"}),
]


@pytest.mark.parametrize(("channels", "expected"), [(32, 8), (12, 4), (7, 1), (1, 1)])
def test_the_groups_divide_the_channels(channels, expected):
    assert groups(channels) == expected


def test_group_normalisation_is_the_papers():
    """Wu & He 2018, equations 1 and 2: each example and group to mean 0 and variance 1."""
    import keras

    x = np.random.default_rng(0).normal(2, 3, (3, 5, 4, 16)).astype(np.float32)
    inputs = keras.Input(x.shape[1:])
    found = np.asarray(keras.Model(inputs, normalised(inputs, "group", "norm"))(x))
    parts = x.astype(float).reshape(3, 5, 4, 8, 2)
    mean = parts.mean(axis=(1, 2, 4), keepdims=True)
    expected = (parts - mean) / np.sqrt(parts.var(axis=(1, 2, 4), keepdims=True) + 1e-3)
    assert found == pytest.approx(expected.reshape(x.shape), abs=1e-4)


@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_told_shapes_are_built_and_features_do_not_depend_on_the_batch(name, options):
    from pretrain.encoders.encoder import Encoder

    config = encoder_config(name, (13, 17, 3), options)
    encoder = Encoder(config, seed=2)
    assert {p: tuple(v.shape) for p, v in encoder.variables.items()} == expected_shapes(config)
    assert encoder.state == []
    x = np.random.default_rng(1).random((6, 13, 17, 3), np.float32)
    whole = np.asarray(encoder(x, training=False))
    assert np.array_equal(np.asarray(encoder(x, training=True)), whole)
    alone = np.concatenate([np.asarray(encoder(x[i : i + 1], training=True)) for i in range(6)])
    assert alone == pytest.approx(whole, rel=1e-4, abs=1e-5)
