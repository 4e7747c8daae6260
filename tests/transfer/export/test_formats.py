"""A transfer's model in other formats: the same outputs on raw inputs, or no file at all."""

import json
import subprocess
import sys
import zipfile

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf
from keras39 import KNOWN, parts
from toys import listing
from transfers import PREPROCESSING, config_of

import transfer.export.formats
from headstart.errors import HeadstartError, InputError
from pretrain.encoders.encoder import Encoder
from transfer import cli, export_model
from transfer.data.input_adapter import InputAdapter
from transfer.export.formats import FORMATS, check_formats
from transfer.export.keras_file import ModelInfo, difference, save_model, whole_model
from transfer.export.onnx import run_onnx
from transfer.export.savedmodel import run_savedmodel
from transfer.inference import predict_batched
from transfer.targets import Classification

CASES = {
    # architecture, options, the encoder's shape, the raw shape, dtype and range, classes
    "plain": ("mlp", {}, (8, 8, 1), (8, 8, 1), "uint8", (0, 255), 3),
    "smaller and grey": ("convnet", {}, (6, 10, 1), (15, 13, 3), "uint8", (0, 255), 2),
    "larger and coloured": ("resnet", {}, (12, 9, 3), (8, 8, 1), "uint8", (0, 255), 4),
    "group norm, float": (
        "convnet",
        {"normalisation": "group", "activation": "gelu"},
        (8, 8, 3),
        (11, 8, 3),
        "float32",
        (-1, 1),
        2,
    ),
    "a table": ("mlp", {}, (5,), (5,), "float32", (0, 10), 2),
}


def make(folder, architecture, options, shape, raw, dtype, value_range, classes):
    """A model with random weights as ``transfer`` writes it, and raw examples."""
    encoder = Encoder(config_of(architecture, shape, **options), 3)
    inputs = InputAdapter.match(raw, dtype, value_range, shape, PREPROCESSING)
    head = keras.layers.Dense(1 if classes == 2 else classes, name="head")
    head.build((None, encoder.feature_size))
    rng = np.random.default_rng(0)
    for weight in [*encoder.model.weights, *head.weights]:
        if "norm" in weight.path or "bias" in weight.path:
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    x = rng.uniform(*value_range, (20, *raw)).astype(dtype)
    names = tuple(f"class {k}" for k in range(classes))
    model = whole_model(inputs.model(), encoder, head, Classification(names=names).layer())
    path = folder / "model.keras"
    save_model(
        model,
        path,
        inputs,
        {"classes": names, "target": "classes", "digest": "d", "source_digest": "s"},
        x,
    )
    return path, x, predict_batched(model, x)


