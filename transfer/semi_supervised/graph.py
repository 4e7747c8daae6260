"""Classes that travel over a graph of nearest neighbours, from labelled examples to all others.

Two ways, both linear in the labels. With W the symmetric weights of neighbours, D its row sums and Y (N, K)
one-hot at the labelled examples, else 0:

- ``spreading``, Zhou et al. 2004, "Learning with Local and Global Consistency", equation 4: steps of
  F <- a S F + (1 - a) Y with S = D^(-1/2) W D^(-1/2), each class's labels adding up to 1.
- ``poisson``, Calder et al. 2020, "Poisson Learning", algorithm 1: the sum over t of (D^(-1) W)^t D^(-1) B,
  in which B is Y less the mean label, at the labelled examples: better where a class has one label or two.

Neighbours weigh exp(-4 d^2 / d_k^2), with d_k the distance to the last of k neighbours (the same paper,
section 4). Since both are linear, one run gives what each label, or group of labels, contributes, and the
prediction for a label from all the others is a sum without it: leave-one-out costs next to nothing. It
chooses the two spaces, the way in each, and the temperatures of the distributions, whose product is the
answer (Hinton 2002, "Training Products of Experts"): where two spaces disagree, neither is sure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pretrain.encoders.dictionary import random_words
from tasks.splits import generator
from transfer.inference import predict_batched
from transfer.metrics.temperature import fit_temperature, losses
from transfer.numerics import class_probabilities

NEIGHBOURS = 10
# How much an example takes from its neighbours; the rest is the label that it was given.
ALPHA = 0.99
SPREADING_STEPS, POISSON_STEPS = 60, 100
# Up to so many labels are left out one by one; more of them in this number of groups.
ONE_BY_ONE, GROUPS = 60, 10
# Principal components of raw values, and of features.
COMPONENTS, OF_FEATURES = 50, 100
# In a product, no class is less likely than this to one graph.
LEAST = 1e-4


def neighbour_graph(x: np.ndarray) -> Any:
    """Return the symmetric weights (N, N) of examples (N, D), a SciPy CSR matrix without a diagonal."""
    import scipy.sparse as sparse
    from sklearn.neighbors import NearestNeighbors

    count, k = len(x), min(NEIGHBOURS, len(x) - 1)
    found = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(x.astype(np.float32))
    # Without a query, no example is its own neighbour, duplicates or not.
    distances, rows = found.kneighbors()
    weights = neighbour_weights(distances)
    starts = np.arange(0, count * k + 1, k)
    one_way = sparse.csr_matrix(
        (weights.ravel().astype(np.float32), rows.ravel(), starts), shape=(count, count)
    )
    return ((one_way + one_way.T) / 2).tocsr()


def neighbour_weights(distances: np.ndarray) -> np.ndarray:
    """Return what neighbours at these distances, (N, k) in rising order, weigh: float64 (N, k)."""
    last = np.maximum(distances[:, -1:].astype(np.float64), 1e-12)
    weights: np.ndarray = np.exp(-4 * np.square(distances / last))
    return weights


def representations(
    x: np.ndarray, features: np.ndarray | None = None, seed: int = 0
) -> dict[str, np.ndarray]:
    """Return the spaces in which examples are compared, by name: float32 (N, d) each.

    Args:
        x: examples (N, ...), float32 in [0, 1]; of images, also a dictionary of random patches is a space.
        features: an encoder's, (N, D), or None.
        seed: of the patches and the principal components.
    """
    flat = x.reshape(len(x), -1).astype(np.float32)
    raw, spread = _components(flat, COMPONENTS, seed)
    found = {"raw values": raw, "whitened raw values": raw / spread}
    wide = {} if features is None else {"features": features}
    if x.ndim == 4:
        wide["patches"] = predict_batched(random_words(x, seed).model, x)
    for name, values in wide.items():
        points, spread = _components(values, OF_FEATURES, seed)
        points = points / spread
        found[name] = points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12)
    return found


def _components(x: np.ndarray, most: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return x (N, D) in at most ``most`` principal components, (N, d), and by what to whiten them (d,)."""
    from sklearn.decomposition import PCA
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        pca = PCA(min(most, *x.shape), random_state=seed).fit(x)
        points = pca.transform(x).astype(np.float32)
    variances = pca.explained_variance_
    return points, np.sqrt(variances + 0.1 * variances.mean() + 1e-12).astype(np.float32)


