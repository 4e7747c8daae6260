"""``knn``: the nearest neighbours on frozen features, in NumPy and as a stock Keras model.

Near is what points the same way: the cosine between features f and those of an example x, both standardised
over the N examples that are remembered. Since |f| is the same for all of them, the nearest are those with
the largest f.x / |x|, which a Dense layer computes; the standardising is folded into its weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from headstart.errors import InputError, arg
from headstart.lazy import keras
from transfer.heads.base import Labelled, Said, Solution, SolvedHead
from transfer.numerics import mean_and_spread

# Odd, so that two classes cannot draw.
COUNTS = (1, 3, 5, 7, 9, 15, 25)
# Rows whose distances are held at a time.
CHUNK = 1024


class NearestNeighbours(SolvedHead):
    """The mean answer of the k nearest labelled examples.

    k has the highest accuracy, of equals the lowest loss: the shares of few neighbours make a poor loss.
    """

    name = "knn"
    summary = "the nearest neighbours on frozen features"
    words = ", nearest neighbours"
    logits = False
    parameter = "k"
    unchosen = 1
    # Measured against the Euclidean distance, and against features as they are: docs/transfer.md.
    about: ClassVar[Mapping[str, Any]] = {"distance": "cosine of standardised features"}

    def solve(self, labelled: Labelled, seed: int) -> Solution:
        """Return the neighbours with the chosen k. Raises InputError for weights."""
        if labelled.weights is not None:
            rule = "counts every neighbour alike, so it takes no weights of examples or classes"
            hint = f"Leave them out, or give {arg.head:logistic}."
            raise InputError(rule, argument="head", value=self.name, hint=hint)
        return super().solve(labelled, seed)

    def build(self, features: int, outputs: int, **config: Any) -> Any:
        """Return features (B, D) to the mean answer (B, outputs) of the k nearest of ``count`` examples.

        Its weights: "kernel" (D, count) and "bias" (count,), the examples; "embeddings" (count, outputs),
        their answers.
        """
        count, k = config["count"], config["k"]
        inputs = keras.Input((features,), name="features")
        near = keras.layers.Dense(count, trainable=False, name="closeness")(inputs)
        _, rows = keras.ops.top_k(near, k)
        answers = keras.layers.Embedding(count, outputs, trainable=False, name="answers")(rows)
        mean = keras.layers.GlobalAveragePooling1D(name="mean")(answers)
        return keras.Model(inputs, mean, name="head")

    def solution(self, labelled: Labelled, value: float) -> Solution:
        """Return the model that remembers these examples, with k = ``value``."""
        return Solution(
            weights=[*closeness(labelled.features), labelled.target.answers(labelled.y)],
            config={"count": len(labelled.features), "k": int(value)},
        )

    def trial(self, labelled: Labelled, new: np.ndarray) -> Said:
        """Return the mean answers for every k that there are examples for."""
        counts = [k for k in COUNTS if k <= len(labelled.features)]
        found = nearest(labelled.features, new, counts[-1])
        target = labelled.target
        known = target.probabilities(target.answers(labelled.y), logits=False)
        return {k: known[found[:, :k]].mean(axis=1) for k in counts}

    def rank(self, means: Mapping[str, float]) -> tuple[float, ...]:
        """Put accuracy before loss."""
        if "accuracy" in means:
            return (-means["accuracy"], means["loss"])
        return super().rank(means)


def closeness(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return kernel (D, N) and bias (N,) float32 of examples with features (N, D).

    ``f @ kernel + bias`` is the larger the nearer, for features f (M, D) as they are.
    """
    # What does not vary tells nothing apart.
    mean, spread = mean_and_spread(features)
    x = (features.astype(np.float64) - mean) / spread
    # An example that is the mean itself points nowhere, and is equally near to all.
    x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    kernel = (x / spread).T
    bias = -mean @ kernel
    return kernel.astype(np.float32), bias.astype(np.float32)


def nearest(known: np.ndarray, features: np.ndarray, k: int) -> np.ndarray:
    """Return (M, k) indices into ``known`` (N, D) of the nearest to each of features (M, D), in order.

    Of equally near ones the lowest index comes first.
    """
    kernel, bias = closeness(known)
    parts = []
    for i in range(0, len(features), CHUNK):
        near = features[i : i + CHUNK].astype(np.float32) @ kernel + bias
        parts.append(np.argsort(-near, axis=1, kind="stable")[:, :k])
    return np.concatenate(parts)


ROW = NearestNeighbours()
