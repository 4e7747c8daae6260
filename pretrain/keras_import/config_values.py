"""One layer's configuration, as Keras saves it, to the few plain values that matter to its outputs."""

from __future__ import annotations

from typing import Any

from pretrain.encoders.keras_graph.layers import LAYERS, Shape
from pretrain.keras_import.refusal import Refusal
from pretrain.weights.validation import short

# Layers that hand on what they get, outside training.
IDENTITIES = (
    *("Identity", "Dropout", "SpatialDropout1D", "SpatialDropout2D", "AlphaDropout"),
    *("GaussianDropout", "GaussianNoise", "ActivityRegularization", "RandomFlip"),
    *("RandomRotation", "RandomTranslation", "RandomZoom", "RandomContrast", "RandomBrightness"),
)
# They say how weights began, are held, or how the layer behaves in training or on other layouts.
IGNORED = ("_initializer", "_regularizer", "_constraint")
IGNORED_NAMES = {"name", "trainable", "dtype", "synchronized", "renorm_clipping", "renorm_momentum"}
IGNORED_NAMES |= {"fill_mode", "fill_value", "data_format", "batch_shape", "batch_input_shape"}
LAST_AXIS = ("BatchNormalization", "LayerNormalization", "GroupNormalization", "Softmax")
UNKNOWN_STATISTICS = [0.0]


def layer_config(
    name: str, kind: str, raw: dict[str, Any], shape: Shape
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what an encoder stores of a layer's configuration, and what Keras may see of it.

    shape: of its (first) input, for one example. Raises Refusal for whatever would change the outputs and
    is not in the table. A Normalization without statistics in its configuration gets those of its weights
    later; until then it has zeros and ones.
    """
    layer = f"its layer {short(repr(name))} ({kind})"
    check_dtype(raw.get("dtype", "float32"), layer)
    if raw.get("data_format") not in (None, "channels_last"):
        raise Refusal(f"{layer} has the channels first", "save the model with the channels last")
    row = LAYERS[kind]
    given = dict(raw)
    stored: dict[str, Any] = {}
    kept: dict[str, Any] = {}
    if kind in LAST_AXIS:
        kept["axis"] = _last_axis(given.pop("axis", -1), shape, layer)
    if kind == "Normalization":
        return _normalization(given, shape, layer)
    if kind == "PReLU" and given.get("shared_axes") is None:
        given["shared_axes"] = []
    for option in row.options:
        if option not in given and option not in row.defaults:
            raise Refusal(f"{layer} does not say its {option!r}")
        value = _plain(given.pop(option, row.defaults.get(option)), layer)
        try:
            stored[option] = row.options[option](value)
        except ValueError as error:
            raise Refusal(f"{layer} has {option!r} that {error}: {short(repr(value))}") from None
    _nothing_else(given, layer)
    kept |= {k: v for k, v in stored.items() if not (k == "shared_axes" and v == [])}
    return stored, kept


def clean_identity(name: str, kind: str, raw: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration of a layer that does nothing outside training: plain values only."""
    layer = f"its layer {short(repr(name))} ({kind})"
    check_dtype(raw.get("dtype", "float32"), layer)
    skipped = ("dtype", "trainable", "data_format", "value_range")
    kept = {
        k: v
        for k, v in raw.items()
        if k not in skipped and not k.endswith(IGNORED) and isinstance(k, str)
    }
    if not all(_primitive(value) for value in kept.values()):
        raise Refusal(f"{layer} has options that are not plain numbers or text")
    return {**kept, "name": name}


def check_dtype(raw: Any, layer: str) -> None:
    """Raises Refusal unless a layer computes in float32."""
    if isinstance(raw, dict) and raw.get("class_name") == "DTypePolicy":
        raw = raw.get("config", {}).get("name") if isinstance(raw.get("config"), dict) else raw
    if raw is not None and raw != "float32":
        raise Refusal(
            f"{layer} computes in {short(repr(raw))}, and encoders compute in float32",
            "rebuild the model with the dtype policy float32, set its weights, and save it again",
        )


def _last_axis(axis: Any, shape: Shape, layer: str) -> int:
    axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
    if axis not in (-1, len(shape)) or isinstance(axis, bool):
        raise Refusal(f"{layer} works along axis {short(repr(axis))}, not the last one")
    return -1


def _normalization(
    given: dict[str, Any], shape: Shape, layer: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    raw_axis = given.pop("axis", -1)
    axes = raw_axis if isinstance(raw_axis, list) else [] if raw_axis is None else [raw_axis]
    axes = [axis - len(shape) - 1 if type(axis) is int and axis > 0 else axis for axis in axes]
    if axes not in ([-1], []) or given.pop("invert", False):
        raise Refusal(f"{layer} normalises other than along the last axis, or backwards")
    statistics = {key: _plain(given.pop(key, None), layer) for key in ("mean", "variance")}
    _nothing_else(given, layer)
    kept: dict[str, Any] = {"axis": -1 if axes else None}
    stored = {"mean": UNKNOWN_STATISTICS, "variance": [1.0]}
    if all(value is not None for value in statistics.values()):
        for key, value in statistics.items():
            stored[key] = _row(value, shape, layer)
            kept[key] = stored[key] if axes else value
    return stored, kept


def _row(value: Any, shape: Shape, layer: str) -> list[float]:
    while isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
        value = value[0]
    values = value if isinstance(value, list) else [value]
    if not all(type(one) in (int, float) for one in values):
        raise Refusal(f"{layer} has statistics that are not one number a channel")
    return [float(one) for one in values]


def _plain(value: Any, layer: str) -> Any:
    """Return arrays and tuples of a configuration as lists."""
    if isinstance(value, dict):
        config = value.get("config")
        if value.get("class_name") in ("__numpy__", "__tensor__") and isinstance(config, dict):
            return config.get("value")
        if value.get("class_name") == "__tuple__":
            return value.get("items")
        kind = value.get("class_name", "object")
        raise Refusal(
            f"{layer} holds a {short(repr(kind))} where a plain value belongs",
            "give an activation a layer of its own, and save the model again",
        )
    return value


def _nothing_else(rest: dict[str, Any], layer: str) -> None:
    for key, value in rest.items():
        if key in IGNORED_NAMES or key.endswith(IGNORED) or value is None or value is False:
            continue
        if key == "dilation_rate" and value in (1, [1, 1]):
            continue
        raise Refusal(
            f"{layer} has the option {short(key)}={short(repr(value))}, which is not known"
        )


def _primitive(value: Any) -> bool:
    if isinstance(value, list):
        return len(value) <= 64 and all(_primitive(one) for one in value)
    return value is None or isinstance(value, bool | int | float | str)
