"""One class an example: cross-entropy, probabilities, accuracy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.lazy import tf
from transfer.data.folds import folds
from transfer.metrics.scores import measure
from transfer.numerics import both_classes, class_probabilities, mean_and_spread
from transfer.targets.base import Table, Target, about, span, weighted_mean

if TYPE_CHECKING:
    from pretrain.engine.stage import Batch
    from tasks.dataset import Dataset

# Where a class has no label at all, its logit is this much below the lowest bias.
ABSENT = 10.0


@dataclass(frozen=True, kw_only=True)
class Classification(Target):
    """One of K classes an example; y int32 (N,), or a distribution over the classes float32 (N, K).

    Two classes are one output, the logit of the second; more are a softmax's logits.
    """

    name = "classes"
    objective = "classify"
    metrics = ("accuracy",)
    exclusive = True

    @property
    def outputs(self) -> int:
        """1 for two classes, else K."""
        return 1 if len(self.names) == 2 else len(self.names)

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Return y as int32 (N,)."""
        return y.astype(np.int32)

    def answers(self, y: np.ndarray) -> np.ndarray:
        """Return y as probabilities, one-hot; of two classes that of the second alone."""
        if y.ndim == 1:
            y = np.eye(max(2, self.outputs), dtype=np.float32)[y]
        return super().answers(y[:, 1] if self.outputs == 1 else y)

    def probabilities(self, outputs: np.ndarray, *, logits: bool = True) -> np.ndarray:
        """Return probabilities (N, K) float32, of two classes too."""
        return class_probabilities(outputs) if logits else both_classes(outputs)

    @property
    def activation(self) -> str:
        """A sigmoid of one output, a softmax of several."""
        return "sigmoid" if self.outputs == 1 else "softmax"

    def loss(self, outputs: Any, batch: Batch) -> Mapping[str, Any]:
        """Return the cross-entropy -log p(y | x), and the accuracy.

        Of one output z it is log(1 + exp(-z)) where y = 1, and log(1 + exp(z)) where y = 0.
        """
        logits, y = outputs, batch.y
        binary = logits.shape[-1] == 1
        soft = y.shape.rank == 2
        labels = tf.argmax(y, axis=-1, output_type=tf.int32) if soft else y
        if binary:
            logits, targets = logits[:, 0], y[:, 1] if soft else tf.cast(y, tf.float32)
            losses = tf.nn.sigmoid_cross_entropy_with_logits(targets, logits)
            predicted = tf.cast(logits > 0, tf.int32)
        else:
            sparse = tf.nn.sparse_softmax_cross_entropy_with_logits
            losses = (tf.nn.softmax_cross_entropy_with_logits if soft else sparse)(y, logits)
            predicted = tf.argmax(logits, axis=-1, output_type=tf.int32)
        right = tf.cast(tf.equal(predicted, labels), tf.float32)
        return {"loss": weighted_mean(losses, batch), "accuracy": tf.reduce_mean(right)}

    def solve(
        self, features: np.ndarray, y: np.ndarray, c: float, weights: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return kernel and bias of the logistic regression on the likeliest classes."""
        return logistic_regression(features, hard(y), self.outputs, c, weights)

    def groups(self, y: np.ndarray) -> np.ndarray | None:
        """Return the classes; None for distributions."""
        return y if y.ndim == 1 else None

    def folds(self, y: np.ndarray, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return folds in which the only example of a class is never validated."""
        return folds(hard(y), seed)

    def judge(self, said: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
        """Return whether the likeliest class is right, and -log of the probability of the true one."""
        y = hard(y)
        true = np.clip(said[np.arange(len(y)), y].astype(np.float64), 1e-7, 1)
        right = (said.argmax(axis=1) == y).astype(np.float64)
        return {"accuracy": right, "loss": -np.log(true)}

    measure = staticmethod(measure)

    def table(self, predicted: np.ndarray) -> Table:
        """Return a row an example: the likeliest class, its probability, those of all classes."""
        probabilities = both_classes(predicted)
        shown = ([f"{p:.6f}" for p in row] for row in probabilities)
        best = probabilities.argmax(axis=1)
        rows = ([self.names[k], row[k], *row] for k, row in zip(best, shown, strict=True))
        return ["predicted", "probability", *(f"p({name})" for name in self.names)], rows

    def scores(self, predicted: np.ndarray, dataset: Dataset) -> dict[str, Any]:
        """Return the accuracy, where every class of the data set is one of the model's."""
        assert dataset.y is not None
        told = dataset.class_names or tuple(map(str, range(int(dataset.y.max()) + 1)))
        if not set(told) <= set(self.names):
            return {}
        true = np.array(told, dtype=object)[dataset.y]
        best = both_classes(predicted).argmax(axis=1)
        return {"accuracy": float((np.array(self.names, dtype=object)[best] == true).mean())}

    def measured(self, result: Mapping[str, Any]) -> str:
        """Return accuracy, its interval and what it was measured on."""
        return (
            f"Test accuracy {100 * result['accuracy']:.2f} % (95 % interval "
            f"{span(result, 'accuracy', 100, '.2f')}, {about(result)}); balanced "
            f"{100 * result['balanced_accuracy']:.2f} %, macro-F1 {100 * result['macro_f1']:.2f} %, "
            f"loss {result['loss']:.4f}"
        )

    def title(self) -> str:
        """Return the number of classes in words."""
        return f"A classifier of {len(self.names)} classes"

    def outputs_text(self, cell: Callable[[str], str]) -> str:
        """Say whose probability each output is."""
        if len(self.names) == 2:
            return f"The output is the probability of the class {cell(self.names[1])}."
        return "The outputs are the probabilities of the classes, in the order above."

    def limits(self) -> list[str]:
        """Say that it knows its classes only."""
        return [
            f"Of whatever it is given it says one of its {len(self.names)} classes: examples of none of them "
            f"were not tested."
        ]


def hard(y: np.ndarray) -> np.ndarray:
    """Return the likeliest class (N,) of classes (N,) or distributions (N, K)."""
    return y if y.ndim == 1 else y.argmax(axis=1)


def logistic_regression(
    features: np.ndarray, y: np.ndarray, outputs: int, c: float, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return kernel (D, outputs) and bias (outputs,) of a logistic regression with an L2 penalty.

    Minimised is c * sum of w_i * cross-entropy_i + |k|^2 / 2, where k is the kernel for features (N, D)
    that were standardised over these N examples; what is returned is for the features as they are.
    y: int (N,), classes 0 to K-1, some of which may be absent; outputs: 1 for two classes, else K.
    """
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    features = features.astype(np.float64)
    mean, spread = mean_and_spread(features)
    present = np.unique(y)
    if len(present) < 2:
        kernel, bias = np.zeros((features.shape[1], outputs)), np.zeros(outputs)
        bias[...] = -ABSENT
        if outputs > 1 or present[0] == 1:
            bias[min(present[0], outputs - 1)] = ABSENT
        return kernel.astype(np.float32), bias.astype(np.float32)
    model = LogisticRegression(C=c, max_iter=300, tol=1e-3)
    # One thread: on matrices of this size several wait for one another, up to ten times as long.
    with warnings.catch_warnings(), threadpool_limits(1):
        # So near the minimum the predicted classes no longer change.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit((features - mean) / spread, y, sample_weight=weights)
    kernel = model.coef_.T / spread[:, None]
    bias = model.intercept_ - mean @ kernel
    if outputs > 1:
        if len(present) == 2:  # scikit-learn then has one logit, that of the second class
            kernel, bias = np.hstack([-kernel / 2, kernel / 2]), np.hstack([-bias / 2, bias / 2])
        whole = np.zeros((features.shape[1], outputs))
        whole[:, present] = kernel
        biases = np.full(outputs, bias.min() - ABSENT)
        biases[present] = bias
        kernel, bias = whole, biases
    return kernel.astype(np.float32), bias.astype(np.float32)
