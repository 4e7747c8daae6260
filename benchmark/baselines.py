"""Classical baselines, tuned by cross-validation within the label budget; some learn from the pool too."""

from __future__ import annotations

from typing import Any

import numpy as np

from pretrain.engine.runtime import keras_defaults
from tasks.dataset import Dataset
from tasks.splits import generator
from tasks.task import TargetTask
from transfer.heads import HEADS
from transfer.heads.base import Labelled, SolvedHead
from transfer.metrics.baselines import (
    NAME,
    fit_raw,
    fit_tuned,
    logistic_regression,
    raw_values,
)
from transfer.semi_supervised.graph import NEIGHBOURS, Graphs, neighbour_weights
from transfer.targets import Classification

SVM, NEAREST, COMPONENTS = "raw RBF SVM", "raw 1-NN", "raw PCA + SVM"
SPREADING, PATCHES = "raw label spreading", "patch dictionary + ridge"
TREES = "gradient-boosted trees"
BASELINES = (NAME, SVM, NEAREST, COMPONENTS, SPREADING, PATCHES, TREES)
"""The rows' names."""
MAX_POOL = 10_000
"""Examples without labels that are learnt from."""
MAX_COMPONENTS = 50
MAX_BINS = 255
"""Levels that a column of the trees can have."""
MIN_SIDE = 8
"""Pixels of the smallest images that a dictionary of patches is made of."""


def baselines_of(task: TargetTask) -> tuple[str, ...]:
    """Return the names of BASELINES that can learn a task.

    A dictionary needs images of 8 pixels or more, trees a table with named columns.
    """
    shape = task.input_shape
    images = len(shape) == 3 and min(shape[:2]) >= MIN_SIDE
    fits = {PATCHES: images, TREES: task.schema is not None}
    return tuple(name for name in BASELINES if fits.get(name, True))


def starts_tensorflow(name: str) -> bool:
    """Whether a baseline computes with TensorFlow."""
    return name == PATCHES


def learns_from_pool(name: str) -> bool:
    """Whether a baseline's result depends on the pool."""
    return name in (COMPONENTS, SPREADING, PATCHES)


def model_and_grid(name: str, seed: int) -> tuple[Any, dict[str, list[float]]]:
    """Return a scikit-learn classifier, and the grid of parameters to choose from."""
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.svm import SVC

    if name == NAME:
        return logistic_regression(seed, 1000), {"C": [0.01, 0.1, 1.0, 10.0]}
    if name in (SVM, COMPONENTS):
        svm = SVC(kernel="rbf", gamma="scale", random_state=seed)
        return svm, {"C": [1.0, 10.0, 100.0]}
    return KNeighborsClassifier(n_neighbors=1), {}


def run_baseline(
    name: str, task: TargetTask, labels: int, seed: int, pool: Dataset | None = None
) -> dict[str, Any]:
    """Fit a baseline on a label budget and measure it on the test part once.

    Args:
        name: a name in ``baselines_of(task)``.
        task: a task of classes.
        labels: the budget.
        seed: of the budget's subset, the folds and the model.
        pool: examples without labels, for the baselines that learn from them; where it is of another kind
            than the task's, or None: the task's training part without its labels.

    Returns:
        ``accuracy`` (0 to 1), the ``chosen`` parameters, and ``n``, the number of test examples.
    """
    from threadpoolctl import threadpool_limits

    rows = task.labels(labels, seed)
    if name == TREES:
        predicted, chosen = _trees(task, rows, seed)
    elif name in (NAME, SVM, NEAREST):
        model, grid = model_and_grid(name, seed)
        model, chosen = fit_raw(model, task, rows, grid=grid, seed=seed)
        with threadpool_limits(1):
            predicted = model.predict(raw_values(task, task.x_test))
    else:
        with_pool = {SPREADING: _spread, COMPONENTS: _in_components, PATCHES: _on_patches}
        predicted, chosen = with_pool[name](task, rows, _drawn(task, rows, pool, seed), seed)
    accuracy = float((predicted == task.y_test).mean())
    return {"accuracy": accuracy, "chosen": chosen, "n": len(predicted)}


Said = tuple[np.ndarray, dict[str, Any]]
"""The classes (n,) of the test part, and what was chosen."""


