"""Keras layers converted to ONNX, run by onnxruntime and compared with Keras."""

import hashlib
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest

from headstart.errors import InputError
from transfer.export.onnx import run_onnx, to_onnx
from transfer.heads import HEADS
from transfer.heads.knn import closeness

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
    L.Resizing(4, 5, interpolation="lanczos3", antialias=True),
    L.Resizing(4, 5, crop_to_aspect_ratio=True),
    L.UpSampling2D(2),
    L.UpSampling2D((2, 3), interpolation="bilinear"),
    L.UpSampling2D(2, interpolation="lanczos5"),
    L.Conv2DTranspose(5, 3, strides=2, padding="same", activation="relu"),
    L.GlobalAveragePooling2D(keepdims=True),
    L.BatchNormalization(),
    L.BatchNormalization(axis=1, scale=False),
    L.GroupNormalization(2),
    L.GroupNormalization(-1, center=False),
    L.LayerNormalization(),
    L.LayerNormalization(axis=[2, 3]),
    L.LayerNormalization(axis=1),
    L.GroupNormalization(4, axis=1),
    L.RMSNormalization(),
    L.Permute((3, 1, 2)),
    L.Reshape((-1, 4)),
    L.Flatten(),
    L.Dense(3),
    L.ReLU(1),
    L.ReLU(negative_slope=0.1),
    L.ReLU(2, threshold=0.5),
    L.LeakyReLU(),
    L.ELU(0.7),
    L.PReLU(shared_axes=[1, 2]),
    L.Softmax(axis=1),
    L.Softmax(axis=[1, 2]),
    L.Rescaling([1.0, 2.0, 3.0, 4.0], offset=-1.0),
    L.Normalization(mean=[1.0, 2.0, 3.0, 4.0], variance=[1.0, 0.0, 4.0, 0.1]),
    L.Normalization(mean=1.0, variance=4.0, invert=True),
    L.Dropout(0.5),
    L.SpatialDropout2D(0.5),
    L.GaussianNoise(0.5),
    L.GaussianDropout(0.5),
]
ON_ROWS = [
    L.GlobalAveragePooling1D(),
    L.Conv1D(3, 3, padding="causal", dilation_rate=2),
    L.LSTM(3),
    L.MultiHeadAttention(2, 3),
]
OF_SEVERAL = [L.Add(), L.Multiply(), L.Average(), L.Maximum(), L.Minimum(), L.Concatenate()]
ACTIVATIONS = [
    *(
        "linear",
        "relu",
        "relu6",
        "leaky_relu",
        "elu",
        "selu",
        "celu",
        "gelu",
        "silu",
        "mish",
        "tanh",
    ),
    *("hard_tanh", "sigmoid", "hard_sigmoid", "log_sigmoid", "hard_silu", "softplus", "softsign"),
    *("squareplus", "exponential", "softmax", "log_softmax", "glu", "soft_shrink"),
]


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


@pytest.mark.parametrize("layer", ON_ROWS, ids=lambda layer: layer.name)
def test_a_layer_on_rows(layer, tmp_path):
    inputs = keras.Input((9, 4))
    attention = isinstance(layer, L.MultiHeadAttention)
    outputs = layer(inputs, inputs) if attention else layer(inputs)
    compare(keras.Model(inputs, outputs), tmp_path)


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


def test_layers_and_activations_of_someones_own(tmp_path):
    inputs = keras.Input((6,))
    compare(keras.Model(inputs, L.Activation(swapped)(Dense()(inputs))), tmp_path)


@pytest.mark.parametrize("k", [1, 5])
def test_nearest_neighbours(k, tmp_path):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(30, 7)).astype(np.float32)
    answers = rng.uniform(size=(30, 3))
    # Two examples in one place: the first of them counts, here as in Keras.
    features[20] = features[10]
    head = HEADS["knn"].build(7, 3, count=30, k=k)
    head.set_weights([*closeness(features), answers])
    path = tmp_path / "model.onnx"
    path.write_bytes(to_onnx(head, {}).SerializeToString())
    x = np.concatenate([features, rng.normal(size=(70, 7)).astype(np.float32)])
    expected = head(x).numpy()
    assert np.allclose(run_onnx(path, x), expected, atol=1e-6)
    assert k > 1 or np.allclose(expected[20], answers[10], atol=1e-6)


