"""Hostile configurations of models: refused before Keras builds or runs anything of them."""

import json
import zipfile

import numpy as np
import pytest
from foreign import layer_of, refused, respelt

from headstart.errors import InputError
from pretrain.encoders.keras_graph.options import LAYERS as KERAS_LAYERS
from pretrain.keras_import import Refusal, archive
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
        "has the option lora_rank=4, which an encoder cannot have",
    ),
    "dropout_object": (
        change("drop", config={"rate": {"module": "os", "class_name": "system"}}),
        "'drop' .Dropout. holds a 'system' where a plain value belongs",
    ),
    "units": (
        change("hidden", config={"units": 10**9}),
        "'units' that must be a number of at most 16,777,216",
    ),
    "half": (
        change("hidden", config={"dtype": "float16"}),
        "'hidden' .Dense. computes in 'float16', and encoders compute in float32",
    ),
    "channels_first": (
        change("pool", config={"data_format": "channels_first"}),
        "'pool' .MaxPooling2D. has the channels first",
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
    "many": (
        lambda config: config["config"].update(
            layers=[layer_of(config, "stem") for _ in range(2001)]
        ),
        "more than 1200 layers",
    ),
}


def called(kind, **config):
    """Make the pooling layer another one, of these options alone."""

    def apply(whole):
        layer_of(whole, "pool").update(class_name=kind, config={"name": "pool", **config})

    return apply


def inner(kind, **config):
    return {"module": "keras.layers", "class_name": kind, "config": config}


def attended(whole):
    layer = layer_of(whole, "sum")
    layer.update(
        class_name="MultiHeadAttention",
        config={"name": "sum", "num_heads": 1 << 10, "key_dim": 1 << 24},
    )
    layer["inbound_nodes"][0]["args"] = layer["inbound_nodes"][0]["args"][0]


LAYERS |= {
    "tfsm": (change("stem_relu", class_name="TFSMLayer"), "is a TFSMLayer, which an imported"),
    "vocabulary": (
        called("StringLookup", vocabulary="/etc/passwd"),
        "is a StringLookup, which an imported",
    ),
    "spectrogram": (called("MelSpectrogram", fft_length=1 << 24), "which an imported encoder"),
    "registered": (
        change("stem_relu", registered_name="builtins>eval"),
        "custom class .ReLU from 'builtins>eval'",
    ),
    "shared_object": (
        change("stem_relu", class_name="Mine", module=None, shared_object_id=1),
        "custom class .Mine from None",
    ),
    "wrapped_lambda": (
        called("TimeDistributed", layer=inner("Lambda", function="x")),
        "wraps a 'Lambda', which",
    ),
    "wrapped_module": (
        called("Bidirectional", layer={"module": "os", "class_name": "LSTM", "config": {}}),
        "wraps a 'LSTM', which",
    ),
    "stateful": (called("LSTM", units=3, stateful=True), "has the option stateful=True"),
    "mask": (called("Embedding", mask_zero=True), "has the option mask_zero=True"),
    "typespec": (
        lambda config: layer_of(config, "stem_relu")["inbound_nodes"][0]["args"].append(
            {"class_name": "__typespec__", "config": [], "spec_name": "system", "module": "os"}
        ),
        "called on something that is not the output of a layer",
    ),
    "chain": (
        lambda config: config.update(
            class_name="Sequential",
            module="keras",
            registered_name="Sequential",
            config={
                "name": "long",
                "layers": [inner("ReLU", name=f"relu{i}") for i in range(901)],
            },
        ),
        "has 901 layers in a row",
    ),
}

# What only Keras can tell, before it takes memory for a weight.
BUILT = {
    "many_units": (
        change("hidden", config={"units": 1 << 20}),
        "need [0-9,]+ bytes of weights, and its model.weights.h5 has",
    ),
    "activations": (
        change("pool", class_name="ZeroPadding2D", config={"padding": 4096, "strides": None}),
        "unrecognized keyword|could not be deserialized",
    ),
    "axis": (change("stem_bn", config={"axis": 1}), "Keras cannot load it"),
    "shared": (
        lambda config: layer_of(config, "point")["inbound_nodes"].extend(
            layer_of(config, "point")["inbound_nodes"]
        ),
        "'point' is used 2 times, and shared layers",
    ),
    "shape": (
        change("stem", config={"kernel_size": [3, -1]}),
        "Keras cannot load it",
    ),
    "too_small": (
        change("stem", config={"padding": "valid", "kernel_size": 13}),
        "Keras cannot load it",
    ),
    "training": (
        lambda config: layer_of(config, "stem_bn")["inbound_nodes"][0].update(
            kwargs={"training": True}
        ),
        "'stem_bn' is called with special arguments",
    ),
    "kernel": (
        change("stem", config={"kernel_size": [1 << 12, 1 << 12], "filters": 1 << 24}),
        "Keras cannot load it",
    ),
    "padding": (
        called("ZeroPadding2D", padding=[[1 << 23, 1 << 23], [1 << 23, 1 << 23]]),
        "parameters, above 536,870,912",
    ),
    "upsampled": (
        called("UpSampling2D", size=[1 << 20, 1 << 20], interpolation="nearest"),
        "parameters, above 536,870,912",
    ),
    "resized": (called("Resizing", height=1 << 24, width=1 << 24), "parameters, above 536,870,912"),
    "embedded": (
        called("TimeDistributed", layer=inner("LSTM", units=1 << 22, unroll=True)),
        "Keras cannot load it",
    ),
    "equation": (called("EinsumDense", equation="a" * 90 + ",b->c", output_shape=[3]), "Keras"),
    "heads": (attended, "parameters, above 536,870,912"),
    "input": (
        lambda config: config["config"]["layers"][0]["config"].update(
            batch_shape=[None, 1 << 24, 1 << 24, 3]
        ),
        "parameters, above 536,870,912",
    ),
}


@pytest.mark.parametrize("name", BUILT)
def test_a_hostile_size_is_refused_before_it_takes_memory(good, tmp_path, name):
    spoil, says = BUILT[name]
    late = name in ("axis", "training")  # nothing is too large in these
    path = respelt(good, tmp_path / "bad.keras", spoil)
    if not late:
        refused(path, says, by_keras=True)
        return
    with pytest.raises(InputError, match=says):
        import_model(str(path))


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
        config.update(module="keras", class_name="Sequential", registered_name="Sequential")
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
    """Whatever is put anywhere, the answer is a refusal or a copy of the table's layers."""
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
            clean = archive._checked(spoilt)
        except Refusal:
            refusals += 1
        else:
            assert set(classes(clean)) <= set(KERAS_LAYERS) | {
                "Functional",
                "InputLayer",
                "Dropout",
            }
    assert refusals > 100


def classes(clean):
    """The classes that Keras is given to make."""
    for layer in [clean, *clean["config"]["layers"]]:
        yield layer["class_name"]
