"""A transfer's model as an ``.onnx`` file: converted by tf2onnx, run by onnxruntime, then put in place.

Keras' own ``model.export(format="onnx")`` calls the same converter, and is not used because it, with Keras
3.15 and tf2onnx 1.17, makes inputs of the constants of a ``Normalization``, has no way to add operators that
tf2onnx lacks (the exact GELU needs one), and writes other bytes for the same model each time.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from headstart.errors import InputError
from headstart.lazy import keras, tf

OPSET = 18
"""The version of ONNX' operators; any onnxruntime from 1.14 on runs it."""
MAX_BYTES = 2_000_000_000
"""Of all weights together: protobuf, in which the file is written, takes no message of 2 GiB."""


def write_onnx(model: Any, path: Path, about: Mapping[str, Any]) -> None:
    """Write a Keras model as the file ``path``; the JSON is kept in its metadata under "headstart".

    Raises InputError as ``to_onnx``.
    """
    made = to_onnx(model, {"headstart": json.dumps(about)})
    path.write_bytes(made.SerializeToString(deterministic=True))


def run_onnx(path: Path, x: np.ndarray) -> np.ndarray:
    """Return onnxruntime's outputs (N, K) for raw examples ``x`` (N, ...)."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        str(path), sess_options=options, providers=["CPUExecutionProvider"]
    )
    (given,) = session.get_inputs()
    parts = [session.run(None, {given.name: part})[0] for part in (x[:1], x[1:]) if len(part)]
    return np.concatenate(parts)


def to_onnx(model: Any, metadata: Mapping[str, str]) -> Any:
    """Return ``model`` as an ``onnx.ModelProto``, the same bytes for the same model every time.

    The input keeps Keras' name, dtype and shape, with a free batch size "N"; the output is named
    "probabilities".

    Args:
        model: a Keras model with one input and one output, functional or sequential.
        metadata: texts that are kept in the file.

    Raises:
        InputError: a layer has no counterpart in ONNX, or the weights take more than 2 GB.
    """
    import onnx

    size = sum(weight.numpy().nbytes for weight in model.weights)
    if size > MAX_BYTES:
        raise InputError(
            f"The model is too large for one ONNX file, which holds less than 2 GiB: its weights take "
            f"{size / 1e9:.1f} GB.",
            hint="Use the format savedmodel.",
        )
    try:
        with _undisturbed() as errors:
            made = _convert(model)
        if not errors:
            made = _canonical(made, model.inputs[0].name, model.name)
            onnx.helper.set_model_props(made, dict(metadata))
            onnx.checker.check_model(made, full_check=True)
    except Exception as error:  # of any kind: tf2onnx runs into whatever a layer leads it to
        errors = [*errors, str(error) or type(error).__name__]
    if errors:
        raise InputError(
            f"The model cannot be written as ONNX: {errors[0].splitlines()[0]}",
            hint="Use the format savedmodel, which takes every layer.",
        )
    return made


def _convert(model: Any) -> Any:
    """Return tf2onnx' conversion of ``model``, with names and order as they come."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2
    from tf2onnx import convert

    plain = keras.models.clone_model(model, clone_function=_without_resizing, recursive=True)
    (given,) = plain.inputs
    call = tf.function(lambda x: plain(x, training=False), autograph=False)
    eagerly = tf.config.functions_run_eagerly()
    # Keras computes a grouped convolution in an XLA function of its own, which tf2onnx cannot look into.
    tf.config.run_functions_eagerly(True)
    try:
        traced = call.get_concrete_function(tf.TensorSpec(given.shape, given.dtype))
    finally:
        tf.config.run_functions_eagerly(eagerly)
    # Not left to tf2onnx, which freezes variables alone and makes inputs of other constants.
    frozen = convert_variables_to_constants_v2(traced, lower_control_flow=False)
    made, _ = convert.from_graph_def(
        frozen.graph.as_graph_def(add_shapes=True),
        input_names=[tensor.name for tensor in frozen.inputs],
        output_names=[tensor.name for tensor in frozen.outputs],
        opset=OPSET,
        custom_op_handlers={
            "Erfc": (partial(_one_less, operator="Erf", sign=-1), []),
            "Expm1": (partial(_one_less, operator="Exp", sign=1), []),
        },
    )
    return made


def _one_less(graph: Any, node: Any, name: str, _: Any, *, operator: str, sign: int) -> None:
    """Write a TensorFlow operator that tf2onnx lacks as ``(operator(x) - 1) * sign``."""
    (source,), (target,) = node.input, node.output
    kind = {"dtypes": [graph.get_dtype(target)], "shapes": [graph.get_shape(target)]}
    one = graph.make_const(f"{name}/one", np.float32(1)).output[0]
    graph.remove_node(name)
    value = graph.make_node(operator, [source], name=f"{name}/value", **kind).output[0]
    operands = [value, one] if sign > 0 else [one, value]
    graph.make_node("Sub", operands, name=name, outputs=[target], **kind)


