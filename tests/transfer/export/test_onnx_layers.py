"""Each layer that can be written as ONNX, run by onnxruntime and compared with Keras."""

import keras
import numpy as np
import pytest

from headstart.errors import InputError
from transfer.export.onnx import run_onnx
from transfer.export.onnx_graph import to_onnx
from transfer.export.onnx_images import IMAGE_LAYERS
from transfer.export.onnx_layers import ACTIVATIONS, LAYERS

L = keras.layers
IMAGES = (8, 7, 4)  # an odd and an even side: padding that is not the same at both ends

ON_IMAGES = [
    L.Conv2D(8, 3, strides=2, padding="same", groups=2, activation="relu"),
    L.Conv2D(8, (3, 2), dilation_rate=2, padding="same"),
    L.Conv2D(8, 3, use_bias=False),
    L.DepthwiseConv2D(3, depth_multiplier=2, padding="same", strides=2),
    L.SeparableConv2D(5, 3, padding="same"),
    L.MaxPooling2D(3, 2, "same"),
    L.AveragePooling2D(3, 2, "same"),
    L.AveragePooling2D(2),
    L.GlobalAveragePooling2D(),
    L.GlobalMaxPooling2D(keepdims=True),
    L.ZeroPadding2D(((0, 1), (2, 1))),
    L.Cropping2D(((1, 2), (0, 1))),
    L.Resizing(4, 5, antialias=True),
    L.Resizing(20, 3, antialias=True),
    L.Resizing(4, 5, interpolation="bicubic"),
    L.Resizing(20, 5, interpolation="nearest"),
    L.BatchNormalization(),
    L.BatchNormalization(axis=1, scale=False),
    L.GroupNormalization(2),
    L.GroupNormalization(-1, center=False),
    L.LayerNormalization(),
    L.LayerNormalization(axis=[2, 3]),
    L.Permute((3, 1, 2)),
    L.Reshape((-1, 4)),
    L.Flatten(),
    L.Dense(3),
    L.ReLU(1),
    L.ReLU(negative_slope=0.1),
    L.LeakyReLU(),
    L.Softmax(axis=1),
    L.Rescaling([1.0, 2.0, 3.0, 4.0], offset=-1.0),
    L.Normalization(mean=[1.0, 2.0, 3.0, 4.0], variance=[1.0, 0.0, 4.0, 0.1]),
    L.Dropout(0.5),
    L.SpatialDropout2D(0.5),
    L.GaussianNoise(0.5),
    L.GaussianDropout(0.5),
]
OF_SEVERAL = [L.Add(), L.Multiply(), L.Maximum(), L.Minimum(), L.Concatenate()]


def compare(model, tmp_path, *, atol=1e-5, x=None):
    """Give all weights values that matter, and compare the outputs for a batch and for one."""
    rng = np.random.default_rng(0)
    for weight in model.weights:
        low = 0.5 if "variance" in weight.path else -0.5
        weight.assign(rng.uniform(low, low + 1, weight.shape))
    if x is None:
        x = rng.normal(size=(5, *model.input_shape[1:])).astype(np.float32)
    expected = np.asarray(model(x, training=False))
    path = tmp_path / "model.onnx"
    path.write_bytes(to_onnx(model, {}).SerializeToString())
    got = run_onnx(path, x)
    assert got.shape == expected.shape
    assert np.abs(expected).max() > 1e-3
    assert np.allclose(got, expected, atol=atol, rtol=1e-5)


@pytest.mark.parametrize("layer", ON_IMAGES, ids=lambda layer: layer.name)
def test_a_layer_on_images(layer, tmp_path):
    inputs = keras.Input(IMAGES)
    compare(keras.Model(inputs, layer(inputs)), tmp_path)


@pytest.mark.parametrize("layer", OF_SEVERAL, ids=lambda layer: layer.name)
def test_a_layer_of_several_inputs(layer, tmp_path):
    inputs = keras.Input((6,))
    compare(keras.Model(inputs, layer([inputs, L.Dense(6)(inputs), inputs])), tmp_path)