@pytest.fixture(scope="module", params=CASES)
def made(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    return make(folder, *CASES[request.param])


def test_a_model_holds_nothing_that_keras_3_9_does_not_know(made):
    path, x, expected = made
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        found = list(parts(json.loads(archive.read("config.json"))))
    for kind, config in found:
        if kind in ("Functional", "__keras_tensor__"):
            continue
        unknown = set(config) - KNOWN[kind] - {"name", "trainable", "dtype"}
        assert not unknown, f"{kind}: {unknown}"
        assert isinstance(config.get("dtype", ""), str)
    again = keras.models.load_model(path)
    assert np.allclose(np.asarray(again(x)), expected, rtol=0, atol=1e-6)


def test_both_formats_give_the_models_outputs_on_raw_inputs(made):
    path, x, expected = made
    rows = export_model(path, ["onnx", "savedmodel"], examples=x, force=True)
    assert [row["format"] for row in rows] == ["onnx", "savedmodel"]
    assert all(row["difference"] <= 1e-5 for row in rows)
    assert all(row["examples"] == {"n": 20, "kind": "given"} for row in rows)
    names = {part.name for part in path.parent.iterdir()}
    assert names == {"model.keras", "model.onnx", "model-savedmodel"}

    # In batches of another size than those that were tried when they were written.
    for count in (2, 20):
        assert np.allclose(
            run_onnx(path.with_suffix(".onnx"), x[:count]), expected[:count], atol=1e-5
        )
        got = run_savedmodel(path.parent / "model-savedmodel", x[:count])
        assert np.allclose(got, expected[:count], atol=1e-5)
    loaded = tf.saved_model.load(str(path.parent / "model-savedmodel"))
    assert np.allclose(loaded.serve(x), expected, atol=1e-5)

    proto = onnx.load(path.with_suffix(".onnx"))
    (given,) = proto.graph.input
    assert given.type.tensor_type.shape.dim[0].dim_param == "N"
    kept = {entry.key: entry.value for entry in proto.metadata_props}
    about = ModelInfo.read(path).to_json()
    assert json.loads(kept["headstart"]) == about
    extra = path.parent / "model-savedmodel" / "assets.extra" / "headstart.json"
    assert json.loads(extra.read_text()) == about


@pytest.fixture
def plain(tmp_path):
    return make(tmp_path, *CASES["plain"])[0]


def test_the_same_model_gives_the_same_onnx_file(plain):
    (row,) = export_model(str(plain), ["onnx", "onnx"])
    assert row["examples"] == {"n": 64, "kind": "random"}
    first = plain.with_suffix(".onnx").read_bytes()
    export_model(plain, ["onnx"], force=True)
    assert plain.with_suffix(".onnx").read_bytes() == first


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_there_is_not_replaced_unasked_nor_by_what_is_wrong(plain, name, monkeypatch):
    export_model(plain, [name])
    before = listing(plain.parent)
    with pytest.raises(InputError, match="exists already"):
        export_model(plain, [name])

    # What is written predicts something else than what was expected of it.
    right = predict_batched
    monkeypatch.setattr(
        "transfer.export.formats.predict_batched", lambda model, x: right(model, x) + 2e-5
    )
    with pytest.raises(HeadstartError, match=r"predicts differently.*was not written"):
        export_model(plain, [name], force=True)
    assert listing(plain.parent) == before


def test_someones_own_folder_is_never_replaced(plain):
    folder = plain.parent / "model-savedmodel"
    folder.mkdir()
    (folder / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="holds something else"):
        export_model(plain, ["savedmodel"], force=True)
    assert (folder / "thesis.txt").read_text() == "mine"


def test_the_command_offers_every_format():
    assert tuple(FORMATS) == cli.FORMATS


def test_a_missing_package_and_an_unknown_format_are_named(plain, monkeypatch):
    monkeypatch.setattr(transfer.export.formats, "find_spec", lambda name: None)
    with pytest.raises(
        InputError, match=r"ONNX takes tf2onnx, onnx, onnxruntime.*headstart\[onnx\]"
    ):
        check_formats(plain, ["onnx"], force=False)
    assert check_formats(plain, ["savedmodel"], force=False) == ["savedmodel"]
    with pytest.raises(InputError, match=r"no format 'onx'. Did you mean 'onnx'"):
        check_formats(plain, ["onx"], force=False)
    with pytest.raises(InputError, match="There is no model file"):
        export_model(plain.parent / "none.keras", ["onnx"])
    (plain.parent / "odd.keras").write_bytes(plain.read_bytes()[:-9])
    with pytest.raises(InputError, match="not a readable"):
        export_model(plain.parent / "odd.keras", ["onnx"])


def test_differences_are_measured_in_proportion_and_shapes_count(tmp_path):
    one = np.array([[1000.0, 0.1], [0.0, 0.2]])
    off = one + np.array([[0.005, 0], [0, 0]])
    assert difference(one, off, tmp_path) == pytest.approx(5e-3)
    # Where all are large, it is their spread that counts.
    far = np.array([[1e4, 0], [11e3, 0]])
    with pytest.raises(HeadstartError, match="predicts differently"):
        difference(one + far, one + far + 0.1, tmp_path)
    for other in (one + np.array([[0, 5e-5], [0, 0]]), one[:, :1], one * np.nan):
        with pytest.raises(HeadstartError, match="predicts differently"):
            difference(one, other, tmp_path)


def test_an_onnx_file_has_a_greatest_size(plain, monkeypatch):
    monkeypatch.setattr("transfer.export.onnx.MAX_BYTES", 1000)
    with pytest.raises(InputError, match="less than 2 GiB"):
        export_model(plain, ["onnx"])
    assert not plain.with_suffix(".onnx").exists()


def test_the_table_and_the_card_import_nothing_heavy():
    code = (
        "import sys, transfer.report.artifacts, transfer.export.formats\n"
        "heavy = {'tensorflow', 'keras', 'sklearn', 'tf2onnx', 'onnx', 'onnxruntime'}\n"
        "heavy |= {'matplotlib', 'jinja2'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
