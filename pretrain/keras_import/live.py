"""Walk a live Keras model into a flat graph: inner models opened, arithmetic as layers, no dropout."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from headstart.errors import arg
from headstart.lazy import keras
from pretrain.encoders.keras_graph import CALLS, INPUT, check_inputs, free_name
from pretrain.encoders.keras_graph.options import (
    ATTENDING,
    LARGEST_REAL,
    LAST_AXIS,
    LAYERS,
    MERGING,
    plain_options,
)
from pretrain.keras_import import Refusal
from pretrain.keras_import.config import (
    IDENTITIES,
    LAYER_INSTEAD,
    MODELS,
    OPERATIONS,
    OPERATIONS_MODULE,
    OWN,
)
from pretrain.keras_import.graph import Graph, Node, Shape
from pretrain.weights.validation import short

# Of these layers other options are stored only where they differ from Keras' defaults, as the first version
# of the importer did: so the weights files it wrote and their digests stay the same.
_CONV = ("kernel_size", "strides", "padding", "activation", "use_bias")
_DEPTH = (*_CONV, "dilation_rate", "depth_multiplier")
_NORM = ("epsilon", "center", "scale")
ALWAYS: dict[str, tuple[str, ...]] = {
    "Dense": ("units", "activation", "use_bias"),
    "Conv2D": (*_CONV, "filters", "dilation_rate", "groups"),
    "DepthwiseConv2D": _DEPTH,
    "SeparableConv2D": (*_DEPTH, "filters"),
    "Conv2DTranspose": (*_CONV, "filters"),
    "BatchNormalization": (*_NORM, "momentum"),
    "LayerNormalization": _NORM,
    "GroupNormalization": (*_NORM, "groups"),
    "Activation": ("activation",),
    "ReLU": ("max_value", "negative_slope", "threshold"),
    "LeakyReLU": ("negative_slope",),
    "ELU": ("alpha",),
    "PReLU": ("shared_axes",),
    "Softmax": (),
    **dict.fromkeys(("MaxPooling2D", "AveragePooling2D"), ("pool_size", "strides", "padding")),
    **dict.fromkeys(
        ("GlobalMaxPooling2D", "GlobalAveragePooling2D", "GlobalAveragePooling1D"), ("keepdims",)
    ),
    "ZeroPadding2D": ("padding",),
    "Cropping2D": ("cropping",),
    "UpSampling2D": ("size", "interpolation"),
    "Flatten": (),
    "Reshape": ("target_shape",),
    **dict.fromkeys(MERGING - {"Dot", "Attention", "AdditiveAttention", "Concatenate"}, ()),
    "Concatenate": ("axis",),
    "Rescaling": ("scale", "offset"),
    "Resizing": ("height", "width", "interpolation", "antialias"),
}


ATTENDED = ("query", "value", "key")
EXPORTED = {"GroupedQueryAttention": "GroupQueryAttention"}


def read_model(model: Any, input_shape: Shape | None) -> Graph:
    """Return the flat graph of a functional or sequential Keras model. Raises Refusal.

    input_shape: of one example, where the model leaves sizes open.
    """
    inputs = getattr(model, "inputs", None) or []
    if len(inputs) != 1:
        raise Refusal(f"it has {len(inputs)} inputs, and an encoder has one")
    shape = _settled(list(inputs[0].shape[1:]), input_shape)
    walk = _Walk()
    below = INPUT
    if len(shape) == 2:
        # A grey image without its channel is an image all the same.
        grey = {"target_shape": list(shape)}
        shape = (*shape, 1)
        below = walk.add("grey", "Reshape", grey, [INPUT], (), 2)
    if len(shape) not in (1, 3):
        raise Refusal(
            f"its input has shape {shape}; an encoder takes images (height, width, channels) or vectors"
        )
    outputs = walk.model(model, below, ())
    used = {name for node in walk.nodes for name in node.inputs} | set(outputs)
    if not walk.nodes or INPUT not in used or INPUT in outputs:
        raise Refusal("its outputs are not computed from its input")
    return Graph(
        input_shape=shape,
        nodes=tuple(walk.nodes),
        outputs=tuple(outputs),
        aliases=walk.aliases,
        left_out=tuple(walk.left_out),
    )


class _Walk:
    """One walk over a model's nodes, in an order in which they can be computed."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.taken: set[str] = set()
        self.aliases: dict[str, str] = {}
        self.left_out: list[str] = []

    def model(self, model: Any, given: str, path: tuple[str, ...]) -> list[str]:
        """Add a model's layers; ``given`` is the node that it is called on. Return its outputs' nodes."""
        functional = getattr(model, "_functional", None) or model
        if len(functional.inputs) != 1:
            what = f"the model {short(repr(model.name))} in it"
            raise Refusal(f"{what} has {len(functional.inputs)} inputs")
        made = {id(functional.inputs[0]): given}
        nodes = [node for level in functional._nodes_by_depth.values() for node in level]
        place = {id(operation): i for i, operation in enumerate(functional.operations)}
        waiting = sorted(nodes, key=lambda node: place[id(node.operation)])
        waiting = [node for node in waiting if not node.is_input]
        while waiting:
            # By the number of layers below them: the order decides the digest of what is written.
            ready = [n for n in waiting if all(id(tensor) in made for tensor in n.input_tensors)]
            for node in ready:
                if len(node.outputs) != 1:
                    raise Refusal(
                        f"its layer {short(repr(node.operation.name))} has several outputs"
                    )
                made[id(node.outputs[0])] = self._node(node, made, path)
            waiting = [node for node in waiting if node not in ready]
        return [made[id(tensor)] for tensor in functional.outputs]

    def _node(self, node: Any, made: dict[int, str], path: tuple[str, ...]) -> str:
        """Add one layer, or the layers of a model inside; return the node that has its output."""
        layer, kind = node.operation, type(node.operation).__name__
        kind = EXPORTED.get(kind, kind)
        name = layer.name
        inputs = [made[id(tensor)] for tensor in _tensors(node, kind)]
        rank = len(node.outputs[0].shape) - 1
        module = type(layer).__module__
        if module == OPERATIONS_MODULE and kind in OPERATIONS:
            kind, config = _operation(name, kind, node.arguments, made)
            return self.add(name, kind, config, inputs, path, rank)
        call = _call(name, kind, node.arguments.kwargs)
        if kind in MODELS and module == MODELS[kind]:
            (output,) = self.model(layer, inputs[0], (*path, name))
            self.aliases.setdefault(name, output)
            return output
        if kind in IDENTITIES:
            self.aliases.setdefault(name, inputs[0])
            self.left_out.append(name)
            return inputs[0]
        if module == OWN.get(kind) and kind == "LayerScale":
            # A factor a channel is what a depthwise convolution of one pixel computes.
            ones = {"kernel_size": [1, 1], "strides": [1, 1], "dilation_rate": [1, 1]}
            rest = {"padding": "valid", "activation": "linear", "depth_multiplier": 1}
            config = {**ones, **rest, "use_bias": False}
            return self.add(name, "DepthwiseConv2D", config, inputs, path, rank, layer)
        if module == OWN.get(kind):
            factor = {"scale": float(layer.scale), "offset": 0.0}
            scaled = self.add(f"{name}.scaled", "Rescaling", factor, inputs[1:], path, rank)
            return self.add(name, "Add", {}, [inputs[0], scaled], path, rank)
        config = _stored_options(layer, name, kind, len(node.input_tensors[0].shape) - 1)
        return self.add(name, kind, config, inputs, path, rank, layer, call)

    def add(
        self,
        name: str,
        kind: str,
        config: dict[str, Any],
        inputs: list[str],
        path: tuple[str, ...],
        rank: int,
        layer: Any = None,
        call: dict[str, bool] | None = None,
    ) -> str:
        """Add one node under a name that is free, and return the name."""
        own = free_name(name, self.taken)
        if own != name and path:
            own = free_name(f"{path[-1]}.{name}", self.taken)
        try:
            check_inputs(name, kind, len(inputs))
        except ValueError as error:
            raise Refusal(f"it {error}") from None
        self.taken.add(own)
        self.nodes.append(
            Node(
                name=own,
                kind=kind,
                config=config,
                inputs=tuple(inputs),
                path=(*path, name),
                rank=rank,
                layer=layer,
                call=call or {},
            )
        )
        return own


