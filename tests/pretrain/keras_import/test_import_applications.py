"""Models of keras.applications: their values, their weights, and what is none of them."""

import keras
import numpy as np
import pytest
from foreign import averaged, below, features, images, shaken

from headstart.errors import HeadstartError, InputError
from pretrain.keras_import.source import import_model

SPEC = "keras.applications:MobileNetV2:alpha=0.35"


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
