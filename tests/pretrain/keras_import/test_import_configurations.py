"""Hostile configurations of models: refused before Keras builds or runs anything of them."""

import json
import zipfile

import numpy as np
import pytest
from foreign import layer_of, refused, respelt

from pretrain.encoders.keras_graph.layers import LAYERS as KERAS_LAYERS
from pretrain.keras_import import archive
from pretrain.keras_import.refusal import Refusal
from pretrain.keras_import.source import import_model


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