def _stored_options(layer: Any, name: str, kind: str, rank: int) -> dict[str, Any]:
    """Return the options of a live layer as an encoder stores them."""
    about = f"its layer {short(repr(name))} ({kind})"
    if kind not in LAYERS or type(layer) is not getattr(keras.layers, kind):
        raise Refusal(f"{about} is not a layer that an imported encoder can have")
    try:
        options = plain_options(kind, layer.get_config())
    except ValueError as error:
        raise Refusal(f"{about} {error}") from None
    if kind in LAST_AXIS and options.get("axis") == rank:
        options["axis"] = -1
    if kind == "Normalization":
        return _statistics(layer, options.get("axis"), about)
    if kind in ("BatchNormalization", "GroupNormalization") and options.pop("axis") != -1:
        raise Refusal(f"{about} works along another axis than the last one")
    if kind == "PReLU" and options["shared_axes"] is None:
        options["shared_axes"] = []
    if kind not in ALWAYS:
        return options
    defaults = {
        key: list(row.default) if isinstance(row.default, tuple) else row.default
        for key, row in inspect.signature(type(layer).__init__).parameters.items()
    }
    return {
        key: value
        for key, value in options.items()
        if key in ALWAYS[kind] or (value is not False and value != defaults.get(key))
    }


def _statistics(layer: Any, axis: Any, about: str) -> dict[str, Any]:
    """Return mean and variance of a Normalization layer, one a channel."""
    if axis not in (-1, None, []):
        raise Refusal(f"{about} normalises other than along the last axis")
    channels = int(layer.input.shape[-1])
    return {
        key: [float(x) for x in np.broadcast_to(np.ravel(np.array(value)), channels)]
        for key, value in (("mean", layer.mean), ("variance", layer.variance))
    }