def test_images_of_any_size(tmp_path):
    inputs = keras.Input((None, None, 3))
    x = np.random.default_rng(0).normal(size=(4, 9, 6, 3)).astype(np.float32)
    compare(keras.Model(inputs, L.Conv2D(2, 3, padding="same")(inputs)), tmp_path, x=x)


def recurrent(inputs):
    return L.GRU(3)(L.Reshape((81, 4))(inputs))


@pytest.mark.parametrize(
    ("layer", "dtype", "says"),
    [
        (recurrent, "float32", r"gru.* is a loop or a branch.*format savedmodel"),
        (L.Resizing(4, 4, pad_to_aspect_ratio=True, name="pad"), "float32", "pad.* is a loop or a"),
        (L.Resizing(4, 4, dtype="uint8"), "uint8", r"unsupported type: tensor\(uint8\)"),
        (L.Dense(3, dtype="mixed_bfloat16"), "float32", r"inconsistent type tensor\(bfloat16\)"),
        (keras.ops.erfinv, "float32", r"Tensorflow op .*Erfinv\] is not supported.*savedmodel"),
    ],
)
def test_what_cannot_be_written_is_refused(layer, dtype, says):
    inputs = keras.Input((9, 9, 4), dtype=dtype)
    with pytest.raises(InputError, match=says) as caught:
        to_onnx(keras.Model(inputs, layer(inputs)), {})
    assert "\n" not in str(caught.value)


def small():
    """A model of which one part or another upset the converter's order, its names or its silence."""
    inputs = keras.Input((6, 6, 3), name="raw")
    hidden = L.Resizing(8, 4, antialias=True)(inputs)
    hidden = L.Conv2D(4, 3, kernel_initializer="ones", activation="gelu")(hidden)
    hidden = L.GlobalAveragePooling2D()(L.GroupNormalization(2)(hidden))
    outputs = L.Dense(2, kernel_initializer="ones", activation="gelu")(hidden)
    return keras.Model(inputs, outputs, name="model")


ALONE = """
import hashlib, logging, os, random, sys, warnings
from pretrain.engine.runtime import start

start()
sys.path.insert(0, sys.argv[1])
import numpy as np
from test_onnx import small, to_onnx

def state():
    logger = logging.getLogger("tf2onnx")
    return dict(os.environ), logger.handlers, logger.propagate, logger.level, random.getstate(), \
        logging.root.handlers, str(np.random.get_state()), np.geterr(), len(warnings.filters)

warnings.simplefilter("error")
before = state()
contents = [to_onnx(small(), {}).SerializeToString(deterministic=True) for _ in range(2)]
assert state() == before
assert "object" not in vars(np)
assert contents[0] == contents[1]
for part in (b"__inference", b"/home", b"/root", b"/tmp", b"/usr", os.getcwd().encode()):
    assert part not in contents[0], part
print(hashlib.sha256(contents[0]).hexdigest())
"""


def test_the_same_bytes_in_silence_and_nothing_is_left_behind(monkeypatch):
    monkeypatch.setenv("PYTHONHASHSEED", "1")
    command = [sys.executable, "-c", ALONE, str(Path(__file__).parent)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    here = to_onnx(small(), {}).SerializeToString(deterministic=True)
    assert done.stdout.strip() == hashlib.sha256(here).hexdigest()


def test_inputs_outputs_and_operators_are_named():
    inputs = keras.Input((6, 6, 3), dtype="uint8", name="raw")
    hidden = L.Flatten()(L.Rescaling(1 / 255)(inputs))
    made = to_onnx(keras.Model(inputs, L.Dense(2)(hidden), name="net"), {"key": "text"})
    (source,), (target,) = made.graph.input, made.graph.output
    assert (source.name, target.name, made.graph.name) == ("raw", "probabilities", "net")
    assert source.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    sizes = [d.dim_param or d.dim_value for d in source.type.tensor_type.shape.dim]
    assert sizes == ["N", 6, 6, 3]
    assert [(entry.domain, entry.version) for entry in made.opset_import] == [("", 18)]
    assert made.ir_version == 8
    assert [(entry.key, entry.value) for entry in made.metadata_props] == [("key", "text")]