def spreading(graph: Any, sources: np.ndarray) -> np.ndarray:
    """Return what each column of ``sources`` (N, C), weights at labelled examples, spreads to all (N, C)."""
    import scipy.sparse as sparse

    root = sparse.diags(1 / np.sqrt(np.maximum(np.asarray(graph.sum(axis=1)).ravel(), 1e-12)))
    step = ALPHA * (root @ graph @ root)
    found = sources
    for _ in range(SPREADING_STEPS):
        found = step @ found + (1 - ALPHA) * sources
    return np.asarray(found)


def poisson(graph: Any, sources: np.ndarray) -> np.ndarray:
    """Return the sum of the random walks from each column of ``sources`` (N, C), to all: (N, C)."""
    import scipy.sparse as sparse

    inverse = sparse.diags(1 / np.maximum(np.asarray(graph.sum(axis=1)).ravel(), 1e-12))
    step, start = inverse @ graph, inverse @ sources
    found = np.zeros_like(sources)
    for _ in range(POISSON_STEPS):
        found = step @ found + start
    return np.asarray(found)


WAYS: dict[str, Callable[[Any, np.ndarray], np.ndarray]] = {
    "spreading": spreading,
    "poisson": poisson,
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Taught:
    """The answers of one graph, or of two together.

    Attributes:
        soft: float32 (N, K), a distribution over the classes of each example; zeros where no label reaches.
        held_out: float64 (L, K), what is said of each labelled example from the other labels alone.
        about: the chosen space, way and temperature, and what each validated at, as JSON.
    """

    soft: np.ndarray
    held_out: np.ndarray
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def loss(self) -> float:
        """The mean calibrated loss of ``held_out``; infinite where no label could be judged."""
        loss = self.about["loss"]
        return math.inf if loss is None else float(loss)


class Graphs:
    """The graphs over a set of examples, one in each space; any of them may be labelled later.

    Example:
        >>> taught = Graphs(representations(x)).teach(rows, y[rows], classes=10, seed=0)
    """

    def __init__(self, spaces: Mapping[str, np.ndarray]) -> None:
        """Find the neighbours in every space, (N, d) each."""
        self.graphs = {name: neighbour_graph(space) for name, space in spaces.items()}

    def teach(self, rows: np.ndarray, y: np.ndarray, *, classes: int, seed: int) -> Taught:
        """Let the labels travel over the two graphs that predict them best from one another.

        Args:
            rows: int (L,), the labelled examples, each once.
            y: int (L,), their classes.
            classes: K.
            seed: draws the groups that are left out together, where labels are many.
        """
        groups = np.arange(len(rows))
        if len(rows) > ONE_BY_ONE:
            groups = generator(seed).permutation(len(rows)) % GROUPS
        tried: list[dict[str, Any]] = []
        best: list[Taught] = []
        for space, graph in self.graphs.items():
            ways = [_taught(graph, space, way, rows, y, groups, classes) for way in WAYS]
            tried += [one.about for one in ways]
            best.append(min(ways, key=lambda one: one.loss))
        first, *second = sorted(best, key=lambda one: one.loss)[:2]
        found = _together(first, second[0], y) if second else first
        return replace(found, about={**found.about, "tried": tried})


def _taught(
    graph: Any,
    space: str,
    way: str,
    rows: np.ndarray,
    y: np.ndarray,
    groups: np.ndarray,
    classes: int,
) -> Taught:
    # A column for each group and class that occur together: what these labels say of everyone.
    pairs, column = np.unique(np.stack([groups, y]), axis=1, return_inverse=True)
    column = column.ravel()
    sources = np.zeros((graph.shape[0], pairs.shape[1]), np.float32)
    sources[rows, column] = 1.0
    said = WAYS[way](graph, sources)
    sizes = np.bincount(column, minlength=pairs.shape[1]).astype(np.float64)
    held_out = np.zeros((len(rows), classes))
    for group in np.unique(groups):
        mine = groups == group
        held_out[mine] = _scores(way, said[rows[mine]], sizes, pairs, pairs[0] != group, classes)
    scores = _scores(way, said, sizes, pairs, np.ones(pairs.shape[1], bool), classes)
    return _calibrated(scores, held_out, y, {"space": space, "method": way})


def _together(first: Taught, second: Taught, y: np.ndarray) -> Taught:
    """Return the product of what two graphs say; where one says nothing, the other's answer alone."""

    def product(p: np.ndarray, q: np.ndarray) -> np.ndarray:
        known = [part.sum(axis=1, keepdims=True) > 0 for part in (p, q)]
        logits = np.zeros(p.shape)
        for part, there in zip((p, q), known, strict=True):
            logits += np.where(there, np.log(np.clip(part, LEAST, 1)), 0)
        return np.where(known[0] | known[1], class_probabilities(logits), 0)

    both = {n: f"{first.about[n]} and {second.about[n]}" for n in ("space", "method")}
    soft, held_out = product(first.soft, second.soft), product(first.held_out, second.held_out)
    return _calibrated(soft, held_out, y, both)


def _calibrated(
    scores: np.ndarray, held_out: np.ndarray, y: np.ndarray, about: Mapping[str, Any]
) -> Taught:
    """Return distributions at the temperature that suits the labels when they are left out."""
    # An only label of its class cannot be told from the others: it is not judged.
    judged = np.bincount(y, minlength=held_out.shape[1])[y] > 1
    temperature = fit_temperature(held_out[judged], y[judged])
    lost = losses(held_out[judged], y[judged], temperature)
    right = held_out[judged].argmax(axis=1) == y[judged]
    return Taught(
        soft=_tempered(scores, temperature).astype(np.float32),
        held_out=_tempered(held_out, temperature),
        about={
            **about,
            "temperature": temperature,
            "accuracy": float(right.mean()) if len(right) else None,
            "loss": float(lost.mean()) if len(lost) else None,
        },
    )


def _scores(
    way: str,
    said: np.ndarray,
    sizes: np.ndarray,
    pairs: np.ndarray,
    kept: np.ndarray,
    classes: int,
) -> np.ndarray:
    """Return distributions (M, K) of what the ``kept`` columns of ``said`` (M, C) say together.

    sizes: (C,), the labels of each column; pairs: int (2, C), their group and class.
    """
    of_class = np.eye(classes)[pairs[1]] * kept[:, None]
    labels = sizes @ of_class
    if way == "spreading":
        scores = said @ (of_class / np.maximum(labels, 1))
        total = scores.sum(axis=1, keepdims=True)
        return np.where(total > 0, scores / np.maximum(total, 1e-300), 0)
    # Each column is that of its class less the mean label, so what all have in common cancels.
    share = labels / max(labels.sum(), 1)
    scores = said @ (of_class - kept[:, None] * share)
    scores = np.where(labels > 0, scores / np.maximum(share, 1e-12), -np.inf)
    reached = np.abs(said[:, kept]).sum(axis=1, keepdims=True) > 0
    spread = scores[:, labels > 0].std() or 1.0
    return np.where(reached, class_probabilities(scores / spread), 0)


def _tempered(distributions: np.ndarray, temperature: float) -> np.ndarray:
    """Return distributions (N, K) with their logits divided; rows of zeros stay."""
    logits = np.log(np.clip(distributions, 1e-30, 1)) / temperature
    known = distributions.sum(axis=1, keepdims=True) > 0
    return np.where(known, class_probabilities(logits), 0)
