"""Arithmetic on tensors in a Keras model, such as ``x / 127.5 - 1``, as the layers that do the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pretrain.encoders.keras_graph.rules import LARGEST
from pretrain.keras_import.refusal import Refusal
from pretrain.weights.validation import short

MODULE = "keras.src.ops.numpy"
KINDS = {"Add", "Subtract", "Multiply", "TrueDivide", "Divide"}
MOST = 4096


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One operation as a layer: its class and configuration, and what Keras may see of it.

    arguments: the two operands; a tensor is its layer's name, a number or list of them a constant.
    """

    name: str
    kind: str
    config: dict[str, Any]
    original: str
    arguments: tuple[Any, Any]

    @property
    def sources(self) -> list[str]:
        """The names of the layers that it is called on."""
        return [one for one in self.arguments if isinstance(one, str)]

    def clean(self) -> dict[str, Any]:
        """Return the operation as Keras saves it, of checked values only."""
        return {
            "module": MODULE,
            "class_name": self.original,
            "registered_name": self.original,
            "config": {"name": self.name},
            "name": self.name,
            "inbound_nodes": [{"args": list(map(_clean, self.arguments)), "kwargs": {}}],
        }


def read_operation(raw: dict[str, Any], name: str, history: Any) -> Operation | None:
    """Return the operation that an entry of a model describes; None for a layer. Raises Refusal.

    history: from a serialised tensor to the name of its layer.
    """
    kind = raw.get("class_name")
    if raw.get("module") != MODULE or kind not in KINDS:
        return None
    about = f"its operation {short(repr(name))} ({kind})"
    nodes = raw.get("inbound_nodes")
    node = nodes[0] if isinstance(nodes, list) and len(nodes) == 1 else None
    arguments = node.get("args") if isinstance(node, dict) else None
    plain = isinstance(arguments, list) and len(arguments) == 2 and not (node or {}).get("kwargs")
    if not plain or not set(raw.get("config", {})) <= {"name"}:
        raise Refusal(f"{about} is called with other than two operands", LAYER_INSTEAD)
    left, right = (_operand(one, about, history) for one in arguments or ())
    kind = str(kind)
    if isinstance(left, str) and isinstance(right, str):
        if kind not in ("Add", "Subtract", "Multiply"):
            raise Refusal(f"{about} divides one tensor by another", LAYER_INSTEAD)
        config: dict[str, Any] = {}
        layer = kind
    elif isinstance(left, str) or isinstance(right, str):
        config = _scaled(kind, left, right, about)
        layer = "Rescaling"
    else:
        raise Refusal(f"{about} has no tensor", LAYER_INSTEAD)
    return Operation(name=name, kind=layer, config=config, original=kind, arguments=(left, right))


LAYER_INSTEAD = "use a layer in its place (Rescaling, Add, Multiply) and save the model again"


def _operand(raw: Any, about: str, history: Any) -> Any:
    """Return a tensor's layer, or a constant as a number or a list of one a channel."""
    value = raw
    if isinstance(raw, dict):
        config = raw.get("config")
        if raw.get("class_name") == "__keras_tensor__" or not isinstance(config, dict):
            return history(raw, about)
        if raw.get("class_name") not in ("__tensor__", "__numpy__"):
            raise Refusal(f"{about} has a {short(repr(raw.get('class_name')))} as operand")
        value = config.get("value")
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    values = value if isinstance(value, list) else [value]
    good = 1 <= len(values) <= MOST and all(type(one) in (int, float) for one in values)
    if not good or not all(abs(one) <= LARGEST for one in values):
        raise Refusal(f"{about} has an operand that is not one number, or one a channel")
    return [float(one) for one in values] if isinstance(value, list) else float(values[0])


def _scaled(kind: str, left: Any, right: Any, about: str) -> dict[str, Any]:
    """Return scale and offset of a tensor's arithmetic with a constant."""
    first = isinstance(left, str)
    constant = right if first else left
    values = constant if isinstance(constant, list) else [constant]
    if kind == "Add":
        scale, offset = [1.0], values
    elif kind == "Multiply":
        scale, offset = values, [0.0]
    elif kind == "Subtract":
        scale = [1.0 if first else -1.0]
        offset = [-one for one in values] if first else values
    else:
        if not first or not all(values):
            raise Refusal(f"{about} divides by a tensor or by zero", LAYER_INSTEAD)
        scale, offset = [1 / one for one in values], [0.0]
    return {
        "scale": scale if len(scale) > 1 else scale[0],
        "offset": offset if len(offset) > 1 else offset[0],
    }


def _clean(argument: Any) -> Any:
    if isinstance(argument, str):
        history = [argument, 0, 0]
        config = {"shape": [None], "dtype": "float32", "keras_history": history}
        return {"class_name": "__keras_tensor__", "config": config}
    if isinstance(argument, list):
        return {"class_name": "__tensor__", "config": {"value": argument, "dtype": "float32"}}
    return argument
