"""The encoder: preprocessing, named blocks, and features of a data set."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.lazy import keras, tf
from pretrain.encoders import architecture, expected_shapes
from pretrain.encoders.base import by_path
from tasks.dataset import Dataset
from tasks.tables.schema import GAP, LEVEL, VALUE, Layout, Schema, squash


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """The map from raw examples to the encoder's input, which lies in [0, 1]: x * scale + offset.

    Attributes:
        input_dtype: "uint8" or "float32", of the raw examples.
        value_range: (low, high) of the raw examples.
        scale: one number for all channels, or one a channel.
        offset: the same.
        table: of a table with named columns, its schema: the encoder's input is its design, and scale and
            offset change nothing.
    """

    input_dtype: str
    value_range: tuple[float, float]
    scale: Sequence[float]
    offset: Sequence[float]
    table: Schema | None = None

    @classmethod
    def fit(cls, dataset: Dataset) -> Preprocessing:
        """Return the map that takes the data set's value range to [0, 1], or a table to its design."""
        low, high = dataset.value_range
        if dataset.schema is not None:
            return cls(
                input_dtype="float32",
                value_range=(0.0, 1.0),
                scale=(1.0,),
                offset=(0.0,),
                table=dataset.schema,
            )
        return cls(
            input_dtype=str(dataset.x.dtype),
            value_range=(low, high),
            scale=(1 / (high - low),),
            offset=(-low / (high - low),),
        )

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Preprocessing:
        """Rebuild from a weights file's (checked) field."""
        made: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in data.items()
        }
        return cls(**made | {"table": schema_of(data)})

    def to_json(self) -> dict[str, Any]:
        """Return the weights file's field."""
        plain = {k: v for k, v in vars(self).items() if k != "table"}
        made: dict[str, Any] = {k: list(v) if isinstance(v, tuple) else v for k, v in plain.items()}
        return made if self.table is None else {**made, "table": self.table.to_json()}

    def __call__(self, x: Any) -> Any:
        """Return the tensor ``x`` (B, ...) of raw examples as float32 in the encoder's range."""
        if self.table is not None:
            return design(x, self.table.layout)
        scale = tf.constant(self.scale, tf.float32)
        return tf.cast(x, tf.float32) * scale + tf.constant(self.offset, tf.float32)


def schema_of(preprocessing: Mapping[str, Any]) -> Schema | None:
    """Return the schema in a weights file's (checked) preprocessing; None where it has none."""
    table = preprocessing.get("table")
    return None if table is None else Schema.from_json(table)


def design(x: Any, layout: Layout) -> Any:
    """Return the design (B, E) of a table's x (B, D), as ``Schema.design`` has it, of Keras' operations."""
    ops = keras.ops
    part = ops.take(x, layout.source, axis=1)
    gap = ops.isnan(part)
    value = squash(ops.where(gap, ops.zeros_like(part), part), ops.sqrt)
    level = ops.cast(ops.equal(part, layout.code[None]), "float32")
    is_value, is_level, is_gap = (
        (layout.role == role).astype(np.float32)[None] for role in (VALUE, LEVEL, GAP)
    )
    return value * is_value + level * is_level + ops.cast(gap, "float32") * is_gap


class Encoder:
    """A ``keras.Model`` from preprocessed examples (B, ...) float32 to features (B, D) float32.

    Attributes:
        config: the JSON configuration that rebuilds it.
        blocks: [(name, keras.Model)], lowest first; "reuse the lower k" means the first k.
        model: the blocks in a row, as one stock Keras model without custom objects.

    Example:
        >>> encoder = Encoder(encoder_config("mlp", (28, 28, 1)), seed=0)
        >>> features = encoder(preprocessing(x), training=False)
    """

    def __init__(self, config: Mapping[str, Any], seed: int | None) -> None:
        """Build the encoder.

        Args:
            config: checked, as ``encoder_config`` returns it.
            seed: decides the initial weights; None draws any, for weights that are replaced at once.
        """
        self.config = dict(config)
        self.row = architecture(config["architecture"])
        shape = tuple(config["input_shape"])
        with contextlib.nullcontext() if seed is None else seeded(seed):
            self.blocks = self.row.build(shape, config["options"])
            inputs = hidden = keras.Input(shape, name="examples")
            for _, block in self.blocks:
                hidden = block(hidden)
            self.model = keras.Model(inputs, hidden, name="encoder")

    def __call__(self, x: Any, training: bool) -> Any:
        """Return features (B, D) of preprocessed examples (B, ...)."""
        return self.model(x, training=training)

    @property
    def feature_size(self) -> int:
        """D, the number of features."""
        return int(self.model.output_shape[-1])

    @property
    def variables(self) -> dict[str, Any]:
        """Every weight by its ``"block/layer/variable"`` path, in order; no random-generator state."""
        found = by_path(self.blocks)
        return {path: found[path] for path in expected_shapes(self.config)}

    @property
    def trainable(self) -> list[Any]:
        """The weights that a gradient may move."""
        return list(self.model.trainable_variables)

    @property
    def state(self) -> list[Any]:
        """The weights that no gradient moves: statistics of normalisation layers."""
        return list(self.model.non_trainable_variables)

    def tensors(self) -> dict[str, np.ndarray]:
        """Return a copy of every weight as float32, by path."""
        return copies(self.variables)


def copies(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return a copy of every variable as float32, by the same names."""
    return {name: np.array(variable.numpy(), np.float32) for name, variable in variables.items()}


def stream(seed: int, number: int) -> int:
    """Derive an independent seed for heads, decoders and generators.

    With the encoder's own seed, a head's first weights would repeat the encoder's.
    """
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Make Keras' initialisers a function of ``seed``; Python's and NumPy's generators are put back."""
    python, numpy = random.getstate(), np.random.get_state()
    try:
        keras.utils.set_random_seed(int(seed) % 2**32)
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


BATCH = 256


def features(encoder: Any, preprocess: Preprocessing, x: np.ndarray) -> np.ndarray:
    """Return the features of raw examples, computed with ``training=False``.

    Batches have one size, except the last, so the same examples and weights always give the same bits.

    Args:
        encoder: an ``Encoder``.
        preprocess: its preprocessing.
        x: raw examples (N, ...).

    Returns:
        float32 (N, D).
    """
    parts = [
        np.asarray(encoder(preprocess(x[i : i + BATCH]), False)) for i in range(0, len(x), BATCH)
    ]
    return np.concatenate(parts)


def sample(count: int, *pools: np.ndarray) -> np.ndarray:
    """Return ``count`` examples of the first pool; the missing ones of the next.

    They are evenly spaced: examples often lie sorted by class.
    """
    parts = []
    for pool in pools:
        taken = min(count, len(pool))
        parts.append(pool[np.arange(taken) * len(pool) // max(1, taken)])
        count -= taken
    return np.concatenate(parts)
