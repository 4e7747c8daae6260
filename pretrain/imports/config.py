"""A Keras model's configuration, walked as plain JSON: checked against the table of layers, then flattened.

Beside the flat graph a clean copy of the configuration is made, which holds nothing but what was checked;
only that copy is ever shown to Keras.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pretrain.encoders.keras_graph import MAX_LAYERS, check_config
from pretrain.encoders.keras_layers import LAYERS, Shape, output_shape
from pretrain.encoders.keras_names import INPUT, free_name
from pretrain.imports.config_values import IDENTITIES, clean_identity, layer_config
from pretrain.imports.graph import Graph, Node
from pretrain.imports.operations import LAYER_INSTEAD, read_operation
from pretrain.imports.refusal import Refusal
from pretrain.weights_checks import short

MODELS = ("Functional", "Sequential")
MODEL_MODULES = ("keras", "keras.models", "keras.src.models", "keras.src.engine")
CLEAN_MODULES = {
    "Functional": "keras.src.models.functional",
    "Sequential": "keras.src.models.sequential",
}
PREPARING = ("Resizing", "Rescaling", "Normalization")
MAX_DEPTH = 8
Clean = dict[str, Any]


def read_config(raw: Any, input_shape: Shape | None) -> tuple[Graph, Clean]:
    """Return the flat graph of a model's configuration, and the clean copy.

    input_shape: of one example, where the configuration leaves sizes open. Raises Refusal.
    """
    walk = _Walk(input_shape)
    outputs, clean = walk.model(raw, "the model", None, 0)
    if walk.input_shape is None or not walk.nodes:
        raise Refusal("it has no layers")
    used = {name for node in walk.nodes for name in node.inputs} | set(outputs)
    if INPUT not in used or INPUT in outputs:
        raise Refusal("its outputs are not computed from its input")
    graph = Graph(
        input_shape=walk.input_shape,
        nodes=tuple(walk.nodes),
        outputs=tuple(outputs),
        aliases=walk.aliases,
        left_out=tuple(walk.left_out),
    )
    return graph, clean


@dataclass
class _Walk:
    """One walk over a configuration; ``shapes`` holds what each node makes."""

    wanted: Shape | None
    input_shape: Shape | None = None
    nodes: list[Node] = field(default_factory=list)
    shapes: dict[str, Shape] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    count: int = 0

    def model(
        self, raw: Any, where: str, given: str | None, depth: int, path: tuple[str, ...] = ()
    ) -> tuple[list[str], Clean]:
        """Add a model's layers; ``given`` is what it is called on, None for the outermost one."""
        if depth > MAX_DEPTH:
            raise Refusal(f"models are nested deeper than {MAX_DEPTH} in it")
        name, kind, config = _entry(raw, where)
        if kind not in MODELS or not str(raw.get("module")).startswith(MODEL_MODULES):
            raise Refusal(
                f"{where} is a {short(kind)} of {short(repr(raw.get('module')))}, not a functional or "
                f"sequential model of Keras"
            )
        layers = config.get("layers")
        if not isinstance(layers, list) or not layers:
            raise Refusal(f"{where} has no list of layers")
        self.count += len(layers)
        if self.count > MAX_LAYERS:
            raise Refusal(f"it has more than {MAX_LAYERS} layers")
        read = self._sequential if kind == "Sequential" else self._functional
        outputs, made = read(config, layers, given, depth, path)
        clean = {
            "module": CLEAN_MODULES[kind],
            "class_name": kind,
            "registered_name": kind,
            "config": {"name": name, **made},
            "name": name,
        }
        return outputs, clean

    def _sequential(
        self, config: Any, layers: list[Any], given: str | None, depth: int, path: tuple[str, ...]
    ) -> tuple[list[str], Clean]:
        here, cleaned = given, []
        for raw in layers:
            name, kind, _ = _entry(raw, "a layer")
            if kind == "InputLayer":
                here, clean = self._input(raw, name, here)
            else:
                if here is None:
                    # A model that was built by its first batch has no input layer.
                    here, first = self._open(config.get("build_input_shape"), "its input")
                    cleaned.append(first)
                outputs, clean = self._layer(raw, [here], depth, path)
                here = outputs[0] if len(outputs) == 1 else _several(name)
            cleaned.append(clean)
        if here is None:
            raise Refusal("it has no layers")
        return [here], {"layers": cleaned}

    def _functional(
        self, config: Any, layers: list[Any], given: str | None, depth: int, path: tuple[str, ...]
    ) -> tuple[list[str], Clean]:
        inputs, ends = (_ends(config.get(key)) for key in ("input_layers", "output_layers"))
        if len(inputs) != 1:
            raise Refusal(f"it has {len(inputs)} inputs, and an encoder has one")
        made: dict[str, str] = {}
        cleaned: dict[str, Clean] = {}
        waiting = {}
        for raw in layers:
            name, _, _ = _entry(raw, "a layer")
            if name in waiting:
                raise Refusal(f"it has two layers called {short(repr(name))}")
            waiting[name] = raw
        order = list(waiting)
        while waiting:
            ready = [n for n, raw in waiting.items() if set(_sources(raw, n)) <= set(made)]
            if not ready:
                raise Refusal(f"the layer {short(repr(next(iter(waiting))))} has unknown inputs")
            for name in ready:
                raw = waiting.pop(name)
                if raw["class_name"] == "InputLayer":
                    if name != inputs[0]:
                        raise Refusal(f"its layer {short(repr(name))} is a second input")
                    made[name], cleaned[name] = self._input(raw, name, given)
                    cleaned[name]["inbound_nodes"] = []
                    continue
                sources = _sources(raw, name)
                if not sources:
                    raise Refusal(f"the layer {short(repr(name))} has no input")
                given_here = [made[one] for one in sources]
                operation = read_operation(raw, name, _history)
                if operation is not None:
                    made[name] = self._add(
                        name, operation.kind, operation.config, given_here, path
                    )
                    cleaned[name] = operation.clean()
                    continue
                outputs, clean = self._layer(raw, given_here, depth, path)
                made[name] = outputs[0] if len(outputs) == 1 else _several(name)
                merges = clean["class_name"] in LAYERS and LAYERS[clean["class_name"]].merges
                clean["inbound_nodes"] = _clean_nodes(sources, merges)
                cleaned[name] = clean
        if unknown := [end for end in ends if end not in made]:
            raise Refusal(f"its output {short(repr(unknown[0]))} is no layer of it")
        # A list of one would make Keras expect a list of inputs, and return one of outputs.
        places: list[Any] = [[end, 0, 0] for end in ends]
        return [made[end] for end in ends], {
            "trainable": True,
            "layers": [cleaned[name] for name in order],
            "input_layers": [inputs[0], 0, 0],
            "output_layers": places[0] if len(places) == 1 else places,
        }

    def _input(self, raw: Any, name: str, given: str | None) -> tuple[str, Clean]:
        config = raw["config"]
        shape = config.get("batch_shape", config.get("batch_input_shape"))
        if config.get("sparse") or config.get("ragged"):
            raise Refusal(f"its input {short(repr(name))} is sparse or ragged")
        if given is None:
            return self._open(shape, name)
        clean = _input_layer(name, _batch_shape(shape, name))
        return given, clean

    def _open(self, shape: Any, name: str) -> tuple[str, Clean]:
        """Settle the shape of the whole model's input."""
        if self.input_shape is not None:
            raise Refusal("it has several inputs, and an encoder has one")
        declared = _batch_shape(shape, name)
        self.input_shape = self.shapes[INPUT] = _settled(declared[1:], self.wanted)
        # A grey image without its channel is an image all the same.
        if len(self.input_shape) == 2:
            rows, columns = self.input_shape
            self.input_shape = self.shapes[INPUT] = (rows, columns, 1)
            grey = {"target_shape": [rows, columns]}
            return self._add("grey", "Reshape", grey, [INPUT], ()), _input_layer(name, declared)
        if len(self.input_shape) not in (1, 3):
            raise Refusal(
                f"its input has shape {self.input_shape}; an encoder takes images (height, width, "
                f"channels) or vectors"
            )
        return INPUT, _input_layer(name, declared)

    def _layer(
        self, raw: Any, inputs: list[str], depth: int, path: tuple[str, ...]
    ) -> tuple[list[str], Clean]:
        """Add one layer, or the layers of a model inside."""
        name, kind, config = _entry(raw, "a layer")
        if kind in MODELS:
            if len(inputs) != 1:
                raise Refusal(f"the model {short(repr(name))} in it has {len(inputs)} inputs")
            where = f"the model {short(repr(name))} in it"
            outputs, clean = self.model(raw, where, inputs[0], depth + 1, (*path, name))
            if len(outputs) == 1:
                self.aliases.setdefault(name, outputs[0])
            return outputs, clean
        _trusted(raw, name, kind)
        clean = {
            "module": "keras.layers",
            "class_name": kind,
            "registered_name": None,
            "name": name,
        }
        if kind in IDENTITIES:
            self.aliases.setdefault(name, inputs[0])
            self.left_out.append(name)
            return [inputs[0]], {**clean, "config": clean_identity(name, kind, config)}
        shapes = [self.shapes[one] for one in inputs]
        stored, kept = layer_config(name, kind, config, shapes[0])
        node = self._add(name, kind, stored, inputs, path)
        return [node], {**clean, "config": {"name": name, **kept}}

    def _add(
        self, name: str, kind: str, config: Any, inputs: list[str], path: tuple[str, ...]
    ) -> str:
        taken = set(self.shapes)
        own = free_name(name, taken)
        if own != name and path:
            own = free_name(f"{path[-1]}.{name}", taken)
        try:
            checked = check_config(name, kind, config)
            shape = output_shape(kind, checked, [self.shapes[one] for one in inputs])
        except ValueError as error:
            raise Refusal(f"its layer {short(repr(name))} ({kind}) {error}") from None
        self.shapes[own] = shape
        self.nodes.append(
            Node(
                name=own,
                kind=kind,
                config=checked,
                inputs=tuple(inputs),
                path=(*path, name),
                shape=shape,
            )
        )
        return own


