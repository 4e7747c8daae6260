"""A checked graph and the Keras model that it came from -> a weights file, verified on random inputs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from headstart.errors import arg
from pretrain.encoders import encoder_config
from pretrain.encoders.base import weights_of
from pretrain.encoders.encoder import Encoder
from pretrain.encoders.keras_graph import INPUT, build_model, deferred, free_name
from pretrain.engine.runtime import settings
from pretrain.keras_import import STRATEGY, Refusal
from pretrain.keras_import.graph import Graph, Node, blocks, stored
from pretrain.keras_import.scaling import Scaling
from pretrain.weights.file import WeightsFile, assign
from pretrain.weights.validation import listing, short

TOLERANCE = 1e-5
EXAMPLES = 4
UNKNOWN = "unknown"
Tensors = dict[str, np.ndarray]


def convert(
    graph: Graph, model: Any, source: Mapping[str, Any], *, cut: str | None, scaling: Scaling
) -> WeightsFile:
    """Return the part of ``model`` below the cut as a weights file that was not written yet.

    graph: of the same model. source: what is recorded of where it came from. cut: as ``Graph.find`` takes
    it. Raises Refusal and InputError.
    """
    ending = graph.find(cut)
    outputs = [*graph.outputs, ending]
    layers = [node.stored() for node in graph.ancestors(outputs)]
    try:
        with deferred():
            flat = build_model(graph.input_shape, layers, "flat", outputs=outputs)
    except ValueError as error:
        raise Refusal(str(error)) from None
    tensors = _filled(graph, flat)
    part = _featured(graph, ending)
    parts = blocks(part)
    by_block = {node.name: f"block{i}" for i, nodes in enumerate(parts, start=1) for node in nodes}
    mine = {
        f"{by_block[node.name]}/{node.name}/{variable}": tensor
        for nodes in parts
        for node in nodes
        for variable, tensor in tensors.get(node.name, {}).items()
    }
    if not mine:
        raise Refusal(f"the layers up to {ending!r} have no weights", "cut at a later layer")
    if broken := [name for name, tensor in mine.items() if not np.isfinite(tensor).all()]:
        raise Refusal(f"its weights are not finite: {listing(broken)}", "train it again")
    shapes = [[path, list(tensor.shape)] for path, tensor in mine.items()]
    config = encoder_config("keras", part.input_shape, {"blocks": stored(parts), "shapes": shapes})
    _verify(graph, model, flat, config, mine, scaling)
    if scaling.reversed_channels:
        mine |= _reversed(part, mine, by_block)
    return WeightsFile(
        encoder=config,
        preprocessing=scaling.preprocessing(part.input_shape),
        tensors=mine,
        metadata={
            "strategy": STRATEGY,
            "seed": 0,
            "data": {"name": UNKNOWN, "fingerprint": UNKNOWN},
            "source": {
                **source,
                "cut": ending,
                "dropped": [node.name for node in graph.nodes if node not in part.nodes],
                "left_out": list(graph.left_out),
                "blocks": [f"{nodes[0].name} to {nodes[-1].name}" for nodes in parts],
            },
            "versions": settings()["versions"],
        },
    )


def _filled(graph: Graph, flat: Any) -> dict[str, Tensors]:
    """Copy the model's weights into the rebuilt layers; return them by layer and variable."""
    tensors: dict[str, Tensors] = {}
    for layer in flat.layers:
        mine = weights_of(layer)
        if not mine:
            continue
        if any(len(weight.shape) == 0 for weight in mine.values()):
            raise Refusal(
                f"its layer {layer.name!r} has a single number as weight, which no file holds"
            )
        given = [np.array(weight.numpy(), np.float32) for weight in graph.node(layer.name).weights]
        if [t.size for t in given] != [math.prod(weight.shape) for weight in mine.values()]:
            raise Refusal(f"the weights of its layer {layer.name!r} are not those of its options")
        tensors[layer.name] = {
            name: tensor.reshape(weight.shape)
            for (name, weight), tensor in zip(mine.items(), given, strict=True)
        }
        assign(tensors[layer.name], mine)
    return tensors


