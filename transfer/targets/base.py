"""The interface of a kind of target: everything that depends on what y is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from headstart.lazy import keras, tf
from tasks.targets import strata
from transfer.data.folds import folds

if TYPE_CHECKING:
    from pretrain.engine.stage import Batch
    from tasks.dataset import Dataset

Table = tuple[list[str], Iterator[list[str]]]
"""The header of a CSV file and its rows."""


@dataclass(frozen=True, kw_only=True)
class Target(ABC):
    """A kind of target, with what it learnt from the labelled examples.

    Class attributes:
        name: as in tasks.targets.KINDS, and in files.
        objective: the name of its training objective.
        metrics: the numbers of an epoch's row beside the loss.
        exclusive: whether an example has one of K classes, so that classes can be balanced, stratified and
            confused. The reuse search, unlabelled examples and the figures need it.

    Attributes:
        names: of the K classes or labels; empty for numbers.
    """

    name: ClassVar[str]
    objective: ClassVar[str]
    metrics: ClassVar[tuple[str, ...]] = ()
    exclusive: ClassVar[bool] = False

    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, y: np.ndarray, names: tuple[str, ...]) -> Target:
        """Return the target, learnt from the labelled examples' y alone."""
        return cls(names=names)

    @property
    def outputs(self) -> int:
        """The number of values that a head gives for one example."""
        return len(self.names)

    # What a head learns from, and what it says.

    @abstractmethod
    def encode(self, y: np.ndarray) -> np.ndarray:
        """Return y, as a task has it, as training takes it: int32 (N,), float32 (N,) or (N, K)."""

    def answers(self, y: np.ndarray) -> np.ndarray:
        """Return encoded y as the outputs (N, outputs) float32 of a head that is always right."""
        return y.reshape(len(y), self.outputs).astype(np.float32)

    def probabilities(self, outputs: np.ndarray, *, logits: bool = True) -> np.ndarray:
        """Return a head's outputs (N, outputs) as they are judged: probabilities (N, K), or numbers.

        logits: False for a head that gives probabilities itself.
        """
        return outputs

    def predictions(self, outputs: np.ndarray, *, logits: bool = True) -> np.ndarray:
        """Return a head's outputs in the units of y: probabilities (N, K) float32, or numbers (N,)."""
        return self.probabilities(outputs, logits=logits)

    @property
    def activation(self) -> str:
        """Keras' name of the function from logits to probabilities."""
        return "sigmoid"

    def layer(self, *, logits: bool = True) -> Any:
        """Return the Keras layer behind the head; logits: as in ``probabilities``."""
        return keras.layers.Activation(
            self.activation if logits else "linear", name="probabilities"
        )

    # Training and validation.

    @abstractmethod
    def loss(self, outputs: Any, batch: Batch) -> Mapping[str, Any]:
        """Return the scalar "loss" of outputs (B, outputs), and the ``metrics``, as tensors.

        batch: "y" as ``encode`` makes it, or for classes a distribution float32 (B, K); "w", if there is one,
            float32 (B,), the weight of each example (their mean over all examples is 1).
        """

    @abstractmethod
    def solve(
        self, features: np.ndarray, y: np.ndarray, c: float, weights: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return kernel (D, outputs) and bias (outputs,) of the loss's linear minimum on features (N, D).

        y: encoded. c: the inverse strength of the L2 penalty. weights: float (N,) or None.
        """

    def groups(self, y: np.ndarray) -> np.ndarray | None:
        """Return the groups (N,) by which to stratify a validation split of encoded y; None: none."""
        return None

    def folds(self, y: np.ndarray, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return [(rows to train on, rows to validate on)] of encoded y."""
        return folds(strata(y), seed, classes=False)

    def judge(self, said: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
        """Return measures (M,) of ``probabilities`` (M, K), example by example, against encoded y."""
        return {"mean_squared_error": np.square(said - y.reshape(said.shape)).mean(axis=1)}

    @abstractmethod
    def measure(self, predicted: np.ndarray, y: np.ndarray, /) -> dict[str, Any]:
        """Return the metrics of ``predictions`` against a test part's y."""

    # Files and words.

    @abstractmethod
    def table(self, predicted: np.ndarray) -> Table:
        """Return header and rows of a CSV file of the model's outputs."""

    @abstractmethod
    def scores(self, predicted: np.ndarray, dataset: Dataset) -> dict[str, Any]:
        """Return a few metrics of the model's outputs on a data set that is labelled with the same things."""

    @abstractmethod
    def measured(self, result: Mapping[str, Any]) -> str:
        """Return the line about a result that a person reads in the terminal."""

    @abstractmethod
    def title(self) -> str:
        """Return what kind of model it is: "A classifier of 3 classes"."""

    @abstractmethod
    def outputs_text(self, cell: Callable[[str], str]) -> str:
        """Return a sentence about the model's outputs; ``cell`` escapes names."""

    def limits(self) -> list[str]:
        """Return sentences about what no test of such a model tells."""
        return []


def weighted_mean(losses: Any, batch: Batch) -> Any:
    """Return the mean of losses (B,), each by its example's weight if there is one."""
    return tf.reduce_mean(batch.arrays["w"] * losses if "w" in batch.arrays else losses)


def about(result: Mapping[str, Any]) -> str:
    """Return what a result was measured on."""
    return f"{result['test']['n']:,} examples, {result['test']['origin']}"


def span(result: Mapping[str, Any], name: str, times: int, form: str) -> str:
    """Return a metric's interval in words."""
    low, high = result[f"{name}_interval"]
    return f"{times * low:{form}} to {times * high:{form}}"
