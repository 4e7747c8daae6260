"""The entries of a Keras model's configuration: read, and refused unless they are Keras' own layers."""

from __future__ import annotations

from typing import Any

from pretrain.encoders.keras_graph.layers import LAYERS, Shape
from pretrain.keras_import.config_values import IDENTITIES
from pretrain.keras_import.operations import LAYER_INSTEAD, read_operation
from pretrain.keras_import.refusal import SAVE_AGAIN, Refusal
from pretrain.weights.validation import short

PREPARING = ("Resizing", "Rescaling", "Normalization")
Clean = dict[str, Any]


def entry(raw: Any, where: str) -> tuple[str, str, dict[str, Any]]:
    """Return a layer's name, class and configuration."""
    config = raw.get("config") if isinstance(raw, dict) else None
    if not isinstance(config, dict) or not isinstance(raw.get("class_name"), str):
        raise Refusal(f"{where} in it is not described as Keras 3 describes layers")
    name = config.get("name", raw.get("name"))
    if not isinstance(name, str) or not name:
        raise Refusal(f"{where} in it has no name")
    return name, raw["class_name"], config


def check_trusted(raw: dict[str, Any], name: str, kind: str) -> None:
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


def sources_of(raw: dict[str, Any], name: str) -> list[str]:
    """Return the names of the layers that a layer of a functional model is called on."""
    if (operation := read_operation(raw, name, history)) is not None:
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
    return [history(one, layer) for one in flat]


def history(tensor: Any, layer: str) -> str:
    """Return the name of the layer whose first output a serialised tensor is. Raises Refusal."""
    config = tensor.get("config") if isinstance(tensor, dict) else None
    history = config.get("keras_history") if isinstance(config, dict) else None
    if tensor is None or history is None or tensor.get("class_name") != "__keras_tensor__":
        raise Refusal(f"{layer} is called on something that is not the output of a layer")
    if not isinstance(history, list) or len(history) != 3 or not isinstance(history[0], str):
        raise Refusal(f"{layer} has malformed inputs")
    if history[1:] != [0, 0]:
        raise Refusal(f"{layer} takes another than the first output of {short(repr(history[0]))}")
    return history[0]


def layer_names(raw: Any) -> list[str]:
    """Return layer names of ["a", 0, 0] or [["a", 0, 0], ...]."""
    places = raw if isinstance(raw, list) else []
    places = [places] if places and isinstance(places[0], str) else places
    names = []
    for place in places:
        if not isinstance(place, list) or len(place) != 3 or not isinstance(place[0], str):
            raise Refusal("its inputs or outputs are malformed")
        names.append(place[0])
    return names


def clean_nodes(sources: list[str], merges: bool) -> list[Any]:
    """Return a layer's inputs as Keras saves them."""
    tensors: list[Any] = [
        {
            "class_name": "__keras_tensor__",
            "config": {"shape": [None], "dtype": "float32", "keras_history": [name, 0, 0]},
        }
        for name in sources
    ]
    return [{"args": [tensors] if merges else tensors, "kwargs": {}}]


def input_layer(name: str, batch_shape: list[int | None]) -> Clean:
    """Return an input layer as Keras saves it."""
    return {
        "module": "keras.layers",
        "class_name": "InputLayer",
        "registered_name": None,
        "config": {"batch_shape": batch_shape, "dtype": "float32", "name": name},
        "name": name,
    }


def batch_shape(shape: Any, name: str) -> list[int | None]:
    """Return an input's shape, the batch first, of sizes that may be open. Raises Refusal."""
    good = isinstance(shape, list) and 2 <= len(shape) <= 5
    if not good or not all(n is None or (type(n) is int and 1 <= n <= 1 << 24) for n in shape):
        raise Refusal(f"its input {short(repr(name))} has the shape {short(repr(shape))}")
    return [None, *shape[1:]]


def settled(declared: list[int | None], wanted: Shape | None) -> Shape:
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


def refuse_several(name: str) -> str:
    """Refuse a model inside with several outputs."""
    raise Refusal(f"the model {short(repr(name))} in it has several outputs")
