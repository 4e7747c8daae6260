"""Classical models on raw values: the numbers that a transfer and a benchmark have to beat."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tasks.task import TargetTask
from transfer.metrics.scores import measure

NAME = "raw logistic regression"
FOLDS = 5
MAX_SIZE = 40_000_000
"""Labels x values x classes up to which it is fitted, at most some seconds: 80 faces of 40 people took
3.6 s, 1,000 labels of Fashion-MNIST 0.3 s."""


def raw_values(task: TargetTask, x: np.ndarray) -> np.ndarray:
    """Return (n, D) float32: the examples ``x``, flattened, with the task's range mapped to [0, 1].

    Of a table with named columns it is their design, in which every level and every gap is a 0 or 1.
    """
    if task.schema is not None:
        return task.schema.design(x)
    low, high = task.value_range
    return (x.reshape(len(x), -1).astype(np.float32) - low) / (high - low)


def logistic_regression(seed: int, iterations: int) -> Any:
    """Return an unfitted logistic regression of scikit-learn, with its usual C of 1."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=iterations, random_state=seed)


def fit_raw(
    model: Any,
    task: TargetTask,
    rows: np.ndarray,
    *,
    grid: Mapping[str, Sequence[Any]] | None = None,
    seed: int = 0,
) -> tuple[Any, dict[str, Any]]:
    """Fit a classifier of scikit-learn on the raw values of the examples ``rows`` (n,) of ``task.x``.

    Else as ``fit_tuned``; the classifier works on ``raw_values``.
    """
    x, y = raw_values(task, task.x[rows]), task.y[rows]
    return fit_tuned(model, x, y, classes=task.n_classes, grid=grid, seed=seed)


def fit_tuned(
    model: Any,
    x: np.ndarray,
    y: np.ndarray,
    *,
    classes: int,
    grid: Mapping[str, Sequence[Any]] | None = None,
    seed: int = 0,
) -> tuple[Any, dict[str, Any]]:
    """Fit a classifier of scikit-learn, its parameters chosen by cross-validation.

    Args:
        model: the unfitted classifier.
        x: float32 (n, D).
        y: int (n,), classes 0 to ``classes`` - 1.
        classes: their number.
        grid: parameters to choose by stratified cross-validation; where a class has fewer than two labels
            there is nothing to validate on, and the middle of each list is taken.
        seed: of the folds.

    Returns:
        The fitted classifier, and the chosen parameters.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from threadpoolctl import threadpool_limits

    grid = grid or {}
    folds = min(FOLDS, int(np.bincount(y, minlength=classes).min()))
    # BLAS shares out even tiny products: an SVM on 200 x 12,288 took 48 s with all threads, 4 s with one.
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)
        if grid and folds >= 2:
            split = StratifiedKFold(folds, shuffle=True, random_state=seed)
            search = GridSearchCV(model, dict(grid), cv=split).fit(x, y)
            return search.best_estimator_, search.best_params_
        chosen = {name: values[len(values) // 2] for name, values in grid.items()}
        return model.set_params(**chosen).fit(x, y), chosen


def baselines(task: TargetTask, rows: np.ndarray, seed: int = 0) -> dict[str, Any]:
    """Return {name: accuracy, accuracy_interval} of a logistic regression on raw values.

    Nothing is chosen: a benchmark tunes it.

    Args:
        task: a task of classes; its test part measures the model.
        rows: (n,) integers, the labelled examples of ``task.x``.
        seed: of the solver.

    Returns:
        {} when it would take long, and when the labels are all of one class.
    """
    size = len(rows) * int(np.prod(task.input_shape)) * task.n_classes
    if size > MAX_SIZE or len(np.unique(task.y[rows])) < 2:
        return {}
    from threadpoolctl import threadpool_limits

    model, _ = fit_raw(logistic_regression(seed, 200), task, rows)
    probabilities = np.zeros((len(task.x_test), task.n_classes))
    with threadpool_limits(1):
        probabilities[:, model.classes_] = model.predict_proba(raw_values(task, task.x_test))
    found = measure(probabilities, task.y_test)
    return {NAME: {name: found[name] for name in ("accuracy", "accuracy_interval")}}
