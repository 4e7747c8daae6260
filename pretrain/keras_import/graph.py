"""A foreign model as a flat list of stock layers, and where it is cut."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from headstart.errors import InputError, arg, suggest
from pretrain.encoders.keras_graph import INPUT

LAST = ("softmax", "sigmoid", "linear", "log_softmax")
Shape = tuple[int, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Node:
    """One layer: its options as an encoder stores them, and where it came from.

    inputs: names of earlier nodes, or "input". path: the names of the models it lies in, and its own.
    rank: of its output for one example. layer: the Keras layer that has its weights, or None.
    call: how it is called, beyond its inputs.
    """

    name: str
    kind: str
    config: dict[str, Any]
    inputs: tuple[str, ...]
    path: tuple[str, ...]
    rank: int
    layer: Any = None
    call: dict[str, bool] = field(default_factory=dict)

    def stored(self) -> dict[str, Any]:
        """Return it as the encoder's options hold it."""
        call = {"call": self.call} if self.call else {}
        return {
            "name": self.name,
            "class": self.kind,
            "config": self.config,
            "inputs": list(self.inputs),
            **call,
        }

    @property
    def weights(self) -> list[Any]:
        """The Keras layer's weights; no random-generator state."""
        found = [] if self.layer is None else self.layer.weights
        return [weight for weight in found if "seed_generator" not in weight.path]


@dataclass(frozen=True, kw_only=True)
class Graph:
    """A model with one input, its nodes in an order in which they can be computed.

    input_shape: of one example. outputs: names of nodes. aliases: other names (of models inside, of layers
    that do nothing outside training) -> the node that has their output. left_out: the latter's names.
    """

    input_shape: Shape
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]
    aliases: dict[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()

    def node(self, name: str) -> Node:
        """Return the node called ``name``."""
        return next(node for node in self.nodes if node.name == name)

    def ancestors(self, names: Iterable[str]) -> tuple[Node, ...]:
        """Return these nodes and all that they are computed from, in order."""
        needed = set(names)
        for node in reversed(self.nodes):
            if node.name in needed:
                needed.update(node.inputs)
        return tuple(node for node in self.nodes if node.name in needed)

    def find(self, cut: str | None) -> str:
        """Return the name of the node at which to cut. Raises InputError with near names.

        cut: a layer's name; a number, 1 for the first layer and -1 for the last, which drops nothing;
            or None for the last layer below the classification: without a last dense layer and its
            softmax or sigmoid.
        """
        if cut is None:
            return self._below_the_classes()
        try:
            number = int(cut)
        except ValueError:
            return self._named(cut)
        if number == 0 or abs(number) > len(self.nodes):
            raise InputError(
                f"must be a layer's name, 1 to {len(self.nodes)} counted from the input, or -1 to "
                f"-{len(self.nodes)} counted from the output",
                argument="cut",
                value=number,
            )
        return self.nodes[number - 1 if number > 0 else number].name

    def _named(self, cut: str) -> str:
        names = {node.name: node.name for node in self.nodes}
        for node in self.nodes:
            names.setdefault("/".join(node.path), node.name)
            names.setdefault(node.path[-1], node.name)
        for name, alias in self.aliases.items():
            names.setdefault(name, alias)
        found = names.get(cut)
        if found is None:
            raise InputError(
                f"must be a layer of the model.{suggest(cut, names)} It has {len(self.nodes)} layers, from "
                f"{self.nodes[0].name!r} to {self.nodes[-1].name!r}; a number counts them from the input, a "
                f"negative one from the output",
                argument="cut",
                value=cut,
            )
        if found == INPUT:
            raise InputError(
                "leaves no layer: it is the input",
                argument="cut",
                value=cut,
                hint="Cut at a later layer.",
            )
        return found

    def _below_the_classes(self) -> str:
        if len(self.outputs) != 1:
            raise InputError(
                f"The model has {len(self.outputs)} outputs ({', '.join(self.outputs)}), so nobody knows "
                f"where its features are.",
                hint=f"Give {arg.cut} with a layer's name.",
            )
        last = self.node(self.outputs[0])
        below = last
        while below.inputs[0] != INPUT:
            if below.kind == "Dense":
                return below.inputs[0]
            activation = below.kind == "Activation" and below.config["activation"] in LAST
            if not activation and below.kind != "Softmax":
                break
            below = self.node(below.inputs[0])
        return last.name
