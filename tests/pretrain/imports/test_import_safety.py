"""Files that someone else may have written: refused before Keras builds or runs anything of them."""

import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from foreign import layer_of, respelt, save, small

from pretrain.encoders.keras_layers import LAYERS as KERAS_LAYERS
from pretrain.imports import archive
from pretrain.imports.refusal import Refusal
from pretrain.imports.source import import_model
from tasks.errors import InputError

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return save(small(), tmp_path_factory.mktemp("good") / "good.keras")


def refused(path, says):
    """The file is refused before Keras has seen anything of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(archive, "_load", lambda path: pytest.fail("Keras was given the file"))
        with pytest.raises(InputError, match=says) as caught:
            import_model(str(path))
    assert str(caught.value).startswith(f"{path.name} cannot be imported: ")


def change(name, **fields):
    def apply(config):
        layer = layer_of(config, name)
        layer["config"] |= fields.pop("config", {})
        layer |= fields

    return apply


LAYERS = {
    "lambda": (
        change("stem_relu", class_name="Lambda"),
        "'stem_relu' is a Lambda, which holds Python",
    ),
    "custom": (
        change("stem_relu", class_name="Mine", module=None, registered_name="acme>Mine"),
        "'stem_relu' is of a custom class .Mine from 'acme>Mine'",
    ),
    "module": (
        change("stem_relu", class_name="system", module="os"),
        "custom class .system from 'os'",
    ),
    "module_under_keras": (
        change("stem_relu", module="keras.layers.evil"),
        "custom class .ReLU from 'keras.layers.evil'",
    ),
    "utility": (
        change("stem_relu", module="keras.src.utils", class_name="get_file"),
        "custom class .get_file",
    ),
    "torch": (
        change("stem_relu", class_name="TorchModuleWrapper"),
        "which an imported encoder cannot",
    ),
    "operation": (
        change("stem_relu", module="keras.src.ops.numpy", class_name="Exp"),
        "is the operation Exp on tensors",
    ),
    "activation_object": (
        change(
            "hidden", config={"activation": {"module": "os", "class_name": "system", "config": {}}}
        ),
        "'hidden' .Dense. holds a 'system' where a plain value belongs",
    ),
    "activation_name": (
        change("hidden", config={"activation": "os.system"}),
        "'hidden' .Dense. has 'activation' that must be one of",
    ),
    "unknown_option": (
        change("hidden", config={"lora_rank": 4}),
        "has the option lora_rank=4, which is not known",
    ),
    "dropout_object": (
        change("drop", config={"seed": {"module": "os", "class_name": "system"}}),
        "'drop' .Dropout. has options that are not plain",
    ),
    "units": (
        change("hidden", config={"units": 10**9}),
        "'units' that must be an integer from 1 to",
    ),
    "many_units": (
        change("hidden", config={"units": 1 << 20}),
        "need [0-9,]+ bytes of weights, and its model.weights.h5 has",
    ),
    "activations": (
        change("pool", class_name="ZeroPadding2D", config={"padding": 4096, "strides": None}),
        "has the option pool_size|makes more than 16,777,216 values",
    ),
    "half": (
        change("hidden", config={"dtype": "float16"}),
        "'hidden' .Dense. computes in 'float16', and encoders compute in float32",
    ),
    "channels_first": (
        change("pool", config={"data_format": "channels_first"}),
        "'pool' .MaxPooling2D. has the channels first",
    ),
    "axis": (change("stem_bn", config={"axis": 1}), "'stem_bn' .* works along axis 1"),
    "shared": (
        lambda config: layer_of(config, "point")["inbound_nodes"].extend(
            layer_of(config, "point")["inbound_nodes"]
        ),
        "'point' is used 2 times, and shared layers",
    ),
    "training": (
        lambda config: layer_of(config, "stem_bn")["inbound_nodes"][0].update(
            kwargs={"training": True}
        ),
        "'stem_bn' is called with special arguments",
    ),
    "cycle": (
        lambda config: layer_of(config, "stem").update(
            inbound_nodes=layer_of(config, "chances")["inbound_nodes"]
        ),
        "has unknown inputs",
    ),
    "twice": (
        lambda config: config["config"]["layers"].append(layer_of(config, "stem")),
        "two layers called 'stem'",
    ),
    "subclass": (
        lambda config: config.update(class_name="Mine", module="acme"),
        "the model is a Mine of 'acme', not a functional",
    ),
    "no_layers": (lambda config: config["config"].update(layers=[]), "has no list of layers"),
    "no_config": (lambda config: config.pop("config"), "not described as Keras 3 describes"),
    "layer_is_text": (
        lambda config: config["config"]["layers"].append("os.system"),
        "not described as Keras 3",
    ),
    "shape": (
        change("stem", config={"kernel_size": [3, -1]}),
        "'kernel_size' that must be an integer from 1",
    ),
    "too_small": (
        change("stem", config={"padding": "valid", "kernel_size": 13}),
        "makes nothing of",
    ),
    "many": (
        lambda config: config["config"].update(
            layers=[layer_of(config, "stem") for _ in range(2001)]
        ),
        "more than 2000 layers",
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_hostile_configuration_is_refused(good, tmp_path, name):
    spoil, says = LAYERS[name]
    refused(respelt(good, tmp_path / "bad.keras", spoil), says)


def test_a_hidden_lambda_in_a_model_inside_is_found(good, tmp_path):
    def nest(config):
        inner = json.loads(json.dumps(config))
        inner["name"] = inner["config"]["name"] = "inside"
        layer_of(inner, "stem_relu")["class_name"] = "Lambda"
        inner["inbound_nodes"] = layer_of(config, "hidden")["inbound_nodes"]
        inner["inbound_nodes"][0]["args"][0]["config"]["keras_history"][0] = "stem"
        config["config"]["layers"].append(inner)

    refused(respelt(good, tmp_path / "bad.keras", nest), "'stem_relu' is a Lambda")


def test_nested_too_deep(good, tmp_path):
    def nest(config):
        config.update(module="keras", class_name="Sequential")
        for _ in range(12):
            inner = json.loads(json.dumps(config))
            config["config"]["layers"] = [config["config"]["layers"][0], inner]

    refused(
        respelt(good, tmp_path / "bad.keras", nest), "nested deeper than 8|nested deeper than 200"
    )


def test_what_does_not_change_the_outputs_is_never_shown_to_keras(good, tmp_path, monkeypatch):
    """Initialisers, losses and the like are dropped unread, whatever they name."""
    trick = {"module": "os", "class_name": "system", "config": {"command": "touch pwned"}}
    monkeypatch.chdir(tmp_path)

    def spoil(config):
        config["compile_config"] = {"optimizer": trick, "loss": trick}
        config["build_config"] = trick
        for name in ("stem", "hidden", "depth"):
            layer = layer_of(config, name)
            layer["build_config"] = {"input_shape": [None, 10**9]}
            layer["config"] |= {
                key: trick
                for key in layer["config"]
                if key.endswith(("_initializer", "_regularizer", "_constraint"))
            }

    path = respelt(good, tmp_path / "odd.keras", spoil)
    assert import_model(str(path)).digest
    assert not (tmp_path / "pwned").exists()


def weights_with(spoil):
    """The bytes of an HDF5 weights file that ``spoil`` wrote into."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.create_dataset("pad", data=np.zeros(2000, np.float32))
        spoil(file)
    return buffer.getvalue()


