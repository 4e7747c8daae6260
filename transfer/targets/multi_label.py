"""Several labels an example: binary cross-entropies, a probability a label, F1."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.lazy import tf
from tasks.targets import strata
from transfer.metrics.scores import measure_labels
from transfer.numerics import sigmoid
from transfer.targets.base import Table, Target, about, span, weighted_mean
from transfer.targets.classification import logistic_regression

if TYPE_CHECKING:
    from pretrain.engine.stage import Batch
    from tasks.dataset import Dataset


@dataclass(frozen=True, kw_only=True)
class MultiLabel(Target):
    """Any of K labels an example; y float32 (N, K) of 0 and 1, each output a sigmoid's logit."""

    name = "multi-label"
    objective = "label"

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Return y as float32 (N, K)."""
        return y.astype(np.float32)

    def probabilities(self, outputs: np.ndarray, *, logits: bool = True) -> np.ndarray:
        """Return the probability of each label by itself, (N, K)."""
        return sigmoid(outputs).astype(np.float32) if logits else outputs

    def loss(self, outputs: Any, batch: Batch) -> Mapping[str, Any]:
        """Return the mean over the labels of the binary cross-entropy."""
        losses = tf.nn.sigmoid_cross_entropy_with_logits(batch.y, outputs)
        return {"loss": weighted_mean(tf.reduce_mean(losses, axis=-1), batch)}

    def solve(
        self, features: np.ndarray, y: np.ndarray, c: float, weights: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return kernel and bias of one logistic regression a label."""
        found = [
            logistic_regression(features, one, 1, c, weights) for one in (y > 0.5).T.astype(int)
        ]
        return np.hstack([kernel for kernel, _ in found]), np.hstack([bias for _, bias in found])

    def groups(self, y: np.ndarray) -> np.ndarray | None:
        """Return the rarest label of each example."""
        return strata(y)

    measure = staticmethod(measure_labels)

    def table(self, predicted: np.ndarray) -> Table:
        """Return a row an example: the labels above one half, with ";" between, all probabilities."""
        rows = (
            [
                ";".join(name for name, p in zip(self.names, row, strict=True) if p > 0.5),
                *(f"{p:.6f}" for p in row),
            ]
            for row in predicted
        )
        return ["predicted", *(f"p({name})" for name in self.names)], rows

    def scores(self, predicted: np.ndarray, dataset: Dataset) -> dict[str, Any]:
        """Return F1 and subset accuracy, where the data set has the model's labels."""
        assert dataset.y is not None
        told = dataset.class_names or tuple(map(str, range(len(self.names))))
        if list(told) != list(self.names) or dataset.y.shape[1] != len(self.names):
            return {}
        found = measure_labels(predicted, dataset.y)
        return {name: found[name] for name in ("micro_f1", "macro_f1", "subset_accuracy")}

    def measured(self, result: Mapping[str, Any]) -> str:
        """Return micro-F1 with its interval, and the other metrics."""
        ranked = result["mean_average_precision"]
        return (
            f"Test micro-F1 {100 * result['micro_f1']:.2f} % (95 % interval "
            f"{span(result, 'micro_f1', 100, '.2f')}, {about(result)}); macro-F1 "
            f"{100 * result['macro_f1']:.2f} %, mean average precision "
            f"{'–' if ranked is None else f'{100 * ranked:.2f} %'}, all labels right "
            f"{100 * result['subset_accuracy']:.2f} %, Hamming loss {result['hamming_loss']:.4f}, loss "
            f"{result['loss']:.4f}"
        )

    def title(self) -> str:
        """Return the number of labels in words."""
        return f"A model of {len(self.names)} labels"

    def outputs_text(self, cell: Callable[[str], str]) -> str:
        """Say that each label has a probability of its own."""
        return (
            "The outputs are the probabilities of the labels, each by itself, in the order above."
        )
