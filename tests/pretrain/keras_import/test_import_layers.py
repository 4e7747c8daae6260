"""Every layer of the table computes, and weighs, what Keras says; nothing else gets in."""

import json
import math

import keras
import numpy as np
import pytest
from foreign import averaged, shaken, shapes_of
from keras import layers as kl
from keras.src.backend.common import global_state

from headstart.errors import InputError
from pretrain.encoders import check_config, encoder_config, expected_shapes
from pretrain.encoders.encoder import Encoder, Preprocessing
from pretrain.encoders.keras_graph import free_name
from pretrain.encoders.keras_graph.options import ACTIVATIONS, LAYERS
from pretrain.keras_import.source import import_model
from pretrain.weights.file import WeightsFile

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


SERIES = (12, 6)


def stacked(*layers):
    """Call layers one after another."""

    def call(x):
        for layer in layers:
            x = layer(x)
        return x

    return call


SERIES_CASES = {
    "SimpleRNN": kl.SimpleRNN(5),
    "LSTM": kl.LSTM(5, return_sequences=True, unroll=True, dropout=0.2, recurrent_dropout=0.1),
    "GRU": kl.GRU(5, go_backwards=True),
    "Bidirectional": kl.Bidirectional(
        kl.GRU(4, name="a"), backward_layer=kl.GRU(4, go_backwards=True, name="b"), merge_mode="sum"
    ),
    "TimeDistributed": kl.TimeDistributed(kl.Dense(3, activation="relu")),
    "MultiHeadAttention": lambda x: kl.MultiHeadAttention(2, 3, dropout=0.1)(
        query=x, value=kl.Dense(6)(x), key=kl.Dense(6)(x), use_causal_mask=True
    ),
    "GroupQueryAttention": lambda x: kl.GroupQueryAttention(4, 4, 2)(x, x),
    "Attention": lambda x: kl.Attention()([kl.Dense(6)(x), x]),
    "AdditiveAttention": lambda x: kl.AdditiveAttention()([kl.Dense(6)(x), x]),
    "Conv1D": kl.Conv1D(5, 3, padding="causal", activation="relu"),
    "SeparableConv1D": kl.SeparableConv1D(5, 3),
    "DepthwiseConv1D": kl.DepthwiseConv1D(3),
    "Conv1DTranspose": kl.Conv1DTranspose(5, 3, strides=2),
    "EinsumDense": kl.EinsumDense("abc,cd->abd", output_shape=(12, 7), bias_axes="d"),
    "Permute": stacked(kl.Permute((2, 1)), kl.Dense(3)),
    "RepeatVector": stacked(kl.GlobalMaxPooling1D(), kl.RepeatVector(4), kl.LSTM(3)),
    "UnitNormalization": stacked(kl.Dense(3), kl.UnitNormalization()),
    "RMSNormalization": stacked(kl.Dense(3), kl.RMSNormalization()),
    "Dot": lambda x: kl.Dense(3)(kl.Dot(axes=(2, 2))([x, kl.Dense(6)(x)])),
    "MaxPooling1D": stacked(kl.Dense(3), kl.MaxPooling1D(2)),
    "AveragePooling1D": stacked(kl.Dense(3), kl.AveragePooling1D(2)),
    "GlobalMaxPooling1D": stacked(kl.Dense(3), kl.GlobalMaxPooling1D()),
    "ZeroPadding1D": stacked(kl.ZeroPadding1D(2), kl.Dense(3)),
    "Cropping1D": stacked(kl.Cropping1D(1), kl.Dense(3)),
    "UpSampling1D": stacked(kl.UpSampling1D(2), kl.Dense(3)),
    "Embedding": stacked(kl.Flatten(), kl.Embedding(256, 4)),
    "ConvLSTM1D": stacked(kl.Reshape((3, 4, 6)), kl.ConvLSTM1D(3, 3)),
    "ConvLSTM2D": stacked(kl.Reshape((3, 4, 3, 2)), kl.ConvLSTM2D(3, 3)),
    "ConvLSTM3D": stacked(kl.Reshape((2, 3, 3, 2, 2)), kl.ConvLSTM3D(3, 2)),
    "Conv3D": stacked(kl.Reshape((6, 3, 2, 2)), kl.Conv3D(3, 2)),
    "Conv3DTranspose": stacked(kl.Reshape((6, 3, 2, 2)), kl.Conv3DTranspose(3, 2)),
    **{
        name: stacked(kl.Reshape((6, 3, 2, 2)), kl.Dense(3), getattr(kl, name)(size))
        for name, size in (
            *(("MaxPooling3D", 2), ("AveragePooling3D", 2), ("UpSampling3D", 2)),
            *(("ZeroPadding3D", 1), ("Cropping3D", ((1, 0), (0, 1), (0, 0)))),
        )
    },
    "GlobalMaxPooling3D": stacked(kl.Reshape((6, 3, 2, 2)), kl.Dense(3), kl.GlobalMaxPooling3D()),
    "GlobalAveragePooling3D": stacked(
        kl.Reshape((6, 3, 2, 2)), kl.Dense(3), kl.GlobalAveragePooling3D()
    ),
    "CenterCrop": stacked(kl.Reshape((6, 6, 2)), kl.CenterCrop(4, 5), kl.Dense(3)),
}


