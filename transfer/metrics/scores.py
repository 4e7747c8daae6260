"""What is measured on the test part: of classes, of numbers, of several labels an example."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from headstart.errors import InputError

# Percentile bootstrap: so many test parts are drawn from the test part, with replacement.
SAMPLES, AT_ONCE = 1000, 50


def check_outputs(outputs: np.ndarray, model: str, examples: str) -> None:
    """Raise InputError when outputs (N, K) are not all finite.

    model, examples: what gave them, and of what they are, for the message.
    """
    lost = np.flatnonzero(~np.isfinite(outputs).all(axis=1))
    if len(lost):
        raise InputError(
            f"{model} gives no finite output for {len(lost):,} of the {len(outputs):,} {examples}, of which "
            f"the first is number {lost[0]}: their values are far from those it was trained on. Leave them "
            f"out. Nothing was written."
        )


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


def measure_numbers(predicted: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Return the metrics of ``predicted`` (N,) against numbers ``y`` (N,), in their units.

    rmse (root of the mean squared error), mae (mean absolute error), r2 (1 - squared error / squared
    deviation of y from its mean; None where all of y are equal); each with a 95 % interval of test
    examples (Efron & Tibshirani 1993, "An Introduction to the Bootstrap", section 13.3); n.
    """
    y = y.astype(np.float64)
    error = predicted.astype(np.float64) - y
    off = y - y.mean()
    columns = np.stack([np.square(error), np.abs(error), off, np.square(off)], axis=1)

    def scores(sums: np.ndarray) -> dict[str, np.ndarray]:
        square, absolute, first, second = sums.T
        about_mean = second - np.square(first) / len(y)
        with np.errstate(divide="ignore", invalid="ignore"):
            r2 = np.where(
                about_mean > 1e-12 * np.square(off).sum(), 1 - square / about_mean, np.nan
            )
        return {"rmse": np.sqrt(square / len(y)), "mae": absolute / len(y), "r2": r2}

    return {**_with_intervals(columns, scores), "n": len(y)}


def measure_labels(chances: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Return the metrics of ``chances`` (N, K) against labels ``y`` (N, K) of 0 and 1.

    A label is told where its chance is above one half. micro_f1 (over all labels together; with a 95 %
    bootstrap interval of test examples), macro_f1 (mean over labels; one without any truth or
    prediction counts 0), mean_average_precision (over labels that the test part has; None if it has
    none), subset_accuracy (all labels of an example right; with its Wilson interval), hamming_loss (the
    part of all single decisions that is wrong), loss (mean binary cross-entropy, chances
    clipped at 1e-7); n.
    """
    from scipy.stats import binomtest
    from sklearn.metrics import average_precision_score, f1_score

    told, true = chances > 0.5, y > 0.5
    right = (told == true).all(axis=1)
    interval = binomtest(int(right.sum()), len(y)).proportion_ci(method="wilson")
    ranked = [
        average_precision_score(true[:, k], chances[:, k]) for k in np.flatnonzero(true.any(0))
    ]
    sure = np.clip(np.where(true, chances, 1 - chances.astype(np.float64)), 1e-7, 1)
    counts = np.stack([(told & true).sum(1), (told ^ true).sum(1)], axis=1).astype(np.float64)

    def scores(sums: np.ndarray) -> dict[str, np.ndarray]:
        hits, misses = sums.T
        return {"micro_f1": 2 * hits / np.maximum(2 * hits + misses, 1)}

    return {
        **_with_intervals(counts, scores),
        "macro_f1": float(f1_score(true, told, average="macro", zero_division=0.0)),
        "mean_average_precision": float(np.mean(ranked)) if ranked else None,
        "subset_accuracy": float(right.mean()),
        "subset_accuracy_interval": [float(interval.low), float(interval.high)],
        "hamming_loss": float((told != true).mean()),
        "loss": float(-np.log(sure).mean()),
        "n": len(y),
    }


def _with_intervals(
    columns: np.ndarray, scores: Callable[[np.ndarray], dict[str, np.ndarray]]
) -> dict[str, Any]:
    """Return each score of the column sums of (N, C), and as NAME_interval its bootstrap interval.

    scores: sums (R, C) to a number (R,) by name; NaN where it cannot be told.
    """
    rng = np.random.default_rng(0)
    n = len(columns)
    drawn = [columns[rng.integers(0, n, (AT_ONCE, n))].sum(1) for _ in range(SAMPLES // AT_ONCE)]
    found: dict[str, Any] = {}
    spread = scores(np.concatenate(drawn))
    for name, score in scores(columns.sum(axis=0, keepdims=True)).items():
        sampled = spread[name][~np.isnan(spread[name])]
        known = bool(len(sampled)) and not np.isnan(score[0])
        found[name] = float(score[0]) if known else None
        found[f"{name}_interval"] = np.percentile(sampled, [2.5, 97.5]).tolist() if known else None
    return found
