"""Whole models: cut, flattened, divided into blocks, their values as the model expects them."""

import keras
import numpy as np
import pytest
from commands import run
from foreign import below, save, shaken, small
from keras import layers as kl

from pretrain.encoders import block_names
from pretrain.imports.source import import_model
from pretrain.preprocessing import Preprocessing
from pretrain.weights import WeightsFile
from tasks.errors import HeadstartError, InputError


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    model = small()
    return model, str(save(model, tmp_path_factory.mktemp("models") / "small.keras"))


def features(made, x):
    from pretrain.encoder import Encoder
    from pretrain.weights import assign

    encoder = Encoder(made.encoder, seed=5)
    assign(made.tensors, encoder.variables)
    return np.asarray(encoder(Preprocessing.from_json(made.preprocessing)(x), False))


def images(shape=(12, 10, 3), n=3):
    return np.random.default_rng(1).integers(0, 256, (n, *shape)).astype(np.uint8)


def averaged(maps):
    maps = np.asarray(maps)
    return maps.mean(axis=tuple(range(1, maps.ndim - 1)))


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
    assert "0 to 1 (the usual range; --value-range says another)" in said[2]
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
        ("steam", "no layer 'steam'. Did you mean 'stem'"),
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
    from pretrain.encoder import Encoder
    from pretrain.weights import assign

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
    with pytest.raises(InputError, match=r"open shape .x.x3; give --input-shape"):
        import_model(path)
    with pytest.raises(InputError, match="--input-shape is 8x8x1"):
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
    from transfers import QUICK, source, task

    from transfer.export import save_model
    from transfer.plan import TransferConfig
    from transfer.run import transfer

    data = task()
    done = transfer(data, source("convnet"), TransferConfig(recipe=QUICK, labels=12))
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


@pytest.mark.parametrize(
    ("name", "size"), [("VGG16", 32), ("DenseNet121", 32), ("MobileNetV3Small", 32)]
)
def test_values_are_scaled_as_preprocess_input_does(name, size, monkeypatch):
    """One family of each mode: caffe, torch, inside; MobileNetV2 below is of the fourth, tf."""
    module = {
        "VGG16": keras.applications.vgg16,
        "DenseNet121": keras.applications.densenet,
        "MobileNetV3Small": keras.applications.mobilenet_v3,
    }[name]
    # The lowest few layers show it; the whole models take seconds.
    low = {"VGG16": 2, "DenseNet121": 4, "MobileNetV3Small": 5}[name]
    built = {}
    original = getattr(keras.applications, name)

    def build(**options):
        whole = original(**options)
        built["model"] = shaken(keras.Model(whole.input, whole.layers[low].output))
        return built["model"]

    monkeypatch.setattr(keras.applications, name, build)
    made = import_model(
        f"keras.applications:{name}", weights="none", input_shape=(size, size, 3), cut="-1"
    )
    x = images((size, size, 3), 2)
    prepared = module.preprocess_input(x.astype(np.float32))
    expected = averaged(built["model"](prepared, training=False))
    assert np.allclose(features(made, x), expected, rtol=1e-4, atol=1e-3)


SPEC = "keras.applications:MobileNetV2:alpha=0.35"


