"""Measures of a candidate's features: with the probe's labels, or without any.

With labels: the cross-validated accuracy of a linear classifier on the features (pretrain.monitoring.probe);
what is equally good by them is decided by the other measure.

Without labels: two random views of each of N examples, made by the data's augmentation, go through the
encoder. With f and g their features (N, D), standardised by those of the examples themselves and brought
to length 1, the rank of an example is the number of examples j with f_i . g_j >= f_i . g_i, and the measure
is the mean of 1 / rank: 1 where every view's nearest neighbour is the other view of the same example.
docs/auto.md says what is lost by trusting it, and what was tried beside it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from headstart.lazy import tf
from pretrain.augment.recipes import Augmentation
from pretrain.augment.views import augment
from pretrain.config import PretrainConfig
from pretrain.encoders.encoder import BATCH, Preprocessing, features, sample
from pretrain.monitoring.probe import Probe, probe
from tasks.dataset import Dataset
from tasks.splits import stratified_split

EXAMPLES = 1000
MAX_LABELS = 500
SEEDS = ((777, 1), (777, 2))
"""Of the two views. They are the same for all candidates and all races."""


class Measure(Protocol):
    """A number by which candidates are compared; more is better."""

    @property
    def name(self) -> str:
        """Its name, in a word or two."""

    @property
    def about(self) -> str:
        """Its meaning, in half a sentence."""

    @property
    def labels(self) -> int:
        """The number of labels that it looks at."""

    def score(self, encoder: Any, preprocess: Preprocessing) -> tuple[float, float]:
        """Return the measure of an ``Encoder``'s features, and one that decides between equals."""

    def margin(self, best: float) -> float:
        """Return how far below the best measure of a rung one counts as equal to it."""

    def to_json(self) -> dict[str, Any]:
        """Return what decides it, as JSON, and how many labels it uses."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearProbe:
    """The cross-validated accuracy of a linear classifier on labelled examples.

    A hundred labels tell accuracies apart that differ by four points or so: what is within one standard
    error of the best (Breiman et al. 1984, "Classification and Regression Trees", section 3.4.3) is decided
    by views.

    judge: the labelled examples.
    views: the measure that decides between equals.
    """

    judge: Probe
    views: ViewRetrieval
    name = "linear probe"

    @property
    def labels(self) -> int:
        """The number of the probe's labels."""
        return len(self.judge.x)

    @property
    def about(self) -> str:
        """Its meaning, in half a sentence."""
        return f"the accuracy of a linear classifier, cross-validated on {self.labels:,} labels"

    def score(self, encoder: Any, preprocess: Preprocessing) -> tuple[float, float]:
        """Return the accuracy, 0 to 1, and the views' measure."""
        found = features(encoder, preprocess, self.judge.x)
        accuracy = probe(found, self.judge.y)["probe_linear"]
        return accuracy, self.views.score(encoder, preprocess)[0]

    def margin(self, best: float) -> float:
        """Return the standard error of an accuracy."""
        return math.sqrt(best * (1 - best) / self.labels)

    def to_json(self) -> dict[str, Any]:
        """Return the probe, and the number of its labels."""
        about = {"name": self.name, "about": self.about, "labels": self.labels}
        about |= {"data": self.judge.name, "fingerprint": self.judge.fingerprint}
        return {**about, "between equals": self.views.to_json()}


@dataclass(frozen=True, kw_only=True, eq=False)
class ViewRetrieval:
    """The mean reciprocal rank at which one view of an example finds the other. No labels.

    x: raw examples (N, ...).
    augmentation: makes the views.
    """

    x: np.ndarray
    augmentation: Augmentation
    name = "view retrieval"
    about = "how well one view of an example finds the other, without labels"
    labels = 0

    def score(self, encoder: Any, preprocess: Preprocessing) -> tuple[float, float]:
        """Return the mean reciprocal rank, 0 to 1, and 0."""
        clean, how = np.asarray(preprocess(self.x)), self.augmentation.options
        columns = None if preprocess.table is None else preprocess.table.widths
        views = [
            np.asarray(augment(tf.constant(clean), tf.constant(s), how, columns)) for s in SEEDS
        ]
        found = [_features(encoder, x) for x in (clean, *views)]
        return mean_reciprocal_rank(*standardised(*found)[1:]), 0.0

    def margin(self, best: float) -> float:
        """Return 0: no two measures are equal."""
        return 0.0

    def to_json(self) -> dict[str, Any]:
        """Return its name and numbers."""
        about = {"name": self.name, "about": self.about, "labels": self.labels}
        return {**about, "examples": len(self.x), "augmentation": self.augmentation.to_json()}


def by_labels(judge: Probe, views: ViewRetrieval) -> LinearProbe:
    """Return the measure by a probe's labels: at most 500, evenly over its classes."""
    return LinearProbe(judge=judge.take(MAX_LABELS), views=views)


def without_labels(dataset: Dataset, config: PretrainConfig) -> ViewRetrieval:
    """Return the measure without labels, on the pool's held-out examples, and others where they are few.

    Args:
        dataset: the pool.
        config: of the race; its ``validation`` and ``seed`` say which examples are held out, its augmentation
            how views are made, unless it is "none".
    """
    name, options = config.augment, config.augment_options
    if name == "none":
        name, options = "auto", {}
    views = Augmentation.resolve(dataset, name, options)
    kept, held = stratified_split(None, len(dataset.x), config.validation, config.seed)
    x = sample(EXAMPLES, dataset.x[held], dataset.x[kept])
    return ViewRetrieval(x=x, augmentation=views)


def standardised(first: np.ndarray, *others: np.ndarray) -> list[np.ndarray]:
    """Return features (N, D) with the mean and the spread of the first taken out; constant columns are 0."""
    mean, spread = first.mean(axis=0), first.std(axis=0)
    spread = np.where(spread <= 1e-6 * max(float(spread.max()), 1e-12), np.inf, spread)
    return [(x - mean) / spread for x in (first, *others)]


def mean_reciprocal_rank(first: np.ndarray, second: np.ndarray) -> float:
    """Return the mean of 1 / rank at which rows of ``first`` find the same rows of ``second``, by cosines.

    Of equals the others come first, so that constant features have 1 / N.
    """
    a, b = (
        x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in (first, second)
    )
    cosines = a @ b.T
    ranks = (cosines >= np.diag(cosines)[:, None]).sum(axis=1)
    return float(np.mean(1 / ranks))


def _features(encoder: Any, x: np.ndarray) -> np.ndarray:
    """Return features (N, D) of preprocessed examples, as ``features`` does of raw ones."""
    return np.concatenate(
        [np.asarray(encoder(x[i : i + BATCH], False)) for i in range(0, len(x), BATCH)]
    )
