"""Which values a foreign model expects, and how raw ones are brought there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from headstart.errors import arg
from pretrain.encoders.keras_graph import INPUT
from pretrain.keras_import.graph import Graph


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
        table = len(input_shape) == 1
        return {
            "input_dtype": "float32" if table else "uint8",
            "value_range": list(map(float, self.expected if table else (0, 255))),
            "scale": [1.0] if table else list(map(float, self.scale)),
            "offset": [0.0] if table else list(map(float, self.offset)),
        }


def spanning(low: float, high: float, why: str) -> Scaling:
    """Return the scaling of a model that expects values from ``low`` to ``high``."""
    return Scaling(scale=((high - low) / 255,), offset=(low,), why=why)


def guessed(graph: Graph) -> Scaling:
    """Return what a model file's first layers suggest."""
    below = {INPUT}
    for node in graph.nodes:
        if not below.intersection(node.inputs):
            continue
        if node.kind in ("Rescaling", "Normalization"):
            return spanning(0, 255, "it begins with Rescaling or Normalization")
        if node.kind not in ("Resizing", "Reshape"):
            break
        below.add(node.name)
    return spanning(0, 1, f"the usual range; {arg.value_range} says another")


_MEANS, _SPREADS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_SO = "as preprocess_input of this family does"
# The modes of keras.applications' preprocess_input, with its numbers; "inside" leaves it to the model.
MODES = {
    "tf": spanning(-1, 1, _SO),
    "torch": Scaling(
        scale=tuple(1 / (255 * spread) for spread in _SPREADS),
        offset=tuple(-m / s for m, s in zip(_MEANS, _SPREADS, strict=True)),
        why=f"mean and spread of ImageNet's channels, {_SO}",
    ),
    "caffe": Scaling(
        scale=(1.0,),
        offset=(-123.68, -116.779, -103.939),
        why=f"minus the mean of ImageNet's channels, {_SO}",
        reversed_channels=True,
    ),
    "inside": spanning(0, 255, "the model scales inside"),
}
