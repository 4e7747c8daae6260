"""What is measured on the test part, from class probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np


def measure(probabilities: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Return the metrics of ``probabilities`` (N, K) float against labels ``y`` (N,) int.

    accuracy; accuracy_interval (Wilson 1927, 95 %: of the test examples, not of the labels drawn);
    balanced_accuracy (mean recall over classes present); macro_f1 (an empty class counts
    0); loss (mean -log p of the true class, p clipped at 1e-7); confusion (rows true, columns
    predicted); n.
    """
    from scipy.stats import binomtest
    from sklearn.metrics import confusion_matrix, f1_score

    classes = np.arange(probabilities.shape[1])
    predicted = probabilities.argmax(axis=1)
    true = np.clip(probabilities[np.arange(len(y)), y].astype(np.float64), 1e-7, 1)
    confusion = confusion_matrix(y, predicted, labels=classes)
    present = confusion.sum(axis=1) > 0
    recall = confusion.diagonal()[present] / confusion.sum(axis=1)[present]
    interval = binomtest(int((predicted == y).sum()), len(y)).proportion_ci(method="wilson")
    return {
        "accuracy": float((predicted == y).mean()),
        "accuracy_interval": [float(interval.low), float(interval.high)],
        "balanced_accuracy": float(recall.mean()),
        "macro_f1": float(
            f1_score(y, predicted, labels=classes, average="macro", zero_division=0.0)
        ),
        "loss": float(-np.log(true).mean()),
        "confusion": confusion.tolist(),
        "n": len(y),
    }
