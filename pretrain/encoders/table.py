"""``table``: a residual network over the columns of a table.

Each column is brought to a few numbers of its own: a value and its gap go in as they are, a category of many
levels is embedded, which is a product of its 0/1 numbers with a matrix of one row a level. All of them are
joined and mixed by residual blocks h + W2 relu(W1 norm(h)) (Gorishniy et al. 2021, "Revisiting Deep Learning
Models for Tabular Data", section 3.2, with layer instead of batch normalisation: a frozen block has no
statistics that drift). The features are relu(norm(h)) of the last block.

The columns stand in the option ``columns``, one word each: "n2" a number that has gaps, "b1" a 0 or 1, "c5"
one of five levels. Without it, every value is a number.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from itertools import accumulate
from typing import Any

from headstart.errors import InputError
from headstart.lazy import keras
from pretrain.encoders.base import Architecture, Option, Shapes, affine, integer

MAX_WIDTH = 1 << 20
MAX_COLUMNS = 10_000
# Categories up to so many levels go in as they are.
PLAIN = 8
TOKEN = re.compile(r"([nbc])([1-9]\d{0,6})")
SPREAD = 6.0
"""Values of numbers lie in [0, 1], squashed from -3 to 3: they are spread out again."""


def tokens(value: Any) -> list[str]:
    """Rule: words for the columns; text is read as "n1,c5"."""
    words = [word for word in value.split(",") if word] if isinstance(value, str) else value
    if not isinstance(words, list | tuple) or len(words) > MAX_COLUMNS:
        raise ValueError(f"must be a list of at most {MAX_COLUMNS:,} columns")
    if not all(isinstance(word, str) and TOKEN.fullmatch(word) for word in words):
        raise ValueError("must be words such as n1, n2, b1 or c5")
    return list(words)


def columns(input_shape: tuple[int, ...], options: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Return kind and width of each column. Raises InputError where they are not as wide as the input."""
    total = math.prod(input_shape)
    if not options["columns"]:
        return [("n", 1)] * total
    found = [(word[0], int(word[1:])) for word in options["columns"]]
    held = sum(width for _, width in found)
    if held != total:
        raise InputError(
            f"The columns of the encoder 'table' hold {held} values, and its input {total}."
        )
    return found


def embedding_size(levels: int, most: int) -> int:
    """Return how many numbers a category of ``levels`` becomes: 1.6 levels^0.56, as fast.ai has it."""
    return max(2, min(most, round(1.6 * levels**0.56)))


def _embedded(
    input_shape: tuple[int, ...], options: Mapping[str, Any]
) -> list[tuple[int, int, int]]:
    """Return (first value, width, size) of each column that is embedded."""
    found = columns(input_shape, options)
    starts = [0, *accumulate(width for _, width in found)]
    return [
        (start, width, embedding_size(width, options["embedding"]))
        for start, (kind, width) in zip(starts, found, strict=False)
        if kind == "c" and width > PLAIN
    ]


def shapes(input_shape: tuple[int, ...], options: Mapping[str, Any]) -> Shapes:
    """Return the shapes of the embeddings, of the first layer, and of each residual block."""
    result: Shapes = {}
    width, inner, joined = options["width"], options["hidden"], math.prod(input_shape)
    for index, (_, levels, size) in enumerate(_embedded(input_shape, options), start=1):
        result[f"columns/embed{index}/kernel"] = (levels, size)
        joined += size - levels
    result |= affine("columns/mix", joined, width)
    for i in range(1, options["depth"] + 1):
        block = f"block{i}"
        result |= {f"{block}/norm/gamma": (width,), f"{block}/norm/beta": (width,)}
        result |= affine(f"{block}/inner", width, inner) | affine(f"{block}/outer", inner, width)
        if i == options["depth"]:
            result |= {f"{block}/last/gamma": (width,), f"{block}/last/beta": (width,)}
    return result


def build(input_shape: tuple[int, ...], options: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Build the block ``columns``, and one block a residual layer; the last one ends in the features."""
    layers, width = keras.layers, options["width"]
    blocks = [("columns", _columns(input_shape, options))]
    for i in range(1, options["depth"] + 1):
        inputs = keras.Input((width,))
        hidden = layers.LayerNormalization(name="norm")(inputs)
        how = {"activation": "relu", "kernel_initializer": "he_normal"}
        hidden = layers.Dense(options["hidden"], name="inner", **how)(hidden)
        hidden = layers.Dense(width, name="outer")(hidden)
        hidden = layers.Add(name="add")([inputs, hidden])
        if i == options["depth"]:
            hidden = layers.LayerNormalization(name="last")(hidden)
            hidden = layers.Activation("relu", name="relu")(hidden)
        blocks.append((f"block{i}", keras.Model(inputs, hidden, name=f"block{i}")))
    return blocks


def _columns(input_shape: tuple[int, ...], options: Mapping[str, Any]) -> Any:
    """Return the model from the design (B, E) to the mixed columns (B, width)."""
    layers, total = keras.layers, math.prod(input_shape)
    inputs = hidden = keras.Input(input_shape)
    if len(input_shape) > 1:
        hidden = layers.Flatten(name="flatten")(hidden)
    spread = [
        SPREAD if kind == "n" and k == 0 else 1.0
        for kind, w in columns(input_shape, options)
        for k in range(w)
    ]
    middle = [-SPREAD / 2 if s == SPREAD else 0.0 for s in spread]
    hidden = layers.Rescaling(spread, middle, name="spread")(hidden)
    parts, plain = [], 0
    for index, (start, levels, size) in enumerate(_embedded(input_shape, options), start=1):
        if start > plain:
            parts.append(hidden[:, plain:start])
        one = hidden[:, start : start + levels]
        parts.append(layers.Dense(size, use_bias=False, name=f"embed{index}")(one))
        plain = start + levels
    if plain < total:
        parts.append(hidden[:, plain:] if plain else hidden)
    joined = layers.Concatenate(name="join")(parts) if len(parts) > 1 else parts[0]
    mixed = layers.Dense(options["width"], name="mix")(joined)
    return keras.Model(inputs, mixed, name="columns")


def decode(input_shape: tuple[int, ...], options: Mapping[str, Any]) -> Any:
    """Build a hidden layer and then logits of the input's shape."""
    inputs = keras.Input((options["width"],))
    how = {"activation": "relu", "kernel_initializer": "he_normal"}
    hidden = keras.layers.Dense(options["hidden"], name="decode1", **how)(inputs)
    logits = keras.layers.Dense(math.prod(input_shape), name="logits")(hidden)
    outputs = keras.layers.Reshape(input_shape, name="reshape")(logits)
    return keras.Model(inputs, outputs, name="decoder")


ROW = Architecture(
    name="table",
    summary="columns of a table: embeddings and a residual net; the default of tables with named columns",
    shapes=shapes,
    build=build,
    decode=decode,
    convolutional=False,
    options={
        "columns": Option([], "kinds and widths of the columns; set by the table", tokens),
        "width": Option(
            128, "numbers that the residual blocks pass on, and features", integer(2, 65536)
        ),
        "hidden": Option(256, "units inside a residual block", integer(2, 65536)),
        "depth": Option(2, "residual blocks", integer(1, 64)),
        "embedding": Option(32, "most numbers that a category becomes", integer(2, 1024)),
    },
)