def test_every_layer_of_the_table_is_tried():
    assert set(CASES) | set(SERIES_CASES) == set(LAYERS)


@pytest.mark.parametrize("name", SERIES_CASES)
def test_a_layer_of_series_or_volumes_is_what_keras_makes_of_it(name, tmp_path):
    keras.utils.set_random_seed(0)
    inputs = keras.Input(SERIES)
    model = shaken(keras.Model(inputs, SERIES_CASES[name](inputs)))
    model.save(tmp_path / "model.keras")
    made = import_model(str(tmp_path / "model.keras"), cut="-1", value_range=(0, 255))
    again = WeightsFile.read(made.write(tmp_path / "made.h5") and tmp_path / "made.h5")
    assert again.encoder == made.encoder
    x = np.random.default_rng(1).uniform(0, 9, (3, *SERIES, 1)).astype(np.float32)
    expected = averaged(model(x[..., 0], training=False))
    assert np.allclose(features(again, x), expected, rtol=1e-5, atol=1e-5)


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
    from pretrain.weights.file import assign

    encoder = Encoder(made.encoder, seed=123)
    assign(made.tensors, encoder.variables)
    told = expected_shapes(made.encoder)
    assert list(told) == list(encoder.variables)
    assert list(told.values()) == [tuple(v.shape) for v in encoder.variables.values()]
    built = sum(weight.numpy().size for _, block in encoder.blocks for weight in block.weights)
    assert built == sum(map(math.prod, told.values()))
    return np.asarray(encoder(Preprocessing.from_json(made.preprocessing)(x), False))


def test_layers_of_the_applications_own_classes_become_stock_layers(tmp_path):
    """ConvNeXt's factor a channel and Inception-ResNet's scaled sum, from a file."""
    from keras.src.applications.convnext import LayerScale
    from keras.src.applications.inception_resnet_v2 import CustomScaleLayer

    inputs = keras.Input(SHAPE)
    x = kl.Conv2D(5, 1)(inputs)
    x = CustomScaleLayer(0.17)([x, LayerScale(1e-6, 5)(x)])
    model = shaken(keras.Model(inputs, kl.Flatten()(x)))
    model.save(tmp_path / "model.keras")
    made = import_model(str(tmp_path / "model.keras"), cut="-1", value_range=(0, 255))
    classes = {one["class"] for block in made.encoder["options"]["blocks"] for one in block}
    assert classes == {"Conv2D", "DepthwiseConv2D", "Rescaling", "Add", "Flatten"}
    x = np.random.default_rng(1).uniform(-1, 2, (3, *SHAPE)).astype(np.float32)
    assert np.allclose(features(made, x), np.asarray(model(x)), rtol=1e-5, atol=1e-5)


def test_values_that_a_model_cannot_take_are_refused(tmp_path):
    model = keras.Sequential([keras.Input((7,)), kl.Embedding(10, 4), kl.Flatten(), kl.Dense(2)])
    model.save(tmp_path / "model.keras")
    with pytest.raises(InputError, match=r"cannot be computed on values of 0 to 99 .*value_range"):
        import_model(str(tmp_path / "model.keras"), value_range=(0, 99))
    assert import_model(str(tmp_path / "model.keras"), value_range=(0, 9)).digest


def test_a_layer_along_another_axis_is_refused(tmp_path):
    model = keras.Sequential(
        [keras.Input(SHAPE), kl.BatchNormalization(axis=1), kl.Flatten(), kl.Dense(2)]
    )
    model.save(tmp_path / "model.keras")
    with pytest.raises(InputError, match="works along another axis than the last"):
        import_model(str(tmp_path / "model.keras"))


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


def config(blocks, shape=(4,), shapes=()):
    return encoder_config("keras", shape, {"blocks": blocks, "shapes": list(shapes)})