def _featured(graph: Graph, ending: str) -> Graph:
    """Return the part up to ``ending`` with features (B, D): the mean over positions if it ends in maps."""
    last, nodes = graph.node(ending), graph.ancestors([ending])
    if last.rank == 1:
        return replace(graph, nodes=nodes, outputs=(ending,))
    if not 2 <= last.rank <= 4:
        raise Refusal(f"the layer {last.name!r} makes {last.rank} axes", "cut at another layer")
    name = free_name("features", {node.name for node in nodes})
    pool = Node(
        name=name,
        kind=f"GlobalAveragePooling{last.rank - 1}D",
        config={"keepdims": False},
        inputs=(last.name,),
        path=(name,),
        rank=1,
    )
    return replace(graph, nodes=(*nodes, pool), outputs=(name,))


def _verify(
    graph: Graph,
    model: Any,
    flat: Any,
    config: Mapping[str, Any],
    mine: Tensors,
    scaling: Scaling,
) -> None:
    """Raise Refusal unless what is built from plain data computes what the model computes.

    The flat graph is compared with the model on all its outputs, and the blocks with the flat graph at the
    cut, on random inputs in the range that the model expects.
    """
    x = np.random.default_rng(0).random((EXAMPLES, *graph.input_shape), np.float32)
    low, high = scaling.expected
    x = (low + (high - low) * x).astype(np.float32)
    # The model may take grey images without their channel.
    given = x if None in model.input_shape[1:] else x.reshape(len(x), *model.input_shape[1:])
    try:
        *mine_out, at_cut = _listed(flat(x, training=False))
        theirs = _listed(model(given, training=False))
    except Exception as error:  # of a layer at work, of many kinds
        raise Refusal(
            f"it cannot be computed on values of {low:g} to {high:g} "
            f"({short(' '.join(str(error).split()))})",
            f"say with {arg.value_range} which values it expects",
        ) from None
    for ours, expected in zip(mine_out, theirs, strict=True):
        _compare(ours, expected, "the rebuilt layers")
    encoder = Encoder(config, seed=None)
    assign(mine, encoder.variables)
    at_cut = at_cut.mean(axis=tuple(range(1, at_cut.ndim - 1))) if at_cut.ndim > 2 else at_cut
    _compare(np.asarray(encoder(x, False)), at_cut, "the blocks")


def _listed(outputs: Any) -> list[np.ndarray]:
    return list(map(np.asarray, outputs if isinstance(outputs, list | tuple) else [outputs]))


def _compare(ours: np.ndarray, expected: np.ndarray, what: str) -> None:
    apart = float(np.abs(ours - expected).max())
    if not apart <= TOLERANCE * max(1.0, float(np.abs(expected).max())):
        raise Refusal(
            f"{what} compute something else than the model (by up to {apart:.2g}), so it cannot be "
            f"imported",
            "report it with the model's summary",
        )


def _reversed(part: Graph, mine: Tensors, by_block: Mapping[str, str]) -> Tensors:
    """Return the kernels of the first convolutions with the input's channels reversed.

    Models that were trained on blue-green-red images then take red-green-blue ones: the same numbers, for
    a convolution sums over channels.
    """
    below, changed = {INPUT}, {}
    for node in part.nodes:
        if not below.intersection(node.inputs):
            continue
        if node.kind == "ZeroPadding2D":
            below.add(node.name)
        elif node.kind == "Conv2D" and node.config["groups"] == 1:
            path = f"{by_block[node.name]}/{node.name}/kernel"
            changed[path] = np.ascontiguousarray(mine[path][:, :, ::-1, :])
        else:
            raise Refusal(f"its channels cannot be reversed before {node.name!r} ({node.kind})")
    return changed
