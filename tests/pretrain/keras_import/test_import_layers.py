"""Every layer of the table computes, and weighs, what Keras says; nothing else gets in."""

import json
import math

import keras
import numpy as np
import pytest
from foreign import shaken
from keras import layers as kl

from headstart.errors import InputError
from pretrain.encoders import check_config, encoder_config, expected_shapes
from pretrain.encoders.encoder import Preprocessing
from pretrain.encoders.keras_graph.layers import LAYERS
from pretrain.encoders.keras_graph.names import free_name
from pretrain.encoders.keras_graph.rules import ACTIVATIONS
from pretrain.keras_import.source import import_model

SHAPE = (11, 9, 4)


def two(layer):
    """Call a layer that merges on two branches."""
    return lambda x: layer([kl.Conv2D(4, 1)(x), kl.Conv2D(4, 1)(x)])


CASES = {
    "Dense": [kl.Dense(5), kl.Dense(3, activation="selu", use_bias=False)],
    "Conv2D": [
        kl.Conv2D(6, (3, 2), strides=(2, 1), activation="gelu"),
        kl.Conv2D(6, 3, dilation_rate=2, padding="same", use_bias=False),
        kl.Conv2D(6, 3, groups=2, strides=3, padding="same"),
    ],
    "DepthwiseConv2D": [
        kl.DepthwiseConv2D(3, depth_multiplier=2),
        kl.DepthwiseConv2D((2, 3), strides=2, padding="same", use_bias=False),
    ],
    "SeparableConv2D": [kl.SeparableConv2D(5, 3, depth_multiplier=2, padding="same", strides=2)],
    "Conv2DTranspose": [
        kl.Conv2DTranspose(3, 3, strides=2, padding="same"),
        kl.Conv2DTranspose(3, (2, 4), strides=3, use_bias=False),
    ],
    "BatchNormalization": [
        kl.BatchNormalization(),
        kl.BatchNormalization(center=False, epsilon=1e-2),
        kl.BatchNormalization(scale=False, axis=3),
    ],
    "LayerNormalization": [kl.LayerNormalization(), kl.LayerNormalization(scale=False)],
    "GroupNormalization": [kl.GroupNormalization(groups=2), kl.GroupNormalization(groups=-1)],
    "Activation": [kl.Activation(name) for name in ACTIVATIONS],
    "ReLU": [kl.ReLU(), kl.ReLU(max_value=6, negative_slope=0.1, threshold=0.2)],
    "LeakyReLU": [kl.LeakyReLU(negative_slope=0.25)],
    "ELU": [kl.ELU(alpha=0.7)],
    "PReLU": [kl.PReLU(), kl.PReLU(shared_axes=[1, 2])],
    "Softmax": [kl.Softmax()],
    "MaxPooling2D": [kl.MaxPooling2D(2), kl.MaxPooling2D((3, 2), strides=1, padding="same")],
    "AveragePooling2D": [kl.AveragePooling2D(3, strides=2, padding="same"), kl.AveragePooling2D(2)],
    "GlobalMaxPooling2D": [kl.GlobalMaxPooling2D(), kl.GlobalMaxPooling2D(keepdims=True)],
    "GlobalAveragePooling2D": [kl.GlobalAveragePooling2D(keepdims=True)],
    "GlobalAveragePooling1D": [
        keras.Sequential([kl.Reshape((99, 4)), kl.GlobalAveragePooling1D()], name="rows")
    ],
    "ZeroPadding2D": [kl.ZeroPadding2D(((0, 1), (2, 3))), kl.ZeroPadding2D(1)],
    "Cropping2D": [kl.Cropping2D(((0, 1), (2, 3)))],
    "UpSampling2D": [kl.UpSampling2D((2, 3)), kl.UpSampling2D(2, interpolation="bilinear")],
    "Flatten": [kl.Flatten()],
    "Reshape": [kl.Reshape((11, -1, 2)), kl.Reshape((396,))],
    "Add": [two(kl.Add())],
    "Multiply": [two(kl.Multiply())],
    "Average": [two(kl.Average())],
    "Maximum": [two(kl.Maximum())],
    "Minimum": [two(kl.Minimum())],
    "Subtract": [two(kl.Subtract())],
    "Concatenate": [two(kl.Concatenate()), two(kl.Concatenate(axis=2))],
    "Rescaling": [kl.Rescaling(0.5, 0.1), kl.Rescaling([1.0, 2.0, 3.0, 4.0], offset=[0, 0, 1, 2])],
    "Normalization": [
        kl.Normalization(mean=[0.1, 0.2, 0.3, 0.4], variance=[1.0, 4.0, 9.0, 0.0]),
        kl.Normalization(axis=None, mean=0.5, variance=2.0),
    ],
    "Resizing": [kl.Resizing(5, 7), kl.Resizing(20, 4, interpolation="nearest")],
}


