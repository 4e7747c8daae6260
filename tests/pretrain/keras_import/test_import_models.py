"""Whole models: cut, flattened, divided into blocks, their values as the model expects them."""

import keras
import numpy as np
import pytest
from foreign import averaged, below, features, images, save, shaken, small
from keras import layers as kl

from headstart.errors import InputError, worded
from pretrain.encoders import block_names
from pretrain.keras_import.source import import_model


def test_the_classification_is_dropped_and_the_rest_computes_the_same(saved):
    model, path = saved
    said = []
    made = import_model(path, say=said.append)
    x = images()
    expected = np.asarray(below(model, "hidden")(x / np.float32(255), training=False))
    assert np.allclose(features(made, x), expected, atol=1e-5)
    assert (
        said[0] == "Imported small.keras up to the layer hidden; dropped above it: classes, chances"
    )
    assert "do nothing outside training: drop" in said[1]
    assert "0 to 1 (the usual range; value_range says another)" in worded(said[2])
    assert (
        "4, lowest first: stem to stem_relu; depth to pool; top to flat; hidden to hidden"
        in said[3]
    )
    source = made.metadata["source"]
    assert source["name"] == "small.keras"
    assert len(source["sha256"]) == 64
    assert (source["cut"], source["dropped"]) == ("hidden", ["classes", "chances"])
    assert made.metadata["strategy"] == "imported"
    assert made.fingerprints is None


@pytest.mark.parametrize(
    ("cut", "layer"),
    [
        ("sum", "sum"),
        ("drop", "sum"),
        ("stem_relu", "stem_relu"),
        ("1", "stem"),
        ("3", "stem_relu"),
        ("-1", "chances"),
        ("-2", "classes"),
        ("-3", "hidden"),
        ("pool", "pool"),
    ],
)
def test_a_cut_keeps_what_keras_keeps(saved, cut, layer):
    model, path = saved
    made = import_model(path, cut=cut, value_range=(-1, 1))
    x = images()
    expected = below(model, layer)(x / np.float32(127.5) - 1, training=False)
    assert np.allclose(features(made, x), averaged(expected), atol=1e-5)
    assert made.metadata["source"]["cut"] == layer


@pytest.mark.parametrize(
    ("cut", "says"),
    [
        ("steam", "must be a layer of the model. Did you mean 'stem'"),
        ("0", "1 to 12 counted from the input, or -1 to -12"),
        ("13", "1 to 12"),
        ("-13", "1 to 12"),
    ],
)
def test_a_cut_that_is_nowhere(saved, cut, says):
    with pytest.raises(InputError, match=says):
        import_model(saved[1], cut=cut)


def test_the_lowest_blocks_are_the_models_lowest_layers(saved):
    """Each block's output is the tensor that everything above is computed from."""
    from pretrain.encoders.encoder import Encoder
    from pretrain.weights.file import assign

    model, path = saved
    made = import_model(path)
    assert block_names(made.encoder) == ["block1", "block2", "block3", "block4"]
    encoder = Encoder(made.encoder, seed=0)
    assign(made.tensors, encoder.variables)
    x = hidden = images() / np.float32(255)
    for (_, block), layer in zip(
        encoder.blocks, ("stem_relu", "pool", "flat", "hidden"), strict=True
    ):
        hidden = block(hidden, training=False)
        assert np.allclose(hidden, below(model, layer)(x, training=False), atol=1e-5)


def test_a_model_inside_a_model_is_flattened(tmp_path):
    """The usual way to build on another model; a layer's name may stand in both."""
    base = below(small(), "sum")
    inputs = keras.Input((12, 10, 3), name="image")
    x = kl.RandomFlip("horizontal")(inputs)
    x = kl.Rescaling(1 / 127.5, offset=-1.0)(x)
    backbone = keras.Model(base.input, base.output, name="backbone")
    x = backbone(x, training=False)
    x = kl.Conv2D(4, 1, name="stem")(x)
    x = keras.Sequential([kl.GlobalAveragePooling2D(), kl.Dropout(0.2), kl.Dense(3)], name="top")(x)
    model = keras.Model(inputs, x)
    random = np.random.default_rng(0)
    model.layers[-1].set_weights([random.normal(size=w.shape) for w in model.layers[-1].weights])
    path = str(save(model, tmp_path / "nested.keras"))
    x = images()
    for cut, part in (("-1", model), ("backbone", lambda x, **_: backbone(x / 127.5 - 1))):
        said = []
        made = import_model(path, cut=cut, say=said.append)
        expected = part(x.astype(np.float32), training=False)
        assert np.allclose(features(made, x), averaged(expected), rtol=1e-4, atol=1e-4)
        assert "0 to 255 (it begins with Rescaling or Normalization)" in " ".join(said)
    whole = import_model(path, cut="-1")
    layers = [one["name"] for block in whole.encoder["options"]["blocks"] for one in block]
    assert {"stem", "stem.2"} <= set(layers)