def huge(file):
    file.create_dataset("layers/dense/vars/0", shape=(1 << 28,), dtype="f4", chunks=(1 << 20,))


WEIGHTS = {
    "huge": (huge, "declares 1,073,741,824 bytes in /layers/dense/vars/0 that are not in its"),
    "compressed": (
        lambda file: file.create_dataset("a", data=np.zeros(10**6), compression="gzip"),
        "holds compressed data",
    ),
    "external_link": (
        lambda file: file.__setitem__("a", h5py.ExternalLink("/etc/passwd", "/")),
        "has a link that can lead outside it",
    ),
    "soft_link": (lambda file: file.__setitem__("a", h5py.SoftLink("/pad")), "link"),
    "hard_link": (lambda file: file.__setitem__("a", file["pad"]), "linked to itself"),
    "external_storage": (
        lambda file: file.create_dataset("a", (8,), "f4", external=[("/etc/passwd", 0, 32)]),
        "keeps /a in another file",
    ),
    "objects": (
        lambda file: file.create_dataset("a", data="x", dtype=h5py.string_dtype()),
        "other things than numbers",
    ),
    "references": (
        lambda file: file.create_dataset("a", data=file["pad"].ref, dtype=h5py.ref_dtype),
        "other things than numbers",
    ),
}


ODD = (
    None,
    True,
    -1,
    0,
    10**9,
    1e308,
    "",
    "Lambda",
    [],
    [[]],
    {},
    {"class_name": "Lambda"},
    [0, 0, 0],
)


def places(value, path=()):
    """Every place in a configuration, as a path of keys."""
    yield path
    inner = value.items() if isinstance(value, dict) else ()
    for key, one in enumerate(value) if isinstance(value, list) else inner:
        yield from places(one, (*path, key))


