"""A simple model on the same labels: the number that a transfer has to beat."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from tasks.task import TargetTask
from transfer.metrics.scores import measure

NAME = "raw logistic regression"
MAX_SIZE = 40_000_000
"""Labels x values x classes up to which it is fitted, at most some seconds: 80 faces of 40 people took
3.6 s, 1,000 labels of Fashion-MNIST 0.3 s."""


def baselines(task: TargetTask, rows: np.ndarray, seed: int = 0) -> dict[str, Any]:
    """Return the test accuracy of a logistic regression on raw values.

    Values are mapped to [0, 1] by the task's range and flattened; C is scikit-learn's 1, so nothing is
    chosen (``benchmark`` tunes it).

    Args:
        task: classes, with a test part.
        rows: (n,) integers, the labelled examples of ``task.x``.
        seed: of the solver.

    Returns:
        JSON: {NAME: {"accuracy", "accuracy_interval"}}. Empty when fitting would take long, or the labels
        are all of one class.
    """
    y = task.y[rows]
    size = len(rows) * int(np.prod(task.input_shape)) * task.n_classes
    if size > MAX_SIZE or len(np.unique(y)) < 2:
        return {}
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    low, high = task.value_range

    def flat(x: np.ndarray) -> np.ndarray:
        return (x.reshape(len(x), -1).astype(np.float32) - low) / (high - low)

    # One thread: BLAS loses more by sharing such products out than it gains.
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression(max_iter=200, random_state=seed).fit(flat(task.x[rows]), y)
        probabilities = np.zeros((len(task.x_test), task.n_classes))
        probabilities[:, model.classes_] = model.predict_proba(flat(task.x_test))
    measured = measure(probabilities, task.y_test)
    return {NAME: {name: measured[name] for name in ("accuracy", "accuracy_interval")}}