def test_every_layer_of_the_table_is_tried():
    assert set(CASES) == set(LAYERS)


@pytest.mark.parametrize("name", CASES)
def test_a_layer_is_what_keras_makes_of_it(name, tmp_path):
    keras.utils.set_random_seed(0)
    inputs = keras.Input(SHAPE)
    # Something that learns below, so that there is something to import.
    first = kl.Conv2D(4, 1, name="first")(inputs)
    made = [kl.Flatten()(case(first)) for case in CASES[name]]
    joined = kl.Concatenate(name="joined")(made) if len(made) > 1 else made[0]
    model = shaken(keras.Model(inputs, kl.Activation("tanh", name="last")(joined)))
    model.save(tmp_path / "model.keras")
    made = import_model(str(tmp_path / "model.keras"), cut="-1", value_range=(0, 255))
    count = sum(math.prod(shape) for shape in expected_shapes(made.encoder).values())
    assert count == model.count_params()
    x = np.random.default_rng(1).uniform(-1, 2, (3, *SHAPE)).astype(np.float32)
    expected = np.asarray(model(x, training=False))
    assert np.allclose(features(made, x), expected, rtol=1e-5, atol=1e-5)


def test_arithmetic_on_tensors_becomes_layers(tmp_path):
    inputs = keras.Input(SHAPE)
    x = kl.Conv2D(4, 1)(inputs)
    x = 2 - (x * 3 + np.array([1.0, 2.0, 3.0, 4.0], np.float32)) / 127.5
    x = x * (x - 1) + x - x * 0.5
    model = shaken(keras.Model(inputs, kl.GlobalMaxPooling2D()(x)))
    model.save(tmp_path / "model.keras")
    made = import_model(str(tmp_path / "model.keras"), cut="-1", value_range=(0, 255))
    x = np.random.default_rng(1).uniform(-1, 2, (3, *SHAPE)).astype(np.float32)
    assert np.allclose(features(made, x), np.asarray(model(x)), atol=1e-5)


def features(made, x):
    from pretrain.encoders.encoder import Encoder
    from pretrain.weights.file import assign

    encoder = Encoder(made.encoder, seed=123)
    assign(made.tensors, encoder.variables)
    told = expected_shapes(made.encoder)
    assert list(told) == list(encoder.variables)
    assert list(told.values()) == [tuple(v.shape) for v in encoder.variables.values()]
    built = sum(weight.numpy().size for _, block in encoder.blocks for weight in block.weights)
    assert built == sum(map(math.prod, told.values()))
    return np.asarray(encoder(Preprocessing.from_json(made.preprocessing)(x), False))


def adapted():
    layer = kl.Normalization(name="norm")
    layer.adapt(np.random.default_rng(0).normal(3, 2, (50, 6)).astype(np.float32))
    return keras.Sequential([keras.Input((6,)), layer, kl.Dense(4, name="dense")])


def test_statistics_that_were_learned_are_kept(tmp_path):
    model = adapted()
    model.save(tmp_path / "table.keras")
    made = import_model(str(tmp_path / "table.keras"), cut="-1", value_range=(-4, 9))
    x = np.random.default_rng(1).normal(3, 2, (5, 6)).astype(np.float32)
    assert made.preprocessing["input_dtype"] == "float32"
    assert np.allclose(features(made, x), np.asarray(model(x)), atol=1e-5)