def _entry(raw: Any, where: str) -> tuple[str, str, dict[str, Any]]:
    """Return a layer's name, class and configuration."""
    config = raw.get("config") if isinstance(raw, dict) else None
    if not isinstance(config, dict) or not isinstance(raw.get("class_name"), str):
        raise Refusal(f"{where} in it is not described as Keras 3 describes layers")
    name = config.get("name", raw.get("name"))
    if not isinstance(name, str) or not name:
        raise Refusal(f"{where} in it has no name")
    return name, raw["class_name"], config


def _trusted(raw: dict[str, Any], name: str, kind: str) -> None:
    """Raises Refusal unless the class is one of Keras' own and in the table."""
    layer, module = f"its layer {short(repr(name))}", raw.get("module")
    if kind == "Lambda":
        raise Refusal(
            f"{layer} is a Lambda, which holds Python code, and code from a file is never run",
            "replace it by a layer of Keras and save the model again",
        )
    registered = raw.get("registered_name")
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
    if kind not in LAYERS and kind not in IDENTITIES:
        raise Refusal(
            f"{layer} is a {short(kind)}, which an imported encoder cannot have. It can have: "
            + ", ".join(sorted(LAYERS)),
            "cut the model below it in Keras (keras.Model(model.input, layer.output)) and save that",
        )


