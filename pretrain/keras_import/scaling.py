"""Which values a foreign model expects, and how raw ones are brought there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from headstart.errors import arg
from pretrain.keras_import.graph import Graph, starts_with_scaling


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """Raw images, 0 to 255, times ``scale`` plus ``offset`` are what the model expects.

    scale, offset: one number, or one a channel (red, green, blue).
    reversed_channels: the model takes blue, green, red.
    why: where this is known from, for people.
    """

    scale: tuple[float, ...]
    offset: tuple[float, ...]
    why: str
    reversed_channels: bool = False

    @property
    def expected(self) -> tuple[float, float]:
        """The least and the greatest value that the model expects."""
        ends = [o + s * v for s in self.scale for o in self.offset for v in (0.0, 255.0)]
        return min(ends), max(ends)

    def preprocessing(self, input_shape: tuple[int, ...]) -> dict[str, Any]:
        """Return the weights file's field; a table's columns are taken as they are."""
        if len(input_shape) == 1:
            low, high = self.expected
            return {
                "input_dtype": "float32",
                "value_range": [float(low), float(high)],
                "scale": [1.0],
                "offset": [0.0],
            }
        return {
            "input_dtype": "uint8",
            "value_range": [0.0, 255.0],
            "scale": [float(one) for one in self.scale],
            "offset": [float(one) for one in self.offset],
        }


def spanning(low: float, high: float, why: str) -> Scaling:
    """Return the scaling of a model that expects values from ``low`` to ``high``."""
    return Scaling(scale=((high - low) / 255,), offset=(low,), why=why)


def guessed(graph: Graph) -> Scaling:
    """Return what a model file's layers suggest."""
    if starts_with_scaling(graph):
        return spanning(0, 255, "it begins with Rescaling or Normalization")
    return spanning(0, 1, f"the usual range; {arg.value_range} says another")


# keras.applications' preprocess_input: the numbers of its modes "tf", "torch" and "caffe".
def of_mode(mode: str) -> Scaling:
    """Return the scaling of a mode of ``keras.applications``; "inside" leaves it to the model."""
    if mode == "tf":
        return spanning(-1, 1, "as preprocess_input of this family does")
    if mode == "torch":
        means, spreads = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
        return Scaling(
            scale=tuple(1 / (255 * spread) for spread in spreads),
            offset=tuple(-m / s for m, s in zip(means, spreads, strict=True)),
            why="mean and spread of ImageNet's channels, as preprocess_input of this family does",
        )
    if mode == "caffe":
        return Scaling(
            scale=(1.0,),
            offset=(-123.68, -116.779, -103.939),
            why="minus the mean of ImageNet's channels, as preprocess_input of this family does",
            reversed_channels=True,
        )
    return spanning(0, 255, "the model scales inside")
