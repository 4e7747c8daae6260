"""Numeric habits that several parts share: standardising, and probabilities of logits."""

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
    """Return mean and standard deviation (D,) float64 of each column of x (N, D), or of numbers (N,).

    Args:
        x: float.
        tolerance: a column is constant whose standard deviation is at most this much.
        relative_to: of the largest standard deviation, of the column's own largest absolute value, or None:
            the tolerance as it is.
        constant: the spread of a constant column. Infinity turns the standardised column into zeros, 1
            leaves it as it is but for its mean.
    """
    x = x.astype(np.float64)
    mean, spread = x.mean(axis=0), x.std(axis=0)
    least: np.ndarray | float = tolerance
    if relative_to == "spread":
        least = tolerance * max(1e-12, float(spread.max()))
    elif relative_to == "values":
        least = tolerance * np.abs(x).max(axis=0)
    return mean, np.where(spread <= least, constant, spread)


def both_classes(probabilities: np.ndarray) -> np.ndarray:
    """Return probabilities (N, K): of one column, the second class's, those of both classes."""
    if probabilities.shape[1] > 1:
        return probabilities
    return np.concatenate([1 - probabilities, probabilities], axis=1)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-z)) as float64, without overflow."""
    found: np.ndarray = np.exp(-np.logaddexp(0, -logits.astype(np.float64)))
    return found


def class_probabilities(logits: np.ndarray) -> np.ndarray:
    """Return probabilities (N, K) float32 of logits (N, K), or (N, 1) for two classes."""
    if logits.shape[1] == 1:
        return both_classes(sigmoid(logits)).astype(np.float32)
    logits = logits.astype(np.float64)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