def _sources(raw: dict[str, Any], name: str) -> list[str]:
    """Return the names of the layers that a layer of a functional model is called on."""
    if (operation := read_operation(raw, name, _history)) is not None:
        return operation.sources
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
    extra = dict(node.get("kwargs") or {})
    # Keras notes training=True of every layer that prepares data, and sets it by the call all the same.
    prepares = str(raw["class_name"]).startswith("Random") or raw["class_name"] in PREPARING
    training = extra.pop("training", None) and not prepares
    if training or any(value is not None for value in extra.values()):
        names = ", ".join(map(short, ["training"] * bool(training) + list(extra)))
        raise Refusal(f"{layer} is called with special arguments ({names})")
    flat = [one for arg in node["args"] for one in (arg if isinstance(arg, list) else [arg])]
    return [_history(one, layer) for one in flat]


def _history(tensor: Any, layer: str) -> str:
    config = tensor.get("config") if isinstance(tensor, dict) else None
    history = config.get("keras_history") if isinstance(config, dict) else None
    if tensor is None or history is None or tensor.get("class_name") != "__keras_tensor__":
        raise Refusal(f"{layer} is called on something that is not the output of a layer")
    if not isinstance(history, list) or len(history) != 3 or not isinstance(history[0], str):
        raise Refusal(f"{layer} has malformed inputs")
    if history[1:] != [0, 0]:
        raise Refusal(f"{layer} takes another than the first output of {short(repr(history[0]))}")
    return history[0]


