"""Classical baselines on raw values, tuned by cross-validation within the label budget."""

from __future__ import annotations

from typing import Any

import numpy as np

from tasks.dataset import Dataset
from tasks.splits import generator
from tasks.task import TargetTask
from transfer.metrics.baselines import NAME, fit_raw, logistic_regression, raw_values
from transfer.semi_supervised.graph import NEIGHBOURS, Graphs, neighbour_weights

SPREADING = "raw label spreading"
BASELINES = (NAME, "raw RBF SVM", "raw 1-NN", SPREADING)
"""The rows' names."""
MAX_POOL = 10_000
"""Examples without labels over which labels spread."""


def model_and_grid(name: str, seed: int) -> tuple[Any, dict[str, list[float]]]:
    """Return a scikit-learn classifier, and the grid of parameters to choose from."""
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.svm import SVC

    if name == NAME:
        return logistic_regression(seed, 1000), {"C": [0.01, 0.1, 1.0, 10.0]}
    if name == "raw RBF SVM":
        svm = SVC(kernel="rbf", gamma="scale", random_state=seed)
        return svm, {"C": [1.0, 10.0, 100.0]}
    return KNeighborsClassifier(n_neighbors=1), {}


def run_baseline(
    name: str, task: TargetTask, labels: int, seed: int, pool: Dataset | None = None
) -> dict[str, Any]:
    """Fit a baseline on a label budget and measure it on the test part once.

    Args:
        name: a name in BASELINES.
        task: a task of classes.
        labels: the budget.
        seed: of the budget's subset, the folds and the model.
        pool: examples without labels, for label spreading; of another kind than the task's, or None: the
            task's training part without its labels.

    Returns:
        ``accuracy`` (0 to 1), the ``chosen`` parameters, and ``n``, the number of test examples.
    """
    from threadpoolctl import threadpool_limits

    rows = task.labels(labels, seed)
    if name == SPREADING:
        predicted, chosen = _spread(task, rows, pool, seed)
    else:
        model, grid = model_and_grid(name, seed)
        model, chosen = fit_raw(model, task, rows, grid=grid, seed=seed)
        with threadpool_limits(1):
            predicted = model.predict(raw_values(task, task.x_test))
    accuracy = float((predicted == task.y_test).mean())
    return {"accuracy": accuracy, "chosen": chosen, "n": len(predicted)}


def _spread(
    task: TargetTask, rows: np.ndarray, pool: Dataset | None, seed: int
) -> tuple[np.ndarray, dict[str, Any]]:
    """Return the classes of the test part, (n,), and how the labels travelled.

    They travel over the labelled examples and the pool, or over the labelled ones alone where these predict
    one another better so: the pool may be of other classes. A test example is in no graph: it is what its
    neighbours there are, weighed as in the graph.
    """
    from sklearn.neighbors import NearestNeighbors

    more = np.delete(task.x, rows, axis=0)
    if pool is not None:
        kind = (pool.input_shape, pool.value_range)
        more = pool.x if kind == (task.input_shape, task.value_range) else more
    drawn = np.sort(generator(seed).permutation(len(more))[:MAX_POOL])
    tried = []
    for name, x in (
        ("pool", np.concatenate([task.x[rows], more[drawn]])),
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
