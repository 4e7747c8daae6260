"""Classical baselines on raw values, tuned by cross-validation within the label budget."""

from __future__ import annotations

from typing import Any

from tasks.task import TargetTask
from transfer.metrics.baselines import NAME, fit_raw, logistic_regression, raw_values

BASELINES = (NAME, "raw RBF SVM", "raw 1-NN")
"""The rows' names."""


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

    model, grid = model_and_grid(name, seed)
    model, chosen = fit_raw(model, task, task.labels(labels, seed), grid=grid, seed=seed)
    with threadpool_limits(1):
        predicted = model.predict(raw_values(task, task.x_test))
    accuracy = float((predicted == task.y_test).mean())
    return {"accuracy": accuracy, "chosen": chosen, "n": len(predicted)}