def _drawn(task: TargetTask, rows: np.ndarray, pool: Dataset | None, seed: int) -> np.ndarray:
    """Return raw unlabelled examples, at most MAX_POOL."""
    more = np.delete(task.x, rows, axis=0)
    if pool is not None:
        kind = (pool.input_shape, pool.value_range)
        more = pool.x if kind == (task.input_shape, task.value_range) else more
    return more[np.sort(generator(seed).permutation(len(more))[:MAX_POOL])]


def _trees(task: TargetTask, rows: np.ndarray, seed: int) -> Said:
    """Boosted trees on the columns themselves: they know gaps, and levels as levels."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    assert task.schema is not None
    levels = np.array([0 < len(column.levels) < MAX_BINS for column in task.schema.columns])
    model = HistGradientBoostingClassifier(
        categorical_features=levels, max_iter=100, early_stopping=False, random_state=seed
    )
    # Leaves of 20 examples, the default, split little where labels are few.
    grid = {"min_samples_leaf": [3, 10, 20], "max_leaf_nodes": [7, 31]}
    x, y = task.x[rows], task.y[rows]
    fitted, chosen = fit_tuned(model, x, y, classes=task.n_classes, grid=grid, seed=seed)
    with threadpool_limits(1):
        return fitted.predict(task.x_test), chosen


def _in_components(task: TargetTask, rows: np.ndarray, more: np.ndarray, seed: int) -> Said:
    """An SVM on principal components, which are those of the pool too."""
    from sklearn.decomposition import PCA
    from threadpoolctl import threadpool_limits

    known = raw_values(task, np.concatenate([task.x[rows], more]))
    with threadpool_limits(1):
        pca = PCA(min(MAX_COMPONENTS, *known.shape), random_state=seed).fit(known)
        model, grid = model_and_grid(COMPONENTS, seed)
        how: dict[str, Any] = {"classes": task.n_classes, "grid": grid, "seed": seed}
        model, chosen = fit_tuned(model, pca.transform(known[: len(rows)]), task.y[rows], **how)
        return model.predict(pca.transform(raw_values(task, task.x_test))), chosen


@keras_defaults()
def _on_patches(task: TargetTask, rows: np.ndarray, more: np.ndarray, seed: int) -> Said:
    """The head ``ridge`` on the features of random patches of the pool: pretrain.encoders.dictionary."""
    from pretrain.encoders.dictionary import random_words
    from transfer.inference import predict_batched

    def images(x: np.ndarray) -> np.ndarray:
        return raw_values(task, x).reshape(len(x), *task.input_shape)

    encoder = random_words(images(np.concatenate([task.x[rows], more])), seed)
    target = Classification(names=task.class_names)
    y = target.encode(task.y[rows])
    features, new = (predict_batched(encoder.model, images(x)) for x in (task.x[rows], task.x_test))
    head = HEADS["ridge"]
    assert isinstance(head, SolvedHead)
    solved = head.solve(Labelled(features=features, y=y, target=target), seed)
    kernel, bias = solved.weights
    said = target.probabilities(new @ kernel + bias).argmax(axis=1)
    assert solved.choice is not None
    return said, {head.parameter: solved.choice[head.parameter]}


def _spread(task: TargetTask, rows: np.ndarray, more: np.ndarray, seed: int) -> Said:
    """Labels that travel over the labelled examples and the pool.

    Or over the labelled ones alone, where these predict one another better so: the pool may be of other
    classes. A test example is in no graph: it is what its neighbours there are, weighed as in the graph.
    """
    from sklearn.neighbors import NearestNeighbors

    tried = []
    for name, x in (
        ("pool", np.concatenate([task.x[rows], more])),
        ("labels", task.x[rows]),
    ):
        known = raw_values(task, x)
        taught = Graphs({"raw values": known}).teach(
            np.arange(len(rows)), task.y[rows], classes=task.n_classes, seed=seed
        )
        tried.append((taught.loss, name, known, taught))
    _, name, known, taught = min(tried, key=lambda row: row[0])
    near = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(known)), algorithm="brute").fit(known)
    distances, found = near.kneighbors(raw_values(task, task.x_test))
    said = (neighbour_weights(distances)[:, :, None] * taught.soft[found]).sum(axis=1)
    return said.argmax(axis=1), {"graph": name, "method": taught.about["method"]}
