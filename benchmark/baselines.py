"""Classical baselines on raw values, tuned by cross-validation within the label budget."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tasks.task import TargetTask
from transfer.metrics.baselines import NAME, fit_raw, logistic_regression, raw_values


def _logistic_regression(seed: int) -> tuple[Any, dict[str, list[Any]]]:
    return logistic_regression(seed, 1000), {"C": [0.01, 0.1, 1.0, 10.0]}


def _svm(seed: int) -> tuple[Any, dict[str, list[Any]]]:
    from sklearn.svm import SVC

    return SVC(kernel="rbf", gamma="scale", random_state=seed), {"C": [1.0, 10.0, 100.0]}


def _nearest_neighbour(seed: int) -> tuple[Any, dict[str, list[Any]]]:
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(n_neighbors=1), {}


BASELINES: dict[str, Callable[[int], tuple[Any, dict[str, list[Any]]]]] = {
    NAME: _logistic_regression,
    "raw RBF SVM": _svm,
    "raw 1-NN": _nearest_neighbour,
}
"""Row name -> seed -> (scikit-learn classifier, grid of parameters to choose from)."""


def run_baseline(name: str, task: TargetTask, labels: int, seed: int) -> dict[str, Any]:
    """Fit a baseline on a label budget and measure it on the test part once.

    Args:
        name: a name in BASELINES.
        task: a task of classes.
        labels: the budget.
        seed: of the budget's subset, the folds and the model.

    Returns:
        ``accuracy`` (0 to 1), the ``chosen`` parameters, and ``n``, the number of test examples.
    """
    from threadpoolctl import threadpool_limits

    model, grid = BASELINES[name](seed)
    model, chosen = fit_raw(model, task, task.labels(labels, seed), grid=grid, seed=seed)
    with threadpool_limits(1):
        predicted = model.predict(raw_values(task, task.x_test))
    return {
        "accuracy": float((predicted == task.y_test).mean()),
        "chosen": chosen,
        "n": len(predicted),
    }
