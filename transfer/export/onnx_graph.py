"""A Keras model as an ONNX graph: the walk from its input to its output, layer by layer.

tf2onnx, which Keras itself uses, knows no antialiased resizing and needs names that NumPy 2 has taken
away. A transfer's model is made of a few dozen stock layers, so each is written out here by a handler of
its own, with operators of ONNX' operator set 18 (any onnxruntime from 1.14 on). The tables are in
``onnx_layers`` and ``onnx_images``; a layer that is in neither is refused by name.

Images stay (batch, height, width, channels) throughout, as in Keras; what computes on channels first is
put between two transpositions, most of which onnxruntime takes out again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.errors import InputError

OPERATORS = 18
FORMAT = 8
"""The version of the file format (IR) that came with this operator set."""
LARGEST = 2_000_000_000
"""Bytes of constants: protobuf, which the file is made with, takes no message of 2 GiB."""


@dataclass(frozen=True, kw_only=True)
class Value:
    """A tensor of the graph: its name and its shape (B, ...), whose first axis, None, is free.

    raw: it holds integers in Keras' graph, before anything was computed; here it is float32 already.
    """

    name: str
    shape: tuple[int | None, ...]
    raw: bool = False


Handler = Callable[["Graph", Any, Sequence[Value]], str]
"""(graph, Keras layer, its inputs) -> the name of its output."""


class Graph:
    """The nodes and constants so far."""

    def __init__(self, taken: set[str]) -> None:
        """``taken``: the names of the graph's input and output."""
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.scope = "input"
        self._names = set(taken)
        self._known: dict[tuple[Any, ...], str] = {}
        self._bytes = 0

    def add(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Add a node with one output, and return the output's name."""
        from onnx import helper

        name = self._free(f"{self.scope}/{operator}")
        self.nodes.append(helper.make_node(operator, list(inputs), [name], name=name, **attributes))
        return name

    def constant(self, name: str, array: Any, dtype: Any = np.float32) -> str:
        """Add a constant, unless the very same is there, and return its name.

        Raises InputError when the file would outgrow its format.
        """
        from onnx import numpy_helper

        array = np.ascontiguousarray(array, dtype)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._known:
            self._bytes += array.nbytes
            if self._bytes > LARGEST:
                raise InputError(
                    "The model is too large for one ONNX file, which holds less than 2 GiB. Use "
                    "the SavedModel (--to savedmodel)."
                )
            self._known[key] = self._free(f"{self.scope}/{name}")
            self.constants.append(numpy_helper.from_array(array, self._known[key]))
        return self._known[key]

    def integers(self, name: str, values: Sequence[int]) -> str:
        """Add a vector of int64: a shape, axes."""
        return self.constant(name, list(values), np.int64)

    def reshape(self, value: str, shape: Sequence[int | None]) -> str:
        """Give ``value`` the shape (B, *shape[1:]); the batch's size stays as it comes."""
        return self.add("Reshape", [value, self.integers("shape", [0, *map(known, shape[1:])])])

    def _free(self, name: str) -> str:
        found, count = name, 1
        while found in self._names:
            count += 1
            found = f"{name}_{count}"
        self._names.add(found)
        return found


def known(size: int | None) -> int:
    """Return a size that must be fixed. Raises InputError when it is free."""
    if size is None:
        raise InputError(
            "Only the batch's size may be free in an ONNX file; this model leaves the size of its "
            "examples open."
        )
    return size


def to_onnx(model: Any, about: Mapping[str, str]) -> Any:
    """Return ``model`` (Keras, functional, one input and one output) as an ``onnx.ModelProto``.

    The input and output keep Keras' names, dtype and shape, with a free batch size, "N".
    about: texts that are kept in the file as its metadata.

    Raises InputError for a layer, an activation or a setting that no handler knows, named.
    """
    import onnx
    from onnx import TensorProto, helper

    (source,), (target,) = model.inputs, model.outputs
    types = {
        "uint8": TensorProto.UINT8,
        "int32": TensorProto.INT32,
        "float32": TensorProto.FLOAT,
    }
    if source.dtype not in types:
        raise InputError(f"A model with an input of {source.dtype} cannot be written as ONNX.")
    graph = Graph({source.name, "probabilities"})
    name, raw = source.name, source.dtype != "float32"
    if raw:
        name = graph.add("Cast", [name], to=TensorProto.FLOAT)
    result = _walk(graph, model, [Value(name=name, shape=tuple(source.shape), raw=raw)], "")
    graph.nodes.append(helper.make_node("Identity", [result], ["probabilities"], name="output"))
    made = helper.make_model(
        helper.make_graph(
            graph.nodes,
            model.name,
            [_described(source.name, types[source.dtype], source.shape)],
            [_described("probabilities", TensorProto.FLOAT, target.shape)],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", OPERATORS)],
        ir_version=FORMAT,
        producer_name="headstart",
    )
    helper.set_model_props(made, dict(about))
    onnx.checker.check_model(made, full_check=True)
    return made


def _described(name: str, kind: int, shape: Sequence[int | None]) -> Any:
    from onnx import helper

    return helper.make_tensor_value_info(name, kind, ["N", *map(known, shape[1:])])


def _walk(graph: Graph, model: Any, inputs: Sequence[Value], scope: str) -> str:
    """Add all of ``model``'s layers, those of models inside it too; return its output's name."""
    import keras

    if isinstance(model, keras.Sequential):
        (value,) = inputs
        for layer in model.layers:
            name = _layer(graph, layer, [value], scope)
            value = Value(name=name, shape=tuple(layer.output.shape))
        return value.name
    if not isinstance(model, keras.Model) or len(model.outputs) != 1:
        raise InputError(
            f"The model {model.name!r} ({type(model).__name__}) is not a functional Keras model "
            f"with one output, and so cannot be written as ONNX."
        )
    values = {id(t): value for t, value in zip(model.inputs, inputs, strict=True)}
    # Keras computes a functional model in this very order: from the greatest depth to 0.
    depths = model._nodes_by_depth
    for depth in sorted(depths, reverse=True):
        for node in depths[depth]:
            if node.is_input:
                continue
            given = [values[id(tensor)] for tensor in node.input_tensors]
            name = _layer(graph, node.operation, given, scope)
            (made,) = node.outputs
            raw = all(value.raw for value in given) and "float" not in made.dtype
            values[id(made)] = Value(name=name, shape=tuple(made.shape), raw=raw)
    return values[id(model.outputs[0])].name


def _layer(graph: Graph, layer: Any, inputs: Sequence[Value], scope: str) -> str:
    """Add one layer, or the layers of a model inside the model; return its output's name."""
    import keras

    inside = f"{scope}/{layer.name}" if scope else layer.name
    if isinstance(layer, keras.Model):
        return _walk(graph, layer, inputs, inside)
    handler = _handler(layer)
    before, graph.scope = graph.scope, inside
    try:
        return handler(graph, layer, inputs)
    except InputError as error:
        raise InputError(f"The layer {inside!r} cannot be written as ONNX: {error}") from None
    finally:
        graph.scope = before


def _handler(layer: Any) -> Handler:
    import keras

    from transfer.export.onnx_images import IMAGE_LAYERS
    from transfer.export.onnx_layers import LAYERS

    table = {**LAYERS, **IMAGE_LAYERS}
    name, module = type(layer).__name__, type(layer).__module__
    operation = not isinstance(layer, keras.layers.Layer)
    # Operations (keras.ops) share some names with layers, and so may a layer of someone's own.
    key = f"ops.{name}" if operation else name
    stock = (
        module.startswith("keras.") if operation else getattr(keras.layers, name, 0) is type(layer)
    )
    if not stock or key not in table:
        raise InputError(
            f"The layer {layer.name!r} is a {module}.{name}, which this version "
            f"cannot write as ONNX. Use the SavedModel (--to savedmodel), which takes every layer."
        )
    if not operation and layer.compute_dtype != "float32" and layer.weights:
        raise InputError(
            f"The layer {layer.name!r} computes in {layer.compute_dtype}; only float32 can be "
            f"written as ONNX."
        )
    return table[key]