def _without_resizing(layer: Any) -> Any:
    """Return ``layer`` itself, or for one that resizes images two products with constant matrices."""
    # TensorFlow's antialiased resizing has no counterpart in ONNX, other interpolations only near ones. Each
    # is linear in the pixels, so resizing the unit vectors gives its matrices.
    if not isinstance(layer, keras.layers.Resizing | keras.layers.UpSampling2D):
        return layer
    _, height, width, channels = layer.input.shape
    _, rows, columns, _ = layer.output.shape
    by_aspect = any(getattr(layer, f"{how}_to_aspect_ratio", False) for how in ("crop", "pad"))
    # Integers are rounded, which is not linear.
    rounded = "float" not in layer.compute_dtype
    if by_aspect or rounded or None in (height, width) or layer.data_format != "channels_last":
        return layer
    inputs = keras.Input((height, width, channels))
    # (rows, H) @ (B, H, W * C), then (columns, W) @ (B, rows, W, C).
    hidden = keras.ops.reshape(inputs, (-1, height, width * channels))
    hidden = keras.ops.matmul(_resizer(layer, height, rows), hidden)
    hidden = keras.ops.reshape(hidden, (-1, rows, width, channels))
    outputs = keras.ops.matmul(_resizer(layer, width, columns), hidden)
    return keras.Model(inputs, outputs, name=layer.name)


def _resizer(layer: Any, length: int, wanted: int) -> np.ndarray:
    """Return the matrix (wanted, length) that resizes one side as ``layer`` does."""
    one_side = keras.layers.Resizing(
        wanted, 1, interpolation=layer.interpolation, antialias=getattr(layer, "antialias", False)
    )
    units = np.eye(length, dtype=np.float32).reshape(length, length, 1, 1)
    matrix: np.ndarray = one_side(units).numpy().reshape(length, wanted).T
    return matrix


def _canonical(made: Any, source_name: str, name: str) -> Any:
    """Return ``made`` with order and names that the graph alone decides.

    tf2onnx counts its names up through the whole process, and its order depends on them and on the seed
    of Python's hashes.
    """
    from onnx import helper

    (source,), (target,) = made.graph.input, made.graph.output
    makers = {output: node for node in made.graph.node for output in node.output}
    ordered: dict[str, Any] = {}
    stack = [(target.name, False)]
    while stack:
        wanted, ready = stack.pop()
        node = makers.get(wanted)
        if node is None or node.output[0] in ordered:
            continue
        if any(attribute.HasField("g") for attribute in node.attribute):
            raise ValueError(f"{node.name} is a loop or a branch.")
        if ready:
            ordered[node.output[0]] = node
        else:
            stack.append((wanted, True))
            stack.extend((needed, False) for needed in reversed(node.input))
    values = {tensor.name: tensor for tensor in made.graph.initializer}
    constants: list[Any] = []
    names = {source.name: source_name, "": ""}  # "" stands for an optional input that is not given
    for position, node in enumerate(ordered.values()):
        node.name = f"{node.op_type}_{position}"
        for needed in node.input:
            if needed not in names:  # what no earlier node made is a constant
                names[needed] = f"constant_{len(constants)}"
                constants.append(values[needed])
                constants[-1].name = names[needed]
        for k, output in enumerate(node.output):
            names[output] = "probabilities" if output == target.name else f"{node.name}_output_{k}"
        node.input[:] = [names[needed] for needed in node.input]
        node.output[:] = [names[output] for output in node.output]
    source.name, target.name = source_name, "probabilities"
    for tensor in (source, target):
        tensor.type.tensor_type.shape.dim[0].dim_param = "N"
    return helper.make_model(
        helper.make_graph(list(ordered.values()), name, [source], [target], constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=made.ir_version,
        producer_name=made.producer_name,
        producer_version=made.producer_version,
    )


@contextmanager
def _undisturbed() -> Iterator[list[str]]:
    """Yield the list of tf2onnx' errors; print nothing, and leave settings as they were.

    tf2onnx sets TensorFlow's log level in the environment, which child processes would inherit.
    """
    level = os.environ.get("TF_CPP_MIN_LOG_LEVEL")
    converter, tensorflow = logging.getLogger("tf2onnx"), logging.getLogger("tensorflow")
    before = converter.propagate, tensorflow.level
    errors: list[str] = []
    handler = logging.Handler(logging.ERROR)
    handler.emit = lambda record: errors.append(record.getMessage())  # type: ignore[method-assign]
    converter.addHandler(handler)
    converter.propagate = False
    tensorflow.setLevel(logging.ERROR)
    try:
        yield errors
    finally:
        converter.removeHandler(handler)
        converter.propagate = before[0]
        tensorflow.setLevel(before[1])
        os.environ.pop("TF_CPP_MIN_LOG_LEVEL", None)
        if level is not None:
            os.environ["TF_CPP_MIN_LOG_LEVEL"] = level