LAYER = {
    "name": "dense",
    "class": "Dense",
    "config": {"units": 3, "activation": "relu", "use_bias": True},
    "inputs": ["input"],
}


def config(blocks, shape=(4,)):
    return encoder_config("keras", shape, {"blocks": blocks})


def test_a_description_is_stored_as_it_was_given():
    made = config([[LAYER]])
    assert made == check_config(json.loads(json.dumps(made)))
    assert expected_shapes(made) == {"block1/dense/kernel": (4, 3), "block1/dense/bias": (3,)}


ACTIVATE = {"name": "act", "class": "Softmax", "config": {}, "inputs": ["input"]}
FLAT = {"name": "flat", "class": "Flatten", "config": {}, "inputs": ["input"]}


@pytest.mark.parametrize(
    ("blocks", "says"),
    [
        ([], "made by `pretrain import`"),
        ("Dense", "made by `pretrain import`"),
        ([[]], "each of them a list of layers"),
        ([[LAYER]] * 65, "at most 64 blocks"),
        ([[LAYER, LAYER]], "names the layer 'dense' twice"),
        ([[LAYER], [LAYER]], "names the layer 'dense' twice"),
        ([[{**LAYER, "class": "Lambda"}]], "an unknown class"),
        ([[{**LAYER, "class": "__class__"}]], "an unknown class"),
        ([[{**LAYER, "class": ["Dense"]}]], "an unknown class"),
        ([[{**LAYER, "name": "a/b"}]], "at most 64 letters"),
        ([[{**LAYER, "name": "input"}]], "and not 'input'"),
        ([[{**LAYER, "module": "os"}]], "exactly name, class, config and inputs"),
        ([[{**LAYER, "inputs": []}]], "without inputs"),
        ([[{**LAYER, "inputs": ["dense"]}]], "no earlier layers"),
        ([[LAYER], [{**ACTIVATE, "inputs": ["dense"]}]], "no earlier layers"),
        ([[{**LAYER, "config": {"units": 3}}]], "without exactly the options"),
        ([[{**LAYER, "config": {**LAYER["config"], "units": 0}}]], "'units' must be an integer"),
        ([[{**LAYER, "config": {**LAYER["config"], "activation": "evil"}}]], "must be one of"),
        ([[LAYER, ACTIVATE]], "lead nowhere, such as 'dense'"),
    ],
)
def test_a_description_that_is_none_is_refused(blocks, says):
    with pytest.raises(InputError, match=says):
        config(blocks)


@pytest.mark.parametrize(
    ("blocks", "shape", "says"),
    [
        ([[ACTIVATE]], (4,), "no weights in block1"),
        ([[LAYER], [ACTIVATE]], (4,), "no weights in block2"),
        ([[LAYER]], (8, 8, 1), r"ends in \(8, 8, 3\), and features have one axis"),
        ([[LAYER]], (8, 8), "takes images .height, width, channels. or vectors"),
        ([[{**LAYER, "inputs": ["input", "input"]}]], (4,), "needs one input"),
        (
            [[{**LAYER, "config": {**LAYER["config"], "units": 1 << 20}}]],
            (1 << 14,),
            "more than 536870912 parameters",
        ),
    ],
)
def test_a_description_that_cannot_be_built_is_refused(blocks, shape, says):
    with pytest.raises(InputError, match=says):
        expected_shapes(config(blocks, shape))


def test_names_become_ones_that_a_file_can_hold():
    assert free_name("conv 1/é", set()) == "conv_1__"
    assert free_name("input", set()) == "input.2"
    assert free_name("a", {"a", "a.2"}) == "a.3"
    assert free_name(".-", set()) == "_.-"
    assert len(free_name("x" * 500, set())) <= 64


def test_nobody_can_choose_it_for_a_pretraining(tmp_path):
    from pretraining import pretrained
    from toys import patterns

    from pretrain.config import PretrainConfig

    with pytest.raises(InputError, match="'keras' is a model that was trained elsewhere"):
        pretrained(
            patterns(),
            PretrainConfig(strategy="autoencoder", encoder="keras"),
            tmp_path / "weights.h5",
        )
    assert list(tmp_path.iterdir()) == []
