"""What costs nothing and must be beaten: classical models on raw values, tuned inside the budget."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from tasks.task import TargetTask

FOLDS = 5


def _logistic_regression(seed: int) -> tuple[Any, dict[str, list[Any]]]:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=1000, random_state=seed), {"C": [0.01, 0.1, 1.0, 10.0]}


def _svm(seed: int) -> tuple[Any, dict[str, list[Any]]]:
    from sklearn.svm import SVC

    return SVC(kernel="rbf", gamma="scale", random_state=seed), {"C": [1.0, 10.0, 100.0]}


def _nearest_neighbour(seed: int) -> tuple[Any, dict[str, list[Any]]]:
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(n_neighbors=1), {}


BASELINES: dict[str, Callable[[int], tuple[Any, dict[str, list[Any]]]]] = {
    "raw logistic regression": _logistic_regression,
    "raw RBF SVM": _svm,
    "raw 1-NN": _nearest_neighbour,
}
"""Row name -> seed -> (scikit-learn estimator, grid of parameters to choose from)."""


def run_baseline(name: str, task: TargetTask, labels: int, seed: int) -> dict[str, Any]:
    """Fit the baseline ``name`` on a label budget and measure it on the test part once.

    Values are mapped to [0, 1] by the task's range and flattened. The parameters are chosen by
    stratified cross-validation inside the budget; where a class has fewer than two labels there is
    nothing to validate on, and the middle of the grid is taken.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from threadpoolctl import threadpool_limits

    rows = task.labels(labels, seed)
    low, high = task.value_range

    def flat(x: np.ndarray) -> np.ndarray:
        return ((x.reshape(len(x), -1).astype(np.float32)) - low) / (high - low)

    x, y = flat(task.x[rows]), task.y[rows]
    model, grid = BASELINES[name](seed)
    folds = min(FOLDS, int(np.bincount(y, minlength=task.n_classes).min()))
    # BLAS shares out even tiny products: an SVM on 200 x 12,288 took 48 s with all threads, 4 s with one.
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)
        if grid and folds >= 2:
            split = StratifiedKFold(folds, shuffle=True, random_state=seed)
            search = GridSearchCV(model, grid, cv=split).fit(x, y)
            model, chosen = search.best_estimator_, search.best_params_
        else:
            chosen = {key: values[len(values) // 2] for key, values in grid.items()}
            model = model.set_params(**chosen).fit(x, y)
        predicted = model.predict(flat(task.x_test))
    return {
        "accuracy": float((predicted == task.y_test).mean()),
        "chosen": chosen,
        "n": len(predicted),
    }