def test_any_value_may_be_odd(good):
    """Whatever is put anywhere, the answer is a refusal or a graph of the table's layers."""
    with zipfile.ZipFile(good) as file:
        config = json.loads(file.read("config.json"))
    random = np.random.default_rng(0)
    paths = [path for path in places(config) if path]
    refusals = 0
    for i in random.choice(len(paths), 400):
        spoilt = json.loads(json.dumps(config))
        *above, last = paths[i]
        holder = spoilt
        for key in above:
            holder = holder[key]
        holder[last] = ODD[random.integers(len(ODD))]
        try:
            graph, _ = archive._read(spoilt, None)
        except Refusal:
            refusals += 1
        else:
            assert {node.kind for node in graph.nodes} <= set(KERAS_LAYERS)
    assert refusals > 100


@pytest.mark.parametrize("name", WEIGHTS)
def test_hostile_weights_are_refused(good, tmp_path, name):
    spoil, says = WEIGHTS[name]
    data = weights_with(spoil)
    refused(respelt(good, tmp_path / "bad.keras", members={"model.weights.h5": data}), says)


def test_broken_archives(good, tmp_path):
    path = tmp_path / "bad.keras"
    whole = good.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused(path, "damaged or truncated")
    path.write_bytes(b"")
    refused(path, "only .keras files are imported")
    path.write_bytes(whole.replace(b"stem_relu", b"stem_rolu", 1))
    refused(path, "damaged or truncated|has unknown inputs")
    path.unlink()
    refused(path, "there is no such file")
    path.mkdir()
    refused(path, "is a folder")


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"members": {"config.json": b"{not json"}}, "config.json is not JSON"),
        ({"members": {"config.json": b"[" * 10**5}}, "config.json is not JSON"),
        ({"members": {"config.json": b"[]"}}, "not described as Keras 3"),
        ({"members": {"metadata.json": b"[]"}}, "saved by Keras None"),
        ({"members": {"metadata.json": b'{"keras_version": "2.15.0"}'}}, "saved by Keras '2.15.0'"),
        ({"members": {"model.weights.h5": b"x" * 5000}}, "model.weights.h5 is damaged"),
        ({"members": {"model.weights.h5": b"x"}}, "need 1,680 bytes|need [0-9,]+ bytes of weights"),
        ({"left_out": ["model.weights.h5"]}, "holds no model.weights.h5"),
        ({"left_out": ["config.json"]}, "holds no config.json"),
        ({"more": [("../../evil.py", b"")]}, "holds '../../evil.py'"),
        ({"more": [("/etc/cron.d/evil", b"")]}, "holds '/etc/cron.d/evil'"),
        ({"members": {"model.weights.h5": bytes(200 << 20)}}, "far more than the"),
    ],
)
def test_spoilt_members(good, tmp_path, how, says):
    refused(respelt(good, tmp_path / "bad.keras", **how), says)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_is_there_twice(good, tmp_path):
    path = respelt(good, tmp_path / "bad.keras", more=[("config.json", b"{}")])
    refused(path, "holds 'config.json' twice")


def test_a_huge_declared_size_costs_no_memory(good, tmp_path):
    """In a process of its own, whose memory is limited: TensorFlow is not even imported."""
    path = respelt(good, tmp_path / "bad.keras", members={"model.weights.h5": bytes(300 << 20)})
    assert path.stat().st_size < 1 << 20
    code = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_AS, (400 << 20, 400 << 20))\n"
        "from pretrain.imports.source import import_model\n"
        "from tasks.errors import InputError\n"
        "try:\n    import_model(sys.argv[1])\n"
        "except InputError as error:\n    print(error)\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
    )
    assert "far more than the" in done.stdout, done.stderr


def test_other_formats_say_the_way_out(tmp_path):
    model = small()
    with zipfile.ZipFile(tmp_path / "other.keras", "w") as file:
        file.writestr("a.txt", "")
    refused(tmp_path / "other.keras", "holds 'a.txt'")
    path = tmp_path / "model.keras"
    weights = tmp_path / "model.weights.h5"
    model.save_weights(weights)
    path.write_bytes(weights.read_bytes())
    refused(path, "only .keras files are imported; load the model in Keras 3")


@pytest.mark.filterwarnings("ignore:.*HDF5")
def test_a_legacy_model_is_refused(tmp_path):
    path = tmp_path / "model.h5"
    from keras.src.legacy.saving import legacy_h5_format

    legacy_h5_format.save_model_to_hdf5(small(), str(path))
    moved = path.rename(tmp_path / "model.keras")
    refused(moved, "a whole Keras model in the legacy HDF5 format; only .keras")


def test_infinite_weights_are_refused(tmp_path):
    model = small()
    weights = model.get_weights()
    weights[0][0, 0, 0, 0] = np.nan
    model.set_weights(weights)
    with pytest.raises(InputError, match="weights are not finite: block1/stem/kernel"):
        import_model(str(save(model, tmp_path / "nan.keras")))
