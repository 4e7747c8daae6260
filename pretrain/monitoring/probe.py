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

        def check(holds: bool, rule: str, hint: str = "") -> None:
            if not holds:
                raise InputError(rule, argument="probe", value=dataset.name, hint=hint)

        check(dataset.y is not None, "must be labelled, and has no labels")
        kind = KINDS[dataset.target or ""]
        check(dataset.classes is not None, f"must be labelled with classes, and its y is {kind}")
        own, asked = (f"{d.x.dtype} of shape {d.input_shape}" for d in (dataset, pool))
        rule = (
            f"must have examples like those of the pool {pool.name!r}, {asked}; its own are {own}"
        )
        check(own == asked, rule, f"Images can be resized: {arg.image_size}.")
        own, asked = ("{:g} to {:g}".format(*d.value_range) for d in (dataset, pool))
        rule = f"must have values in the range of the pool's, {asked}; its own are in {own}"
        check(dataset.value_range == pool.value_range, rule)
        labels = np.asarray(dataset.y)
        classes, y = np.unique(labels, return_inverse=True)
        count, least, most = len(classes), int(np.bincount(y).min()), MAX_EXAMPLES // 2
        rule = "must have two classes or more, and two examples or more of each; it has"
        check(count >= 2 and least >= 2, f"{rule} {count} and {least}")
        rule = f"must have at most {most} classes; it has {count}"
        check(count <= most, rule, "Take some of them: 'NAME[class,class]'.")
        rows = _rows(y)
        x = dataset.x[rows]
        fingerprint = replace(dataset, x=x, y=labels[rows], x_test=None, y_test=None).fingerprint
        return cls(name=dataset.name, x=x, y=y[rows], fingerprint=fingerprint, every=every)

    def take(self, count: int) -> Probe:
        """Return about ``count`` of the examples, evenly over the classes; all where there are fewer."""
        if len(self.x) <= count:
            return self
        rows = _rows(self.y, count)
        return replace(self, x=self.x[rows], y=self.y[rows])

    def to_json(self) -> dict[str, Any]:
        """Return what decides the measurements, except the encoder."""
        about = {"name": self.name, "fingerprint": self.fingerprint}
        return {**about, "examples": len(self.x), "every": self.every}

    def due(self, epoch: int, epochs: int) -> bool:
        """Return True to measure after this epoch (from 1) of a stage of ``epochs``: always at its end."""
        return epoch == epochs or epoch % (self.every or math.ceil(epochs / PROBES)) == 0


def _rows(y: np.ndarray, most: int = MAX_EXAMPLES) -> np.ndarray:
    """Return the sorted indices of at most ``most`` examples, or of two of every class if that is more."""
    if len(y) <= most:
        return np.arange(len(y))
    count = int(y.max()) + 1
    rows = stratified_order(y, max(count, most - count), seed=0)
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
