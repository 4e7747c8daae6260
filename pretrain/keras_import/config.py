"""A Keras model's configuration, walked as plain JSON: checked against the table of layers, then flattened.

Beside the flat graph a clean copy of the configuration is made, which holds nothing but what was checked;
only that copy is ever shown to Keras.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pretrain.encoders.keras_graph import MAX_LAYERS, check_config
from pretrain.encoders.keras_graph.layers import LAYERS, Shape, output_shape
from pretrain.encoders.keras_graph.names import INPUT, free_name
from pretrain.keras_import.config_entries import (
    Clean,
    batch_shape,
    check_trusted,
    clean_nodes,
    entry,
    history,
    input_layer,
    layer_names,
    refuse_several,
    settled,
    sources_of,
)
from pretrain.keras_import.config_values import IDENTITIES, clean_identity, layer_config
from pretrain.keras_import.graph import Graph, Node
from pretrain.keras_import.operations import read_operation
from pretrain.keras_import.refusal import Refusal
from pretrain.weights.validation import short

MODELS = ("Functional", "Sequential")
MODEL_MODULES = ("keras", "keras.models")
CLEAN_MODULES = {
    "Functional": "keras.src.models.functional",
    "Sequential": "keras.src.models.sequential",
}
MAX_DEPTH = 8


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
        name, kind, config = entry(raw, where)
        if kind not in MODELS or not _is_model_module(raw.get("module")):
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
            name, kind, _ = entry(raw, "a layer")
            if kind == "InputLayer":
                here, clean = self._input(raw, name, here)
            else:
                if here is None:
                    # A model that was built by its first batch has no input layer.
                    here, first = self._open(config.get("build_input_shape"), "its input")
                    cleaned.append(first)
                outputs, clean = self._layer(raw, [here], depth, path)
                here = outputs[0] if len(outputs) == 1 else refuse_several(name)
            cleaned.append(clean)
        if here is None:
            raise Refusal("it has no layers")
        return [here], {"layers": cleaned}

    def _functional(
        self, config: Any, layers: list[Any], given: str | None, depth: int, path: tuple[str, ...]
    ) -> tuple[list[str], Clean]:
        inputs, ends = (layer_names(config.get(key)) for key in ("input_layers", "output_layers"))
        if len(inputs) != 1:
            raise Refusal(f"it has {len(inputs)} inputs, and an encoder has one")
        made: dict[str, str] = {}
        cleaned: dict[str, Clean] = {}
        waiting = {}
        for raw in layers:
            name, _, _ = entry(raw, "a layer")
            if name in waiting:
                raise Refusal(f"it has two layers called {short(repr(name))}")
            waiting[name] = raw
        order = list(waiting)
        while waiting:
            ready = [n for n, raw in waiting.items() if set(sources_of(raw, n)) <= set(made)]
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
                sources = sources_of(raw, name)
                if not sources:
                    raise Refusal(f"the layer {short(repr(name))} has no input")
                given_here = [made[one] for one in sources]
                operation = read_operation(raw, name, history)
                if operation is not None:
                    made[name] = self._add(name, operation.kind, operation.config, given_here, path)
                    cleaned[name] = operation.clean()
                    continue
                outputs, clean = self._layer(raw, given_here, depth, path)
                made[name] = outputs[0] if len(outputs) == 1 else refuse_several(name)
                merges = clean["class_name"] in LAYERS and LAYERS[clean["class_name"]].merges
                clean["inbound_nodes"] = clean_nodes(sources, merges)
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
        clean = input_layer(name, batch_shape(shape, name))
        return given, clean

    def _open(self, shape: Any, name: str) -> tuple[str, Clean]:
        """Settle the shape of the whole model's input."""
        if self.input_shape is not None:
            raise Refusal("it has several inputs, and an encoder has one")
        declared = batch_shape(shape, name)
        self.input_shape = self.shapes[INPUT] = settled(declared[1:], self.wanted)
        # A grey image without its channel is an image all the same.
        if len(self.input_shape) == 2:
            rows, columns = self.input_shape
            self.input_shape = self.shapes[INPUT] = (rows, columns, 1)
            grey = {"target_shape": [rows, columns]}
            return self._add("grey", "Reshape", grey, [INPUT], ()), input_layer(name, declared)
        if len(self.input_shape) not in (1, 3):
            raise Refusal(
                f"its input has shape {self.input_shape}; an encoder takes images (height, width, "
                f"channels) or vectors"
            )
        return INPUT, input_layer(name, declared)

    def _layer(
        self, raw: Any, inputs: list[str], depth: int, path: tuple[str, ...]
    ) -> tuple[list[str], Clean]:
        """Add one layer, or the layers of a model inside."""
        name, kind, config = entry(raw, "a layer")
        if kind in MODELS:
            if len(inputs) != 1:
                raise Refusal(f"the model {short(repr(name))} in it has {len(inputs)} inputs")
            where = f"the model {short(repr(name))} in it"
            outputs, clean = self.model(raw, where, inputs[0], depth + 1, (*path, name))
            if len(outputs) == 1:
                self.aliases.setdefault(name, outputs[0])
            return outputs, clean
        check_trusted(raw, name, kind)
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


def _is_model_module(module: Any) -> bool:
    return module in MODEL_MODULES or str(module).startswith(
        ("keras.src.models.", "keras.src.engine.")
    )
