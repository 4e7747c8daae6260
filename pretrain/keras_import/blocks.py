"""A graph of layers cut into blocks, so that "the lowest K blocks" means something for any model.

A cut goes through a tensor that everything passes through (an articulation point), never through the arms
of a residual or dense connection. Each block begins with a layer that learns, a convolution or dense layer;
what follows it (normalisation, activation, pooling) belongs to it. Where that makes more than ``MOST``
blocks, neighbours whose names begin alike up to a number, such as "block_3" or "conv2_block1", become one,
then those that begin alike up to an earlier number; then the two smallest neighbours, until there are few
enough.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from pretrain.encoders.keras_graph import INPUT
from pretrain.encoders.keras_graph.options import LEARNING
from pretrain.keras_import.graph import Graph, Node

MOST = 20
DEEPEST = 4
PADDINGS = ("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D")


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
        if any(node.kind in LEARNING for node in segment):
            bottom = parts and not any(n.kind in LEARNING for n in parts[-1])
            if bottom:
                parts[-1] += waiting + segment
            else:
                parts.append(waiting + segment)
            waiting = []
        elif parts and all(node.kind in PADDINGS for node in segment):
            waiting += segment
        elif parts:
            parts[-1] += waiting + segment
            waiting = []
        else:
            parts.append(segment)
    if waiting:
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
