"""What a model of a task is to give: chances of classes, numbers in their own units, or of labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tasks.targets import target_kind
from tasks.task import TargetTask
from transfer.metrics.scores import measure, measure_labels, measure_numbers


@dataclass(frozen=True, kw_only=True)
class Aim:
    """The way from a task's y to what the engine learns, and from a head's outputs to predictions.

    kind: a name in tasks.targets.KINDS.
    names: of the K classes or labels; none for numbers.
    center, spread: what numbers are standardised with; 0 and 1 for others.
    """

    kind: str
    names: tuple[str, ...] = ()
    center: float = 0.0
    spread: float = 1.0

    @classmethod
    def of(cls, task: TargetTask, rows: np.ndarray) -> Aim:
        """Learn what there is to learn from the labels at ``rows``, and no others."""
        y = task.y[rows]
        if target_kind(y) != "numbers":
            return cls(kind=target_kind(y), names=task.class_names)
        center, spread = standard(y)
        return cls(kind="numbers", center=center, spread=spread)

    @property
    def outputs(self) -> int:
        """How many values a head gives: 1 for numbers and for two classes, else K."""
        if self.kind == "numbers" or (self.kind == "classes" and len(self.names) == 2):
            return 1
        return len(self.names)

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Return y as ``transfer.training.fit.fit`` takes it."""
        if self.kind == "classes":
            return y.astype(np.int32)
        return ((y.astype(np.float64) - self.center) / self.spread).astype(np.float32)

    def layer(self, *, logits: bool = True) -> Any:
        """Return the Keras layer behind the head. logits: False for a head that gives chances itself."""
        import keras

        if self.kind == "numbers":
            return keras.layers.Rescaling(self.spread, self.center, name="numbers")
        activation = "linear"
        if logits:
            activation = "sigmoid" if self.outputs == 1 or self.kind != "classes" else "softmax"
        return keras.layers.Activation(activation, name="probabilities")

    def predictions(self, outputs: np.ndarray, *, logits: bool = True) -> np.ndarray:
        """Return what a head's outputs (N, outputs) say, computed with care for rounding.

        Chances (N, K) float32 of classes (K of two is 2) or of labels; numbers (N,) float64.
        """
        if self.kind == "numbers":
            return outputs[:, 0].astype(np.float64) * self.spread + self.center
        if logits:
            return predictions(outputs, self.kind)
        if self.kind == "classes" and outputs.shape[1] == 1:
            return np.hstack([1 - outputs, outputs])
        return outputs

    def measure(self, predicted: np.ndarray, y: np.ndarray) -> dict[str, Any]:
        """Return the metrics of ``predictions`` against a test part's y."""
        by_kind = {"classes": measure, "numbers": measure_numbers, "multi-label": measure_labels}
        return by_kind[self.kind](predicted, y)


def predictions(logits: np.ndarray, kind: str) -> np.ndarray:
    """Return the chances (N, K) float32 of logits; numbers as they are."""
    if kind == "numbers":
        return logits
    if kind == "multi-label":
        return np.exp(-np.logaddexp(0, -logits.astype(np.float64))).astype(np.float32)
    return from_logits(logits)


def standard(y: np.ndarray) -> tuple[float, float]:
    """Return mean and standard deviation of numbers (N,), the latter 1 where all are equal."""
    y = y.astype(np.float64)
    center, spread = float(y.mean()), float(y.std())
    # What is constant but for the rounding of its mean has no spread.
    return center, spread if spread > 1e-12 * float(np.abs(y).max()) else 1.0


def from_logits(logits: np.ndarray) -> np.ndarray:
    """Return probabilities (N, K) float32 of a head's outputs (N, K), or (N, 1) for two classes."""
    logits = logits.astype(np.float64)
    if logits.shape[1] == 1:
        positive = np.exp(-np.logaddexp(0, -logits))
        return np.concatenate([1 - positive, positive], axis=1).astype(np.float32)
    chances = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (chances / chances.sum(axis=1, keepdims=True)).astype(np.float32)