def test_weights_of_a_file_are_matched_by_name(tmp_path, monkeypatch):
    """In the format that keras.applications downloads: names of layers decide, not their order."""
    import h5py

    model = shaken(
        keras.applications.MobileNetV2(
            include_top=False, weights=None, input_shape=(32, 32, 3), alpha=0.35
        )
    )
    path = tmp_path / "no_top.h5"

    def write(layers, skip=None):
        with h5py.File(path, "w") as file:
            file.attrs["layer_names"] = [layer.name.encode() for layer in layers]
            for layer in layers:
                group = file.create_group(layer.name)
                kept = [w for w in layer.weights if layer.name != skip]
                group.attrs["weight_names"] = [f"{layer.name}/{w.name}:0".encode() for w in kept]
                for weight in kept:
                    group[f"{layer.name}/{weight.name}:0"] = weight.numpy()

    write(list(reversed(model.layers)))
    made = import_model(SPEC, weights=str(path), input_shape=(32, 32, 3), cut="block_1_project")
    x = images((32, 32, 3), 2)
    prepared = keras.applications.mobilenet_v2.preprocess_input(x.astype(np.float32))
    expected = averaged(below(model, "block_1_project")(prepared, training=False))
    assert np.allclose(features(made, x), expected, rtol=1e-4, atol=1e-4)
    assert made.metadata["source"]["weights"] == "no_top.h5"
    write(model.layers, skip="block_3_expand")
    with pytest.raises(InputError, match="lacks the layer block_3_expand"):
        import_model(SPEC, weights=str(path), input_shape=(32, 32, 3))
    with pytest.raises(
        InputError, match=r"block_1_project has \[\(1, 1, 48, 8\)\], the model needs"
    ):
        import_model(SPEC.replace("0.35", "0.5"), weights=str(path), input_shape=(32, 32, 3))
    model.save_weights(tmp_path / "other.weights.h5")
    with pytest.raises(InputError, match=r"not a weights file of keras.applications"):
        import_model(SPEC, weights=str(tmp_path / "other.weights.h5"), input_shape=(32, 32, 3))


def test_a_download_that_fails_says_what_to_do(monkeypatch, capfd):
    from keras.src.applications import vgg16

    def fail(*_, **__):
        print("Downloading data")
        raise Exception("URL fetch failure: Name or service not known")

    monkeypatch.setattr(vgg16.file_utils, "get_file", fail)
    with pytest.raises(
        HeadstartError, match=r"could not be downloaded .URL fetch.*no_top.h5"
    ) as caught:
        import_model("keras.applications:VGG16", input_shape=(32, 32, 3))
    assert caught.value.exit_code == 1
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    ("spec", "how", "says"),
    [
        (
            "keras.applications:MobilNetV2",
            {},
            "no model 'MobilNetV2'. Did you mean .*'MobileNetV2'",
        ),
        ("keras.applications:os", {}, "no model 'os'"),
        (SPEC + ":beta=2", {}, "'beta=2' is no option"),
        (SPEC + ":alpha=x", {}, "alpha must be a number"),
        ("keras.applications:VGG16:alpha=1", {}, "only the MobileNets take alpha"),
        (SPEC, {"weights": "nowhere.h5"}, "no weights file 'nowhere.h5'"),
        (SPEC, {"weights": "none", "input_shape": (8, 8, 3)}, "cannot be built for .8, 8, 3."),
    ],
)
def test_what_is_no_application(spec, how, says, monkeypatch):
    with pytest.raises(InputError, match=says):
        import_model(spec, **how)


def test_the_command(saved, tmp_path, capfd):
    out = tmp_path / "made.h5"
    arguments = ("import", "--from", saved[1], "--cut", "flat", "--value-range=-1,1", "--out", out)
    done = run(capfd, "pretrain", *arguments)
    assert done.code == 0, done.err
    assert done.out.startswith(f"Wrote {out}: ")
    assert "expect -1 to 1 (as --value-range says)" in done.err
    read = WeightsFile.read(out)
    assert read.digest == import_model(saved[1], cut="flat", value_range=(-1, 1)).digest
    shown = run(capfd, "pretrain", "inspect", out)
    assert "strategy      imported" in shown.out
    assert "keras (9 layers in 3 blocks)" in shown.out
    again = run(capfd, "pretrain", *arguments)
    assert again.code == 2
    assert "exists already" in again.err
    forced = run(capfd, "pretrain", *arguments, "--force", "--quiet", "--json")
    assert (forced.code, forced.err) == (0, "")
    assert f'"digest": "{read.digest}"' in forced.out


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--value-range", "1,1"], "two rising numbers"),
        (["--value-range", "low"], "two rising numbers"),
        (["--input-shape", "96x96"], "HEIGHTxWIDTHxCHANNELS"),
        (["--weights", "none"], "leave its weights option out"),
        (["--cut", "nowhere"], "no layer 'nowhere'"),
    ],
)
def test_options_that_are_wrong(saved, tmp_path, capfd, options, says):
    done = run(
        capfd, "pretrain", "import", "--from", saved[1], "--out", tmp_path / "made.h5", *options
    )
    assert done.code == 2
    assert says in done.err
    assert list(tmp_path.iterdir()) == []
