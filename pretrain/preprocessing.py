"""From a source's raw values to what an encoder sees: ``x * scale + offset``, kept in the file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.dataset import Dataset


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """The map from raw examples to the encoder's input, which lies in [0, 1].

    input_dtype: "uint8" or "float32", of the raw examples.
    value_range: (low, high) of the raw examples.
    scale, offset: one number for all channels, or one a channel.
    """

    input_dtype: str
    value_range: tuple[float, float]
    scale: Sequence[float]
    offset: Sequence[float]

    @classmethod
    def fit(cls, dataset: Dataset) -> Preprocessing:
        """Return the map that takes the data set's value range to [0, 1]."""
        low, high = dataset.value_range
        return cls(
            input_dtype=str(dataset.x.dtype),
            value_range=(low, high),
            scale=(1 / (high - low),),
            offset=(-low / (high - low),),
        )

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Preprocessing:
        """Rebuild from a weights file's (checked) field."""
        low, high = data["value_range"]
        return cls(
            input_dtype=data["input_dtype"],
            value_range=(low, high),
            scale=tuple(data["scale"]),
            offset=tuple(data["offset"]),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the weights file's field."""
        return {
            "input_dtype": self.input_dtype,
            "value_range": list(self.value_range),
            "scale": list(self.scale),
            "offset": list(self.offset),
        }

    def __call__(self, x: Any) -> Any:
        """Return the tensor ``x`` (B, ...) of raw examples as float32 in the encoder's range."""
        import tensorflow as tf

        scale = tf.constant(self.scale, tf.float32)
        return tf.cast(x, tf.float32) * scale + tf.constant(self.offset, tf.float32)