def test_one_minus_another(tmp_path):
    inputs = keras.Input((6,))
    compare(keras.Model(inputs, L.Subtract()([L.Dense(6)(inputs), inputs])), tmp_path)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation(name, tmp_path):
    inputs = keras.Input((50,))
    x = np.random.default_rng(0).normal(0, 4, (3, 50)).astype(np.float32)
    compare(keras.Model(inputs, L.Activation(name)(inputs)), tmp_path, x=x)


def test_a_test_is_there_for_every_row():
    tried = {type(layer).__name__ for layer in [*ON_IMAGES, *OF_SEVERAL]}
    tried |= {"InputLayer", "Subtract", "Activation", "ops.RGBToGrayscale"}
    assert tried == set(LAYERS) | set(IMAGE_LAYERS)


def test_grey_images_and_models_inside_models(tmp_path):
    inner = keras.Sequential([keras.Input((8,)), L.Dense(4), keras.Sequential([L.Dense(3)])])
    inputs = keras.Input((6, 5, 3))
    grey = keras.ops.image.rgb_to_grayscale(inputs)
    flat = L.Dense(8)(L.Flatten()(grey))
    # The same layers twice: both calls count.
    compare(keras.Model(inputs, L.Add()([inner(flat), inner(L.ReLU()(flat))])), tmp_path)


def test_a_model_of_keras_applications(tmp_path):
    model = keras.applications.MobileNetV2(
        (32, 32, 3), alpha=0.35, weights=None, pooling="avg", include_top=False
    )
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if "moving" in weight.path or "gamma" in weight.path:
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    x = rng.normal(size=(4, 32, 32, 3)).astype(np.float32)
    path = tmp_path / "model.onnx"
    path.write_bytes(to_onnx(model, {}).SerializeToString())
    expected = np.asarray(model(x, training=False))
    assert np.allclose(run_onnx(path, x), expected, atol=1e-5, rtol=1e-5)


class Dense(L.Layer):
    """Has the name of a stock layer, and is none."""

    def call(self, x):
        return x + 1


def swapped(x):
    return -x


@pytest.mark.parametrize(
    ("layer", "says"),
    [
        (Dense(name="mine"), r"'mine' is a .*test_onnx_layers\.Dense, which this version cannot"),
        (L.UpSampling2D(name="up"), r"'up' is a keras\..*UpSampling2D.*--to savedmodel"),
        (L.Activation(swapped, name="act"), r"'act' cannot.*activation 'swapped' is not known"),
        (L.Resizing(4, 4, crop_to_aspect_ratio=True, name="crop"), "'crop' cannot.*aspect"),
        (L.Normalization(mean=1, variance=1, invert=True, name="n"), "'n' cannot.*invert"),
        (L.GroupNormalization(3, axis=1, name="g"), "'g' cannot.*the axis 1, which is not"),
        (L.Dense(3, dtype="mixed_bfloat16", name="half"), "'half' computes in bfloat16"),
    ],
)
def test_what_cannot_be_written_is_refused_by_name(layer, says):
    inputs = keras.Input((9, 9, 4))
    with pytest.raises(InputError, match=says):
        to_onnx(keras.Model(inputs, layer(inputs)), {})


def test_examples_of_any_size_and_resized_integers_are_refused():
    inputs = keras.Input((None, None, 3))
    with pytest.raises(InputError, match="Only the batch's size may be free"):
        to_onnx(keras.Model(inputs, L.Conv2D(2, 3, padding="same")(inputs)), {})
    inputs = keras.Input((9, 9, 3), dtype="uint8")
    resized = L.Resizing(4, 4, dtype="uint8", name="small")(inputs)
    with pytest.raises(InputError, match=r"'small' cannot.*Put a Rescaling before"):
        to_onnx(keras.Model(inputs, resized), {})
