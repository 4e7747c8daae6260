"""A Keras model's configuration as plain JSON, checked against the table of layers before Keras is imported.

Keras is given a clean copy, rebuilt here from what was checked: stock layers with plain options, in an order
in which they can be computed. Initialisers, losses, build instructions and the like are never copied, so
nothing in a file reaches Keras' deserialisation but names of this table.
"""

from __future__ import annotations

from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from typing import Any

from pretrain.encoders.keras_graph.options import LAYERS, as_keras_saves, plain_options
from pretrain.keras_import import SAVE_AGAIN, Refusal
from pretrain.weights.validation import short

MODELS = {
    "Functional": "keras.src.models.functional",
    "Sequential": "keras.src.models.sequential",
}
MAX_DEPTH = 8
# Keras takes milliseconds a layer, and recurses along chains of them.
MAX_LAYERS, MAX_CHAIN = 1200, 900
# Layers that hand on what they get, outside training.
IDENTITIES = {
    *("Identity", "Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"),
    *("AlphaDropout", "GaussianDropout", "GaussianNoise", "ActivityRegularization"),
    *("RandomFlip", "RandomRotation", "RandomTranslation", "RandomZoom", "RandomContrast"),
    *("RandomBrightness", "RandomShear", "RandomHue", "RandomSaturation"),
}
# Layers of keras.applications that stock layers stand in for.
OWN = {
    "LayerScale": "keras.src.applications.convnext",
    "CustomScaleLayer": "keras.src.applications.inception_resnet_v2",
}
OPERATIONS = {"Add", "Subtract", "Multiply", "TrueDivide", "Divide"}
OPERATIONS_MODULE = "keras.src.ops.numpy"
LAYER_INSTEAD = "use a layer in its place (Rescaling, Add, Multiply) and save the model again"
Json = dict[str, Any]


def checked_config(raw: Any) -> Json:
    """Return the clean copy of a model's configuration. Raises Refusal."""
    return _Check().model(raw, "the model", 0)


class _Check:
    """One walk over a configuration, with the number of layers so far."""

    def __init__(self) -> None:
        self.count = 0

    def model(self, raw: Any, where: str, depth: int) -> Json:
        """Return a clean copy of a functional or sequential model."""
        if depth > MAX_DEPTH:
            raise Refusal(f"models are nested deeper than {MAX_DEPTH} in it")
        name, kind, config = _entry(raw, where)
        module = raw.get("module")
        keras = module in ("keras", "keras.models") or module == MODELS.get(kind)
        if kind not in MODELS or not keras or raw.get("registered_name") not in (None, kind):
            raise Refusal(
                f"{where} is a {short(kind)} of {short(repr(module))}, not a functional or sequential "
                f"model of Keras"
            )
        layers = config.get("layers")
        if not isinstance(layers, list) or not layers:
            raise Refusal(f"{where} has no list of layers")
        self.count += len(layers)
        if self.count > MAX_LAYERS:
            raise Refusal(f"it has more than {MAX_LAYERS} layers")
        clean: dict[str, Json] = {}
        for layer in (self._layer(one, depth) for one in layers):
            if clean.setdefault(layer["name"], layer) is not layer:
                raise Refusal(f"it has two layers called {short(repr(layer['name']))}")
        options: Json = {"name": name}
        if kind == "Sequential":
            for layer in clean.values():
                layer.pop("inbound_nodes")
            _check_chain(len(clean))
            options["layers"] = list(clean.values())
            if (shape := config.get("build_input_shape")) is not None:
                options["build_input_shape"] = _batch_shape(shape, "its input")
        else:
            options["layers"] = [clean[one] for one in _in_order(clean)]
            options |= {
                key: _places(config.get(key), clean) for key in ("input_layers", "output_layers")
            }
        made = _saved(MODELS[kind], kind, options, kind)
        return made | {"inbound_nodes": _nodes(raw, name)} if depth else made

    def _layer(self, raw: Any, depth: int) -> Json:
        name, kind, config = _entry(raw, "a layer")
        if kind in MODELS:
            return self.model(raw, f"the model {short(repr(name))} in it", depth + 1)
        module = raw.get("module")
        operation = module == OPERATIONS_MODULE and kind in OPERATIONS
        if not operation and not (kind in OWN and module == OWN[kind]):
            _check_stock(raw, name, kind)
        registered = kind if module != "keras.layers" else None
        options: Json = {}
        if kind == "InputLayer":
            shape = config.get("batch_shape", config.get("batch_input_shape"))
            if config.get("sparse") or config.get("ragged"):
                raise Refusal(f"its input {short(repr(name))} is sparse or ragged")
            options = {"batch_shape": _batch_shape(shape, name), "dtype": "float32"}
        elif not operation:
            try:
                options = as_keras_saves(kind, plain_options(kind, config))
            except ValueError as error:
                raise Refusal(f"its layer {short(repr(name))} ({short(kind)}) {error}") from None
            if kind == "PReLU" and options.get("shared_axes") == []:
                options["shared_axes"] = None
        made = _saved(str(module), kind, {**options, "name": name}, registered)
        return made | {"inbound_nodes": _nodes(raw, name)}


