"""The stock Keras layers that an imported encoder may have, and their options as plain data; without Keras.

A layer's class is a name of this table, looked up in ``keras.layers``; its options are numbers, flags, short
texts and lists of them. Nothing here can name code, a file or a class outside the table.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

# Layers with which a block begins: those that learn more than a gain and a shift.
ATTENDING = {"MultiHeadAttention", "GroupQueryAttention"}
LEARNING = {
    *("Dense", "EinsumDense", "Embedding", "Conv1D", "Conv2D", "Conv3D"),
    *("DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D"),
    *("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"),
    *("SimpleRNN", "LSTM", "GRU", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"),
    *("Bidirectional", "TimeDistributed", *ATTENDING),
}
# Layers that take one list of inputs, and those that take their inputs one by one.
MERGING = {
    *("Add", "Multiply", "Average", "Maximum", "Minimum", "Subtract", "Concatenate", "Dot"),
    *("Attention", "AdditiveAttention"),
}
_POOLING = ("MaxPooling", "AveragePooling", "GlobalMaxPooling", "GlobalAveragePooling")
LAYERS = {
    *(*LEARNING, *MERGING),
    *("BatchNormalization", "LayerNormalization", "GroupNormalization"),
    *("RMSNormalization", "UnitNormalization", "Normalization", "Rescaling"),
    *("Activation", "ReLU", "LeakyReLU", "ELU", "PReLU", "Softmax"),
    *(f"{kind}{n}D" for kind in _POOLING for n in (1, 2, 3)),
    *(f"{kind}{n}D" for kind in ("ZeroPadding", "Cropping", "UpSampling") for n in (1, 2, 3)),
    *("Flatten", "Reshape", "Permute", "RepeatVector", "Resizing", "CenterCrop"),
}
WRAPPED = {"Bidirectional": ("layer", "backward_layer"), "TimeDistributed": ("layer",)}
ACTIVATIONS = {
    *("linear", "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "swish"),
    *("mish", "tanh", "hard_tanh", "sigmoid", "hard_sigmoid", "log_sigmoid", "hard_silu"),
    *("hard_swish", "softplus", "softsign", "squareplus", "exponential", "softmax"),
    *("log_softmax", "glu", "hard_shrink", "soft_shrink", "tanh_shrink"),
    *("sparse_plus", "sparse_sigmoid", "sparsemax"),
}

# Options that say how weights began or are held, or how the layer behaves in training, or how fast it is.
IGNORED_ENDS = ("_initializer", "_regularizer", "_constraint")
IGNORED = {
    *("name", "trainable", "dtype", "data_format", "batch_shape", "batch_input_shape", "seed"),
    *("synchronized", "renorm_clipping", "renorm_momentum", "dropout", "recurrent_dropout"),
    *("unroll", "use_cudnn", "implementation", "zero_output_for_mask", "flash_attention"),
}
# Options that would change what a layer is: other outputs, state between batches, masks, other weights.
REFUSED = {
    *("lora_rank", "lora_alpha", "quantization_config", "stateful", "return_state"),
    *("mask_zero", "renorm", "sparse", "ragged", "vocabulary", "invert"),
}
REAL = {
    *("epsilon", "momentum", "negative_slope", "max_value", "threshold", "alpha", "scale"),
    *("offset", "mean", "variance"),
}
LAST_AXIS = {
    *("BatchNormalization", "LayerNormalization", "GroupNormalization"),
    *("Softmax", "Normalization"),
}
LARGEST_INTEGER, LARGEST_REAL = 1 << 24, 1e12
MOST_VALUES, LONGEST_TEXT, DEEPEST = 1 << 16, 100, 4
Options = dict[str, Any]


def plain_options(kind: str, raw: Any, depth: int = 0) -> Options:
    """Return the options of a layer that decide its outputs, as JSON. Raises ValueError with the reason.

    kind: of the table. raw: options as Keras saves them, or as a weights file holds them. A layer inside
    another becomes ``{"class": ..., "config": ...}``.
    """
    if not isinstance(raw, Mapping) or depth > 2:
        raise ValueError("has no options that Keras writes")
    _check_kind_of_numbers(raw.get("dtype"))
    if raw.get("data_format") not in (None, "channels_last"):
        raise ValueError("has the channels first; save the model with the channels last")
    result: Options = {}
    for key, value in raw.items():
        if not isinstance(key, str) or not key.isidentifier() or len(key) > LONGEST_TEXT:
            raise ValueError(f"has the option {key!r}, which is not known")
        if key in IGNORED or key.endswith(IGNORED_ENDS):
            continue
        if key in REFUSED:
            if value is not None and value is not False:
                raise ValueError(f"has the option {key}={value!r}, which an encoder cannot have")
        elif key in WRAPPED.get(kind, ()):
            result[key] = None if value is None else _inner(value, depth)
        elif key.endswith("activation"):
            result[key] = _activation(key, value)
        else:
            result[key] = _plain(key, value, 0)
    if kind in LAST_AXIS and isinstance(axis := result.get("axis"), list) and len(axis) == 1:
        result["axis"] = axis[0]
    return result


def as_keras_saves(kind: str, options: Options) -> Options:
    """Return plain options with layers inside in the form that Keras deserialises."""
    inner = {
        key: {
            "module": "keras.layers",
            "class_name": options[key]["class"],
            "registered_name": None,
            "config": as_keras_saves(options[key]["class"], options[key]["config"]),
        }
        for key in WRAPPED.get(kind, ())
        if options.get(key) is not None
    }
    return {**options, **inner}


def _inner(value: Any, depth: int) -> Options:
    kind = value.get("class", value.get("class_name")) if isinstance(value, Mapping) else None
    stock = kind in LAYERS and value.get("module", "keras.layers") == "keras.layers"
    if not stock or value.get("registered_name") not in (None, kind):
        raise ValueError(f"wraps a {_short(kind)}, which an encoder cannot have")
    return {"class": kind, "config": plain_options(str(kind), value.get("config"), depth + 1)}


def _check_kind_of_numbers(raw: Any) -> None:
    if isinstance(raw, Mapping) and raw.get("class_name") == "DTypePolicy":
        raw = raw.get("config", {}).get("name") if isinstance(raw.get("config"), Mapping) else raw
    if raw is not None and raw != "float32":
        raise ValueError(
            f"computes in {_short(raw)}, and encoders compute in float32; rebuild the model with the "
            f"dtype policy float32, set its weights, and save it again"
        )


def _activation(key: str, value: Any) -> str | None:
    if isinstance(value, Mapping):
        raise ValueError(
            f"holds a {_short(value.get('class_name'))} where a plain value belongs; give an activation a "
            f"layer of its own, and save the model again"
        )
    if value is not None and (not isinstance(value, str) or value not in ACTIVATIONS):
        raise ValueError(f"has {key!r} that must be one of {', '.join(sorted(ACTIVATIONS))}")
    return value


def _plain(key: str, value: Any, depth: int) -> Any:
    """Return a number, flag, text or list of them within the limits; arrays and tuples become lists."""
    if isinstance(value, Mapping):
        config = value.get("config")
        if value.get("class_name") in ("__numpy__", "__tensor__") and isinstance(config, Mapping):
            return _plain(key, config.get("value"), depth)
        if value.get("class_name") == "__tuple__":
            return _plain(key, value.get("items"), depth)
        raise ValueError(f"holds a {_short(value.get('class_name'))} where a plain value belongs")
    if isinstance(value, list | tuple):
        if len(value) > MOST_VALUES or depth > DEEPEST:
            raise ValueError(f"has more than {MOST_VALUES:,} values in {key!r}, or nested too deep")
        return [_plain(key, one, depth + 1) for one in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) <= LARGEST_INTEGER:
        return float(value) if key in REAL else value
    if isinstance(value, float) and math.isfinite(value) and abs(value) <= LARGEST_REAL:
        return value
    if isinstance(value, str) and len(value) <= LONGEST_TEXT and value.isprintable():
        return value
    raise ValueError(
        f"has {key!r} that must be a number of at most {LARGEST_INTEGER:,} or a short text. "
        f"Got {_short(value)}"
    )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + "…"