SAVE_AGAIN = "load the model in Keras 3 and save it again as .keras"


def _ends(raw: Any) -> list[str]:
    """Return layer names of ["a", 0, 0] or [["a", 0, 0], ...]."""
    places = raw if isinstance(raw, list) else []
    places = [places] if places and isinstance(places[0], str) else places
    names = []
    for place in places:
        if not isinstance(place, list) or len(place) != 3 or not isinstance(place[0], str):
            raise Refusal("its inputs or outputs are malformed")
        names.append(place[0])
    return names


def _clean_nodes(sources: list[str], merges: bool) -> list[Any]:
    tensors: list[Any] = [
        {
            "class_name": "__keras_tensor__",
            "config": {"shape": [None], "dtype": "float32", "keras_history": [name, 0, 0]},
        }
        for name in sources
    ]
    return [{"args": [tensors] if merges else tensors, "kwargs": {}}]


def _input_layer(name: str, batch_shape: list[int | None]) -> Clean:
    return {
        "module": "keras.layers",
        "class_name": "InputLayer",
        "registered_name": None,
        "config": {"batch_shape": batch_shape, "dtype": "float32", "name": name},
        "name": name,
    }


def _batch_shape(shape: Any, name: str) -> list[int | None]:
    good = isinstance(shape, list) and 2 <= len(shape) <= 5
    if not good or not all(
        n is None or (type(n) is int and 1 <= n <= 1 << 24) for n in shape
    ):
        raise Refusal(f"its input {short(repr(name))} has the shape {short(repr(shape))}")
    return [None, *shape[1:]]


def _settled(declared: list[int | None], wanted: Shape | None) -> Shape:
    """Return the input's shape with every size known."""
    fits = wanted is not None and len(wanted) == len(declared)
    fits = fits and all(n in (None, w) for n, w in zip(declared, wanted or (), strict=False))
    if wanted is not None and not fits:
        raise Refusal(
            f"its input has shape {_shown(declared)}, and --input-shape is {_shown(list(wanted))}",
            "leave --input-shape out, or give one that fits",
        )
    sizes = wanted if wanted is not None else tuple(declared)
    if None in sizes:
        raise Refusal(
            f"its input has the open shape {_shown(declared)}",
            "give --input-shape, such as 96x96x3",
        )
    return tuple(int(n) for n in sizes if n is not None)


def _shown(shape: list[Any]) -> str:
    return "x".join("?" if n is None else str(n) for n in shape)


def _several(name: str) -> str:
    raise Refusal(f"the model {short(repr(name))} in it has several outputs")


