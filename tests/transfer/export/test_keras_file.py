import io
import json
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest
from transfers import QUICK, source, task, transferred

from headstart.errors import HeadstartError, InputError
from transfer.config import TransferConfig
from transfer.export.keras_file import MEMBER, ModelInfo, save_model


@pytest.fixture(scope="module", params=[2, 3], ids=["sigmoid", "softmax"])
def saved(request, tmp_path_factory):
    """A task, what was trained on it, and the file."""
    on = task(classes=request.param)
    given = source("convnet" if request.param == 2 else "mlp", shape=(10, 6, 3))
    done = transferred(on, given, TransferConfig(recipe=QUICK, labels=40))
    path = tmp_path_factory.mktemp("saved") / "model.keras"
    save_model(done.model, path, done.inputs, done.result, on.x_test[:8])
    return on, done, path


def test_the_file_predicts_raw_images_as_the_model_in_memory(saved):
    on, done, path = saved
    assert on.x_test.dtype == np.uint8
    expected = np.asarray(done.model(on.x_test))
    loaded = keras.models.load_model(path, compile=False, safe_mode=True)
    assert np.allclose(loaded.predict(on.x_test, verbose=0), expected, atol=1e-6)
    without_channel = on.x_test[..., 0]
    assert without_channel.shape == (30, 8, 8)
    loaded = keras.models.load_model(path)  # one model's predict() takes one rank of input
    assert np.allclose(loaded.predict(without_channel, verbose=0), expected, atol=1e-6)


def test_what_was_measured_is_what_the_model_says(saved):
    on, done, _ = saved
    said = np.asarray(done.model(on.x_test))
    if said.shape[1] == 1:
        said = np.concatenate([1 - said, said], axis=1)
    true = np.clip(said[np.arange(30), on.y_test], 1e-7, 1)
    assert done.result["loss"] == pytest.approx(-np.log(true).mean(), rel=1e-5)
    assert done.result["accuracy"] == (said.argmax(axis=1) == on.y_test).mean()


def test_the_file_holds_its_card_and_only_stock_layers(saved):
    on, done, path = saved
    about = ModelInfo.read(path).to_json()
    assert about["classes"] == list(on.class_names)
    assert about["input"] == {"shape": [8, 8, 1], "dtype": "uint8", "value_range": [0.0, 255.0]}
    assert about["digest"] == done.result["digest"]
    assert about["source_digest"] == done.result["source_digest"]
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))

    def modules(node):
        if isinstance(node, dict):
            if "class_name" in node and "module" in node:
                yield node["module"]
            node = list(node.values())
        if isinstance(node, list):
            for inner in node:
                yield from modules(inner)

    found = set(modules(config))
    assert found
    assert all(module is None or module.split(".")[0] == "keras" for module in found), found
    assert "Lambda" not in json.dumps(config)


@pytest.mark.slow
def test_the_file_predicts_where_headstart_was_never_imported(saved, tmp_path):
    on, done, path = saved
    np.save(tmp_path / "x.npy", on.x_test)
    code = (
        "import sys, numpy as np, keras\n"
        "model = keras.models.load_model(sys.argv[1])\n"
        "np.save('y.npy', model.predict(np.load('x.npy'), verbose=0))\n"
        "ours = {'tasks', 'pretrain', 'transfer', 'benchmark'}\n"
        "assert not ours & {name.split('.')[0] for name in sys.modules}\n"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], cwd=tmp_path, check=True)
    expected = np.asarray(done.model(on.x_test))
    assert np.allclose(np.load(tmp_path / "y.npy"), expected, atol=1e-6)


def test_a_file_that_predicts_otherwise_is_not_kept(saved, tmp_path, monkeypatch):
    on, done, path = saved
    old = tmp_path / "model.keras"
    old.write_bytes(b"old")
    wrong = keras.models.load_model(path, compile=False)
    bias = wrong.get_layer("head").bias
    bias.assign(bias + np.arange(1, 1 + bias.shape[0]))
    monkeypatch.setattr(keras.models, "load_model", lambda *_, **__: wrong)
    with pytest.raises(HeadstartError, match="predicts differently"):
        save_model(done.model, old, done.inputs, done.result, on.x_test[:8])
    assert old.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["model.keras"]


def archive(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in members.items():
            file.writestr(name.replace("_", "."), text)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is not a readable .keras model"),
        (b"no archive", "is not a readable .keras model"),
        (archive(config_json="{}"), f"holds no {MEMBER}"),
        (archive(headstart_json=" " * (9 << 20)), "larger than eight megabytes"),
        (archive(headstart_json="{"), "is not a readable .keras model"),
        (archive(headstart_json="[]"), "is not a readable .keras model"),
        (archive(headstart_json="[" * 100_000), "is not a readable .keras model"),
        (archive(headstart_json='{"classes": 3, "input": {"value_range": [0, 1]}}'), "wrong kind"),
        (archive(headstart_json='{"classes": [], "input": {}}'), "value_range"),
    ],
)
def test_another_file_is_refused(tmp_path, content, says):
    path = tmp_path / "model.keras"
    path.write_bytes(content)
    with pytest.raises(InputError, match=says):
        ModelInfo.read(path)
    with pytest.raises(InputError, match="There is no model file"):
        ModelInfo.read(tmp_path / "none.keras")
