"""Accuracy of simple classifiers on the features, while the encoder is still in training.

On a small labelled set of its own, the features (N, D) are standardised, and a logistic regression and
the 5 nearest neighbours are measured by stratified cross-validation: the folds, like everything here,
are a function of the examples alone. Alain & Bengio 2017, "Understanding intermediate layers using
linear classifier probes".
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from headstart.errors import InputError, arg
from tasks.dataset import Dataset
from tasks.splits import stratified_order
from tasks.targets import KINDS

MAX_EXAMPLES = 2000
FOLDS = 5
NEIGHBOURS = 5
# Enough for the comparison between epochs; a fit that goes on to the last digit takes much longer.
ITERATIONS = 100
PROBES = 20


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A labelled set to measure on.

    Attributes:
        name: the data set's.
        x: raw examples (N, ...).
        y: their classes (N,), 0 to K-1, each twice or more.
        fingerprint: of these examples and labels.
        every: epochs between two measurements; None makes about 20 a stage.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    fingerprint: str
    every: int | None = None

    @classmethod
    def of(cls, dataset: Dataset, pool: Dataset, every: int | None = None) -> Probe:
        """Return at most 2,000 examples, evenly over the classes, of a data set's training part.

        Args:
            dataset: labelled with classes, each of two examples or more.
            pool: the encoder is trained on it; the examples must have its shape, dtype and range.
            every: epochs between two measurements.

        Raises:
            InputError: of the argument ``probe``.
        """

        def refuse(rule: str, hint: str = "") -> InputError:
            return InputError(rule, argument="probe", value=dataset.name, hint=hint)

        if dataset.y is None:
            raise refuse("must be labelled, and has no labels")
        if dataset.classes is None:
            raise refuse(
                f"must be labelled with classes, and its y is {KINDS[dataset.target or '']}"
            )
        kinds = [f"{d.x.dtype} of shape {d.input_shape}" for d in (dataset, pool)]
        if kinds[0] != kinds[1]:
            raise refuse(
                f"must have examples like those of the pool {pool.name!r}, {kinds[1]}; its own are "
                f"{kinds[0]}",
                f"Images can be resized: {arg.image_size}.",
            )
        if dataset.value_range != pool.value_range:
            raise refuse(
                f"must have values in the range of the pool's, {_range(pool)}; its own are in "
                f"{_range(dataset)}"
            )
        classes, y = np.unique(dataset.y, return_inverse=True)
        least = int(np.bincount(y).min())
        if len(classes) < 2 or least < 2:
            raise refuse(
                f"must have two classes or more, and two examples or more of each; it has {len(classes)} "
                f"and {least}"
            )
        if 2 * len(classes) > MAX_EXAMPLES:
            raise refuse(
                f"must have at most {MAX_EXAMPLES // 2} classes; it has {len(classes)}",
                "Take some of them: 'NAME[class,class]'.",
            )
        rows = _rows(y)
        whole = replace(dataset, x=dataset.x[rows], y=dataset.y[rows], x_test=None, y_test=None)
        return cls(
            name=dataset.name, x=whole.x, y=y[rows], fingerprint=whole.fingerprint, every=every
        )

    def to_json(self) -> dict[str, Any]:
        """Return what decides the measurements, except the encoder."""
        return {
            "name": self.name,
            "fingerprint": self.fingerprint,
            "examples": len(self.x),
            "every": self.every,
        }

    def due(self, epoch: int, epochs: int) -> bool:
        """Return True to measure after this epoch (from 1) of a stage of ``epochs``: always at its end."""
        return epoch == epochs or epoch % (self.every or math.ceil(epochs / PROBES)) == 0


def _range(dataset: Dataset) -> str:
    return f"{dataset.value_range[0]:g} to {dataset.value_range[1]:g}"


def _rows(y: np.ndarray) -> np.ndarray:
    """Return the sorted indices of at most 2,000 examples, two or more of every class."""
    if len(y) <= MAX_EXAMPLES:
        return np.arange(len(y))
    count = int(y.max()) + 1
    rows = stratified_order(y, MAX_EXAMPLES - count, seed=0)
    # A rare class's share can be one place, and folds need two.
    rare = [k for k in range(count) if np.count_nonzero(y[rows] == k) < 2]
    more = [np.setdiff1d(np.flatnonzero(y == k), rows)[0] for k in rare]
    return np.sort(np.append(rows, np.array(more, np.int64)))


def probe(features: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Return the cross-validated accuracies of two classifiers on features.

    Args:
        features: float32 (N, D), finite.
        y: (N,) classes, each at least twice.

    Returns:
        {"probe_linear", "probe_knn"}, 0 to 1: of a logistic regression and of the 5 nearest neighbours.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    right = np.zeros((2, len(y)), bool)
    folds = StratifiedKFold(
        min(FOLDS, int(np.unique(y, return_counts=True)[1].min())), shuffle=True, random_state=0
    )
    # One thread: sharing out such small products takes far longer (see benchmark/baselines.py), and
    # the sums of several threads may differ in the last bit.
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)
        for learn, held in folds.split(features, y):
            scaler = StandardScaler().fit(features[learn])
            known, asked = scaler.transform(features[learn]), scaler.transform(features[held])
            models = (
                LogisticRegression(max_iter=ITERATIONS),
                KNeighborsClassifier(min(NEIGHBOURS, len(learn)), algorithm="brute"),
            )
            for place, model in enumerate(models):
                right[place, held] = model.fit(known, y[learn]).predict(asked) == y[held]
    linear, knn = right.mean(axis=1)
    return {"probe_linear": float(linear), "probe_knn": float(knn)}