def _entry(raw: Any, where: str) -> tuple[str, str, Json]:
    """Return a layer's name, class and options."""
    config = raw.get("config") if isinstance(raw, dict) else None
    if not isinstance(config, dict) or not isinstance(raw.get("class_name"), str):
        raise Refusal(f"{where} in it is not described as Keras 3 describes layers")
    name = config.get("name", raw.get("name"))
    if not isinstance(name, str) or not name or not name.isprintable() or len(name) > 1000:
        raise Refusal(f"{where} in it has no name")
    return name, raw["class_name"], config


def _saved(module: str, kind: str, config: Json, registered: str | None) -> Json:
    return {
        "module": module,
        "class_name": kind,
        "registered_name": registered,
        "config": config,
        "name": config["name"],
    }


def _check_stock(raw: Json, name: str, kind: str) -> None:
    """Raise Refusal unless the class is one of Keras' own layers and in the table."""
    layer, module = f"its layer {short(repr(name))}", raw.get("module")
    registered = raw.get("registered_name")
    if kind == "Lambda":
        raise Refusal(
            f"{layer} is a Lambda, which holds Python code, and code from a file is never run",
            "replace it by a layer of Keras and save the model again",
        )
    if isinstance(module, str) and module.startswith(("keras.src.ops", "keras.ops")):
        raise Refusal(
            f"{layer} is the operation {short(kind)} on tensors, which is not a layer",
            LAYER_INSTEAD,
        )
    if module != "keras.layers" or registered not in (None, kind):
        where = registered if registered not in (None, kind) else module
        raise Refusal(
            f"{layer} is of a custom class ({short(kind)} from {short(repr(where))}), and code that is "
            f"not Keras' own is never run",
            "rebuild that part from layers of Keras and save the model again",
        )
    if kind not in LAYERS and kind not in IDENTITIES and kind != "InputLayer":
        raise Refusal(
            f"{layer} is a {short(kind)}, which an imported encoder cannot have. It can have: "
            + ", ".join(sorted(LAYERS)),
            "cut the model below it in Keras (keras.Model(model.input, layer.output)) and save that",
        )


def _nodes(raw: Json, name: str) -> list[Json]:
    """Return how a layer is called: on outputs of other layers, numbers and flags. Raises Refusal."""
    nodes = raw.get("inbound_nodes", [])
    layer = f"its layer {short(repr(name))}"
    if not isinstance(nodes, list):
        raise Refusal(f"{layer} has malformed inputs")
    if len(nodes) > 1:
        raise Refusal(f"{layer} is used {len(nodes)} times, and shared layers cannot be imported")
    if not nodes:
        return []
    node = nodes[0]
    if not isinstance(node, dict) or not isinstance(node.get("args"), list):
        raise Refusal(f"{layer} has inputs in the form of an older Keras", SAVE_AGAIN)
    kwargs = node.get("kwargs") or {}
    if not isinstance(kwargs, dict) or not all(isinstance(key, str) for key in kwargs):
        raise Refusal(f"{layer} has malformed inputs")
    args = [_argument(one, layer) for one in node["args"]]
    return [{"args": args, "kwargs": {k: _argument(one, layer) for k, one in kwargs.items()}}]