def test_a_description_is_stored_as_it_was_given():
    made = config([[LAYER]], shapes=shapes_of((4,), [[LAYER]]))
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
        ([[{**LAYER, "config": {"units": 3, "dtype": "float32"}}]], "that are never stored"),
        ([[{**LAYER, "config": ["units"]}]], "has no options that Keras writes"),
        ([[{**LAYER, "config": {"units": 1 << 40}}]], "must be a number of at most"),
        ([[{**LAYER, "inputs": ["input", "input"]}]], "needs one input"),
        ([[{**LAYER, "class": "Add"}]], "needs two inputs or more"),
        ([[{**LAYER, "call": {"training": True}}]], "called in an unknown way"),
        ([[{**LAYER, "config": {**LAYER["config"], "activation": "evil"}}]], "must be one of"),
        ([[LAYER, ACTIVATE]], "lead nowhere, such as 'dense'"),
    ],
)
def test_a_description_that_is_none_is_refused(blocks, says):
    with pytest.raises(InputError, match=says):
        config(blocks)


DENSE = [["block1/dense/kernel", [4, 3]], ["block1/dense/bias", [3]]]


@pytest.mark.parametrize(
    ("blocks", "shape", "shapes", "says"),
    [
        ([[ACTIVATE]], (4,), [], "no weights in block1"),
        ([[LAYER], [ACTIVATE]], (4,), DENSE, "no weights in block2"),
        ([[LAYER]], (8, 8), DENSE, "takes images .height, width, channels. or vectors"),
        ([[LAYER]], (4,), [["block1/other/kernel", [4, 3]]], "no layer for the tensor"),
        ([[LAYER]], (4,), [["block1/dense/../x", [4, 3]]], "no layer for the tensor"),
        ([[LAYER]], (4,), [DENSE[0], DENSE[0]], "no layer for the tensor"),
        ([[LAYER]], (4,), [["block1/dense/kernel", [4, -3]]], "pairs of a weight's path and its"),
        ([[LAYER]], (4,), [["block1/dense/kernel"]], "pairs of a weight's path and its"),
        ([[LAYER]], (4,), [["block1/dense/kernel", [1 << 15] * 2]], "more than 536870912"),
    ],
)
def test_shapes_that_cannot_be_are_refused_without_keras(blocks, shape, shapes, says):
    with pytest.raises(InputError, match=says):
        expected_shapes(config(blocks, shape, shapes))


BOMB = {**LAYER, "config": {**LAYER["config"], "units": 1 << 24}}


def named(kind, **options):
    return {"name": "dense", "class": kind, "config": options, "inputs": ["input"]}


@pytest.mark.parametrize(
    ("layer", "shape", "says"),
    [
        (LAYER, (5,), "are not those of its layers, such as block1/dense/kernel"),
        (LAYER, (8, 8, 4), r"ends in \(8, 8, 3\), and features have one axis"),
        (BOMB, (4,), "are not those of its layers"),
        (BOMB, (1 << 14,), "above 536,870,912 parameters"),
        (named("Reshape", target_shape=[1 << 24] * 4), (4,), "cannot be"),
        (named("RepeatVector", n=1 << 24), (4,), "more than 16,777,216 values"),
        (named("ZeroPadding2D", padding=[[1 << 23] * 2] * 2), (8, 8, 1), "more than 16,777,216"),
        (named("UpSampling2D", size=[1 << 20, 1 << 20]), (8, 8, 1), "more than 16,777,216"),
        (named("Dense"), (4,), "cannot be"),
        (named("Dense", units=3, other=1), (4,), "cannot be"),
        (named("LSTM", units=3), (4,), "cannot be"),
    ],
)
def test_a_description_that_declares_other_weights_is_refused_before_they_take_memory(
    layer, shape, says, monkeypatch
):
    monkeypatch.setattr(
        "keras.src.backend.common.variables.initialize_all_variables",
        lambda: pytest.fail("weights were allocated"),
    )
    with pytest.raises(InputError, match=says):
        Encoder(config([[layer]], shape, DENSE), seed=0)


def test_a_refused_description_leaves_nothing_behind():
    """Keras would allocate forgotten weights at the end of the next scope of this kind."""
    with pytest.raises(InputError):
        Encoder(config([[BOMB]], (4,), DENSE), seed=0)
    assert not global_state.get_global_attribute("uninitialized_variables")
    encoder = Encoder(config([[LAYER]], (4,), DENSE), seed=0)
    assert float(abs(encoder.variables["block1/dense/kernel"].numpy()).min()) > 0


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

    with pytest.raises(InputError, match="is a model that was trained elsewhere"):
        pretrained(
            patterns(),
            PretrainConfig(strategy="autoencoder", encoder="keras"),
            tmp_path / "weights.h5",
        )
    assert list(tmp_path.iterdir()) == []
