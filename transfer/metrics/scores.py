"""Metrics of predictions on a test part: of classes, of numbers, of several labels an example."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from headstart.errors import InputError

# Percentile bootstrap: the number of resampled test parts, and of those drawn at once to bound the memory.
SAMPLES, AT_ONCE = 1000, 50


def check_outputs(outputs: np.ndarray, model: str, examples: str) -> None:
    """Check that a model's outputs (N, K) are finite; model and examples are named in the message.

    Raises:
        InputError: some are NaN or infinite.
    """
    lost = np.flatnonzero(~np.isfinite(outputs).all(axis=1))
    if len(lost):
        raise InputError(
            f"{model} gives no finite output for {len(lost):,} of the {len(outputs):,} {examples}, of which "
            f"the first is number {lost[0]}: their values are far from those it was trained on. Nothing was "
            f"written.",
            hint="Leave them out.",
        )


def measure(probabilities: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Return the metrics of class probabilities.

    Args:
        probabilities: (N, K) float.
        y: (N,) int, the true classes.

    Returns:
        JSON: ``accuracy``; ``accuracy_interval`` [low, high] (Wilson 1927, 95 %, over test examples, not
        over draws of labels); ``balanced_accuracy`` (mean recall over the classes present); ``macro_f1`` (a
        class without any truth or prediction counts 0); ``loss`` (mean -log p of the true class, p clipped
        at 1e-7); ``confusion`` (K x K counts, rows true, columns predicted); ``n``.

    Example:
        >>> measure(np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 1]))["accuracy"]
        1.0
    """
    from sklearn.metrics import confusion_matrix, f1_score

    classes = np.arange(probabilities.shape[1])
    predicted = probabilities.argmax(axis=1)
    true = np.clip(probabilities[np.arange(len(y)), y].astype(np.float64), 1e-7, 1)
    confusion = confusion_matrix(y, predicted, labels=classes)
    present = confusion.sum(axis=1) > 0
    recall = confusion.diagonal()[present] / confusion.sum(axis=1)[present]
    return {
        "accuracy": float((predicted == y).mean()),
        "accuracy_interval": _wilson(predicted == y),
        "balanced_accuracy": float(recall.mean()),
        "macro_f1": float(
            f1_score(y, predicted, labels=classes, average="macro", zero_division=0.0)
        ),
        "loss": float(-np.log(true).mean()),
        "confusion": confusion.tolist(),
        "n": len(y),
    }


def measure_numbers(predicted: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Return the metrics of predicted numbers.

    Args:
        predicted: (N,) float.
        y: (N,) float, the true numbers, in the same units.

    Returns:
        JSON: ``rmse`` (root of the mean squared error), ``mae`` (mean absolute error), ``r2`` (1 - squared
        error / squared deviation of y from its mean; None where all of y are equal); each with a 95 %
        interval over test examples, ``rmse_interval`` and so on (Efron & Tibshirani 1993, "An Introduction
        to the Bootstrap", section 13.3); ``n``.
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


def measure_labels(probabilities: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Return the metrics of the probabilities of several labels an example.

    A label is predicted where its probability is above one half.

    Args:
        probabilities: (N, K) float, of each label by itself.
        y: (N, K) of 0 and 1.

    Returns:
        JSON: ``micro_f1`` (over all labels together; ``micro_f1_interval`` is a 95 % bootstrap interval over
        test examples), ``macro_f1`` (mean over labels; one without any truth or prediction counts 0),
        ``mean_average_precision`` (over labels that the test part has; None if it has none),
        ``subset_accuracy`` (all labels of an example right; ``subset_accuracy_interval`` is Wilson's),
        ``hamming_loss`` (share of wrong decisions), ``loss`` (mean binary cross-entropy, probabilities
        clipped at 1e-7), ``n``.
    """
    from sklearn.metrics import average_precision_score, f1_score

    predicted, true = probabilities > 0.5, y > 0.5
    right = (predicted == true).all(axis=1)
    ranked = [
        average_precision_score(true[:, k], probabilities[:, k])
        for k in np.flatnonzero(true.any(0))
    ]
    given = np.where(true, probabilities, 1 - probabilities.astype(np.float64))
    counts = np.stack([(predicted & true).sum(1), (predicted ^ true).sum(1)], axis=1)

    def scores(sums: np.ndarray) -> dict[str, np.ndarray]:
        hits, misses = sums.T
        return {"micro_f1": 2 * hits / np.maximum(2 * hits + misses, 1)}

    return {
        **_with_intervals(counts.astype(np.float64), scores),
        "macro_f1": float(f1_score(true, predicted, average="macro", zero_division=0.0)),
        "mean_average_precision": float(np.mean(ranked)) if ranked else None,
        "subset_accuracy": float(right.mean()),
        "subset_accuracy_interval": _wilson(right),
        "hamming_loss": float((predicted != true).mean()),
        "loss": float(-np.log(np.clip(given, 1e-7, 1)).mean()),
        "n": len(y),
    }


def _wilson(right: np.ndarray) -> list[float]:
    """Return the 95 % interval [low, high] of a share, of bool (N,)."""
    from scipy.stats import binomtest

    interval = binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson")
    return [float(interval.low), float(interval.high)]


def _with_intervals(
    columns: np.ndarray, scores: Callable[[np.ndarray], dict[str, np.ndarray]]
) -> dict[str, Any]:
    """Return ``scores`` of columns (N, C), by sums over examples, each with a 95 % bootstrap interval."""
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
