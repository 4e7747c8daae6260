"""A foreign model as a flat list of stock layers, where it is cut, and its blocks.

Blocks say what "the lowest K blocks" of any model are. A cut between them goes through a tensor that
everything passes through (an articulation point), never through the arms of a residual or dense connection.
Each block begins with a layer that learns, a convolution or dense layer; what follows it (normalisation,
activation, pooling) belongs to it. Where that makes more than ``MOST`` blocks, neighbours whose names begin
alike up to a number, such as "block_3" or "conv2_block1", become one, then those that begin alike up to an
earlier number; then the two smallest neighbours, until there are few enough.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from headstart.errors import InputError, arg, suggest
from pretrain.encoders.base import weights_of
from pretrain.encoders.keras_graph import INPUT
from pretrain.encoders.keras_graph.options import LEARNING

MOST = 20
DEEPEST = 4
PADDINGS = ("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D")
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
        return [] if self.layer is None else list(weights_of(self.layer).values())


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


def blocks(graph: Graph) -> list[list[Node]]:
    """Return the nodes of a graph with one output as blocks, lowest first, each with weights.

    A graph without weights gives one block.
    """
    parts = _begun_by_learning(_segments(graph.nodes))
    for numbers in range(DEEPEST, 0, -1):
        if len(parts) <= MOST:
            break
        parts = _joined_by_name(parts, numbers)
    sizes = {
        node.name: sum(math.prod(weight.shape) for weight in node.weights) for node in graph.nodes
    }
    while len(parts) > MOST:
        counts = [sum(sizes[node.name] for node in part) for part in parts]
        at = min(range(len(parts) - 1), key=lambda i: counts[i] + counts[i + 1])
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return parts


def stored(parts: Sequence[Sequence[Node]]) -> list[list[dict[str, Any]]]:
    """Return blocks as an encoder's option: a block's input is called "input" in it."""
    result = []
    below = INPUT
    for part in parts:
        layers = [node.stored() for node in part]
        for layer in layers:
            layer["inputs"] = [INPUT if one == below else one for one in layer["inputs"]]
        result.append(layers)
        below = part[-1].name
    return result


def _segments(nodes: Sequence[Node]) -> list[list[Node]]:
    """Cut after each node from which alone all later ones are computed."""
    place = {node.name: i for i, node in enumerate(nodes)} | {INPUT: -1}
    last_use = {-1: -1}
    for i, node in enumerate(nodes):
        for one in node.inputs:
            last_use[place[one]] = i
    parts: list[list[Node]] = [[]]
    furthest = last_use[-1]  # how far what came before the present node is still needed
    for i, node in enumerate(nodes):
        parts[-1].append(node)
        if furthest <= i and i + 1 < len(nodes):
            parts.append([])
        furthest = max(furthest, last_use.get(i, i))
    return parts


def _begun_by_learning(segments: list[list[Node]]) -> list[list[Node]]:
    """Join each segment without a learning layer to the one before, or, at the bottom, the one after."""
    parts: list[list[Node]] = []
    waiting: list[Node] = []  # padding goes with the convolution that it is for
    for segment in segments:
        learns = any(node.kind in LEARNING for node in segment)
        if parts and all(node.kind in PADDINGS for node in segment):
            waiting += segment
            continue
        if not parts or (learns and any(node.kind in LEARNING for node in parts[-1])):
            parts.append([])
        parts[-1] += waiting + segment
        waiting = []
    parts[-1] += waiting
    return parts


def _joined_by_name(parts: list[list[Node]], numbers: int) -> list[list[Node]]:
    """Join neighbours whose first learning layers' names begin alike, up to ``numbers`` numbers."""
    joined: list[list[Node]] = []
    before = None
    for part in parts:
        first = next((node for node in part if node.kind in LEARNING), part[0])
        key = _stage(first, numbers)
        if key is not None and key == before:
            joined[-1] = joined[-1] + part
        else:
            joined.append(part)
        before = key
    return joined


def _stage(node: Node, numbers: int) -> str | None:
    """Return what a layer's name begins with, through its first ``numbers`` numbers; None if it has none.

    Names that Keras made up, such as conv2d_7, say nothing of stages.
    """
    name = node.path[-1]
    if re.fullmatch(r"(separable_|depthwise_)?(conv[123]d|dense)(_transpose)?(_\d+)?", name):
        return None
    found = re.match(rf"(?:[^\d]*\d+[a-z]?(?=_|-|$)){{1,{numbers}}}", name)
    return found[0] if found else None
