"""The inputs of an exported model of a table: raw columns by name, in stock Keras layers."""

from __future__ import annotations

from typing import Any

from headstart.lazy import keras
from tasks.tables.schema import Column, Schema, squash

UNKNOWN = "[UNK]"


def table_inputs(schema: Schema) -> Any:
    """Return a Keras model from raw columns to the design of their schema.

    Its input is a dictionary of columns (B, 1) by name, as ``Schema.raw`` returns them: float64 of numbers
    (NaN for gaps), of truth values 0 and 1, of dates days since 1970-01-01; text of categories ("" for gaps).
    The output is float32 (B, E).
    """
    inputs, parts = {}, []
    for index, (name, column) in enumerate(zip(schema.inputs, schema.columns, strict=True)):
        kind = "string" if column.kind == "categorical" else "float64"
        inputs[name] = keras.Input((1,), dtype=kind, name=name)
        make = _levels if column.kind == "categorical" else _values
        parts += make(inputs[name], column, index)
    joined = keras.layers.Concatenate(name="design")(parts) if len(parts) > 1 else parts[0]
    return keras.Model(inputs, joined, name="columns")


def _values(raw: Any, column: Column, index: int) -> list[Any]:
    """Return value and gap of a number, date or truth value, float32 (B, 1) each."""
    ops = keras.ops
    gap = ops.isnan(raw)
    known = ops.where(gap, ops.full_like(raw, column.center), raw)
    if column.kind == "boolean":
        there = ops.where(gap, ops.zeros_like(raw), raw)
        value = ops.cast(ops.equal(there, 1.0), "float32")
    else:
        # In float64: large whole numbers would collapse.
        scaled = ops.divide(ops.subtract(known, column.center), column.scale)
        value = squash(ops.cast(ops.clip(scaled, -1e18, 1e18), "float32"), ops.sqrt)
    return [value, *([ops.cast(gap, "float32")] if column.gaps else [])]


def _levels(raw: Any, column: Column, index: int) -> list[Any]:
    """Return the levels of a category, float32 (B, K), K + 1 with rare ones, and its gap."""
    ops, count = keras.ops, len(column.levels)
    unknown = UNKNOWN
    while unknown in column.levels:
        unknown += "_"
    lookup = keras.layers.StringLookup(
        # Without a word Keras makes no table: what no cell holds stands in.
        vocabulary=list(column.levels) or [unknown + "_"],
        oov_token=unknown,
        mask_token="",
        name=f"levels{index}",
    )
    # 0 is the gap, 1 an unknown level.
    place = lookup(raw)
    wanted = [2 + k for k in range(count)] + ([1] if column.rare else [])
    wanted += [0] if column.gaps else []
    return [ops.cast(ops.equal(place, k), "float32") for k in wanted]