def _tensors(node: Any, kind: str) -> list[Any]:
    """Return the tensors that a layer is called on, an attention's in the order of its parameters."""
    kwargs = node.arguments.kwargs
    if kind not in ATTENDING or not set(ATTENDED) & set(kwargs):
        return list(node.input_tensors)
    return [*node.arguments.args, *(kwargs[key] for key in ATTENDED if kwargs.get(key) is not None)]


def _call(name: str, kind: str, kwargs: dict[str, Any]) -> dict[str, bool]:
    """Return how a layer is called beyond its inputs; Refusal for what an encoder cannot repeat."""
    extra = {key: value for key, value in kwargs.items() if value is not None}
    # Keras notes training=True of every layer that prepares data, and sets it by the call all the same.
    prepares = kind in IDENTITIES | {"Resizing", "Rescaling", "Normalization", "CenterCrop"}
    training = extra.pop("training", None) and not prepares
    on = [key for key in CALLS if extra.pop(key, False) is True]
    tensors = ATTENDED if kind in ATTENDING else ()
    if training or any(value is not False for key, value in extra.items() if key not in tensors):
        names = ", ".join(map(short, ["training"] * bool(training) + list(extra)))
        raise Refusal(f"its layer {short(repr(name))} is called with special arguments ({names})")
    return dict.fromkeys(on if kind in MERGING | ATTENDING else (), True)


def _operation(
    name: str, kind: str, arguments: Any, made: dict[int, str]
) -> tuple[str, dict[str, Any]]:
    """Return the layer, and its options, that computes what an operation on tensors computes."""
    about = f"its operation {short(repr(name))} ({kind})"
    if len(arguments.args) != 2 or arguments.kwargs:
        raise Refusal(f"{about} is called with other than two operands", LAYER_INSTEAD)
    left, right = (None if id(one) in made else one for one in arguments.args)
    if left is None and right is None:
        if kind not in ("Add", "Subtract", "Multiply"):
            raise Refusal(f"{about} divides one tensor by another", LAYER_INSTEAD)
        return kind, {}
    first = left is None
    constant = np.squeeze(np.array(right if first else left))
    values = [float(one) for one in constant.ravel()]
    if constant.ndim > 1 or not values or not all(abs(one) <= LARGEST_REAL for one in values):
        raise Refusal(f"{about} has an operand that is not one number, or one a channel")
    scale, offset = [1.0], [0.0]
    if kind == "Add":
        offset = values
    elif kind == "Multiply":
        scale = values
    elif kind == "Subtract":
        scale = [1.0 if first else -1.0]
        offset = [-one for one in values] if first else values
    elif first and all(values):
        scale = [1 / one for one in values]
    else:
        raise Refusal(f"{about} divides by a tensor or by zero", LAYER_INSTEAD)
    return "Rescaling", {
        "scale": scale if len(scale) > 1 else scale[0],
        "offset": offset if len(offset) > 1 else offset[0],
    }


def _settled(declared: list[int | None], wanted: Shape | None) -> Shape:
    """Return the input's shape with every size known."""
    sizes = list(declared if wanted is None else wanted)
    shown, given = ("x".join("?" if n is None else str(n) for n in s) for s in (declared, sizes))
    fits = all(n in (None, w) for n, w in zip(declared, sizes, strict=False))
    if len(sizes) != len(declared) or not fits:
        raise Refusal(
            f"its input has shape {shown}, and {arg.input_shape} is {given}",
            f"leave {arg.input_shape} out, or give one that fits",
        )
    if None in sizes:
        raise Refusal(
            f"its input has the open shape {shown}", f"give {arg.input_shape}, such as 96x96x3"
        )
    return tuple(int(n) for n in sizes if n is not None)
