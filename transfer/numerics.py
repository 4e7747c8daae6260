"""Shared numerics: standardising, and probabilities of logits."""

from __future__ import annotations

from typing import Literal

import numpy as np


def mean_and_spread(
    x: np.ndarray,
    *,
    tolerance: float = 1e-6,
    relative_to: Literal["spread", "values"] | None = "spread",
    constant: float = np.inf,
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation, float64 (D,), of each column.

    Args:
        x: (N, D) float, or numbers (N,).
        tolerance: a column counts as constant when its standard deviation is at most this.
        relative_to: "spread" multiplies the tolerance by the largest standard deviation, "values" by the
            column's largest absolute value; None takes it as it is.
        constant: returned as the standard deviation of a constant column. Infinity turns the standardised
            column into zeros; 1 only subtracts its mean.
    """
    x = x.astype(np.float64)
    mean, spread = x.mean(axis=0), x.std(axis=0)
    limit: np.ndarray | float = tolerance
    if relative_to == "spread":
        limit = tolerance * max(1e-12, float(spread.max()))
    elif relative_to == "values":
        limit = tolerance * np.abs(x).max(axis=0)
    return mean, np.where(spread <= limit, constant, spread)


def both_classes(probabilities: np.ndarray) -> np.ndarray:
    """Return probabilities (N, K), those of both classes where (N, 1) are the second class'."""
    if probabilities.shape[1] > 1:
        return probabilities
    return np.concatenate([1 - probabilities, probabilities], axis=1)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-z)) as float64, without overflow."""
    probabilities: np.ndarray = np.exp(-np.logaddexp(0, -logits.astype(np.float64)))
    return probabilities


def class_probabilities(logits: np.ndarray) -> np.ndarray:
    """Return probabilities (N, K) float32 of logits (N, K), or (N, 1) for two classes."""
    if logits.shape[1] == 1:
        return both_classes(sigmoid(logits)).astype(np.float32)
    logits = logits.astype(np.float64)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