def _argument(value: Any, layer: str) -> Any:
    if isinstance(value, list):
        return [_argument(one, layer) for one in value]
    if not isinstance(value, dict):
        try:
            return plain_options("Add", {"argument": value})["argument"]
        except ValueError as error:
            raise Refusal(f"{layer} is called on something that {error}") from None
    kind, config = value.get("class_name"), value.get("config")
    if kind == "__keras_tensor__" and isinstance(config, dict):
        history = config.get("keras_history")
        if not isinstance(history, list) or len(history) != 3 or not isinstance(history[0], str):
            raise Refusal(f"{layer} has malformed inputs")
        if history[1:] != [0, 0]:
            raise Refusal(
                f"{layer} takes another than the first output of {short(repr(history[0]))}"
            )
        tensor = {"shape": [None], "dtype": "float32", "keras_history": [history[0], 0, 0]}
        return {"class_name": kind, "config": tensor}
    if kind in ("__tensor__", "__numpy__") and isinstance(config, dict):
        constant = {"value": _argument(config.get("value"), layer), "dtype": "float32"}
        return {"class_name": "__tensor__", "config": constant}
    raise Refusal(f"{layer} is called on something that is not the output of a layer")


def _sources(value: Any) -> Iterator[str]:
    """Yield the names of the layers whose outputs stand in checked arguments."""
    if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
        yield value["config"]["keras_history"][0]
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _sources(one)


def _in_order(layers: dict[str, Json]) -> list[str]:
    """Return names so that each layer comes after its inputs; Keras would try for ever on a circle."""
    inputs = {name: set(_sources(layer["inbound_nodes"])) for name, layer in layers.items()}
    for name, sources in inputs.items():
        if not sources <= set(layers):
            raise Refusal(f"the layer {short(repr(name))} has unknown inputs")
        if not sources and layers[name]["class_name"] != "InputLayer":
            raise Refusal(f"the layer {short(repr(name))} has no input")
    try:
        names = list(TopologicalSorter(inputs).static_order())
    except CycleError as error:
        raise Refusal(f"the layer {short(repr(error.args[1][0]))} has unknown inputs") from None
    chain: dict[str, int] = {}
    for name in names:
        chain[name] = 1 + max((chain[one] for one in inputs[name]), default=0)
    _check_chain(max(chain.values()))
    return names


def _check_chain(length: int) -> None:
    if length > MAX_CHAIN:
        raise Refusal(f"it has {length} layers in a row, and at most {MAX_CHAIN} are read")


def _places(raw: Any, layers: dict[str, Json]) -> list[Any]:
    """Return ["a", 0, 0] or [["a", 0, 0], ...] with names of layers; one place stands alone."""
    places = raw if isinstance(raw, list) else []
    places = [places] if places and isinstance(places[0], str) else places
    well_formed = all(isinstance(p, list) and len(p) == 3 and type(p[0]) is str for p in places)
    if not places or not well_formed:
        raise Refusal("its inputs or outputs are malformed")
    if unknown := [place[0] for place in places if place[0] not in layers]:
        raise Refusal(f"its output {short(repr(unknown[0]))} is no layer of it")
    # Each layer of the copy is called once, so its call is number 0, whichever it was in the file.
    places = [[place[0], 0, 0] for place in places]
    return places[0] if len(places) == 1 else places


def _batch_shape(shape: Any, name: str) -> list[int | None]:
    """Return an input's shape, the batch first, of sizes that may be open. Raises Refusal."""
    good = isinstance(shape, list) and 2 <= len(shape) <= 5
    if not good or not all(n is None or (type(n) is int and 1 <= n <= 1 << 24) for n in shape):
        raise Refusal(f"its input {short(repr(name))} has the shape {short(repr(shape))}")
    return [None, *shape[1:]]