def test_a_sequential_model_of_grey_images_without_a_channel(tmp_path):
    model = shaken(
        keras.Sequential(
            [keras.Input((6, 5)), kl.Flatten(), kl.Dense(4, activation="relu"), kl.Dense(2)]
        )
    )
    made = import_model(str(save(model, tmp_path / "flat.keras")))
    x = images((6, 5, 1))
    assert made.encoder["input_shape"] == [6, 5, 1]
    expected = keras.Sequential(model.layers[:-1])(x[..., 0] / np.float32(255))
    assert np.allclose(features(made, x), expected, atol=1e-5)


def test_a_sequential_model_that_was_built_by_its_first_batch(tmp_path):
    model = keras.Sequential([kl.Dense(4, activation="relu"), kl.Dense(2)])
    model(np.ones((1, 3), np.float32))
    made = import_model(str(save(model, tmp_path / "table.keras")), value_range=(-2, 2))
    assert made.preprocessing["value_range"] == [-2.0, 2.0]
    x = np.random.default_rng(0).uniform(-2, 2, (3, 3)).astype(np.float32)
    assert np.allclose(features(made, x), model.layers[0](x), atol=1e-5)


def test_open_sizes_need_an_input_shape(tmp_path):
    inputs = keras.Input((None, None, 3))
    x = kl.GlobalAveragePooling2D()(kl.Conv2D(4, 3)(inputs))
    path = str(save(keras.Model(inputs, kl.Dense(2)(x)), tmp_path / "open.keras"))
    with pytest.raises(InputError, match=r"open shape .x.x3; give input_shape"):
        import_model(path)
    with pytest.raises(InputError, match="input_shape is 8x8x1"):
        import_model(path, input_shape=(8, 8, 1))
    assert import_model(path, input_shape=(9, 7, 3)).encoder["input_shape"] == [9, 7, 3]


def test_several_outputs_need_a_cut(tmp_path):
    inputs = keras.Input((4,))
    x = kl.Dense(3, name="body")(inputs)
    model = keras.Model(inputs, [kl.Dense(2, name="a")(x), kl.Dense(2, name="b")(x)])
    path = str(save(model, tmp_path / "two.keras"))
    with pytest.raises(InputError, match=r"2 outputs .a, b., so nobody knows"):
        import_model(path)
    assert import_model(path, cut="body").metadata["source"]["cut"] == "body"


def test_several_inputs_are_refused(tmp_path):
    left, right = keras.Input((4,)), keras.Input((4,))
    model = keras.Model([left, right], kl.Dense(2)(kl.Add()([left, right])))
    with pytest.raises(InputError, match="has 2 inputs, and an encoder has one"):
        import_model(str(save(model, tmp_path / "two.keras")))


def test_a_model_without_weights_below_the_cut(saved, tmp_path):
    model = keras.Sequential([keras.Input((4, 4, 1)), kl.Flatten(), kl.Dense(2)])
    with pytest.raises(InputError, match=r"up to 'flatten.*' have no weights"):
        import_model(str(save(model, tmp_path / "bare.keras")))


def test_a_headstart_model_can_be_imported_again(tmp_path):
    from transfers import QUICK, source, task, transferred

    from transfer.config import TransferConfig
    from transfer.export.keras_file import save_model

    data = task()
    done = transferred(data, source("convnet"), TransferConfig(recipe=QUICK, labels=12))
    path = tmp_path / "ours.keras"
    save_model(done.model, path, done.inputs, done.result, data.x_test)
    made = import_model(str(path), cut="-1")
    x = data.x_test
    assert np.allclose(features(made, x), np.asarray(done.model(x)), atol=1e-5)


def names(*learning, other=()):
    inputs = keras.Input((4, 4, 2))
    x = inputs
    for name in learning:
        x = kl.Conv2D(2, 1, name=name)(x)
        for kind in other:
            x = kind()(x)
    return keras.Model(inputs, kl.GlobalMaxPooling2D()(x))


@pytest.mark.parametrize(
    ("learning", "count"),
    [
        ([f"conv{i}" for i in range(20)], 20),
        ([f"stage_{i}_conv{j}" for i in range(8) for j in range(3)], 8),
        ([f"conv{i}_block{j}_{k}_conv" for i in range(3) for j in range(4) for k in range(2)], 12),
        ([f"conv2d_{i}" for i in range(30)], 20),
    ],
)
def test_many_blocks_are_grouped(tmp_path, learning, count):
    made = import_model(
        str(save(names(*learning, other=[kl.ReLU]), tmp_path / "m.keras")), cut="-1"
    )
    assert len(block_names(made.encoder)) == count
    layers = [one for block in made.encoder["options"]["blocks"] for one in block]
    assert [one["name"] for one in layers if one["class"] == "Conv2D"] == learning
