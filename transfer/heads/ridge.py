"""``ridge``: least squares on the classes, solved in closed form on frozen features.

Hastie, Tibshirani & Friedman 2009, "The Elements of Statistical Learning", sections 3.4.1 and 4.2. With the
centred features Z (N, D), of mean squared length 1, and Y (N, K) of 1 for the true class and -1 else, the
kernel is Z' a with a = (Z Z' + penalty I)^-1 (Y - mean). A system of N equations is solved, however many
features there are, so it suits wide features and few labels. Its outputs are made logits by one temperature
(transfer.metrics.temperature), fitted to what each label is predicted as from the others: the residual of
leaving i out is that of the fit over 1 - H_ii (the same book, equation 7.64).
"""

from __future__ import annotations

import numpy as np

from transfer.heads.base import Labelled, Solution, SolvedHead
from transfer.metrics.temperature import fit_temperature
from transfer.numerics import class_probabilities
from transfer.targets.classification import ABSENT, hard


class Ridge(SolvedHead):
    """One Dense layer at the minimum of the penalised squared error, by the penalty of the lowest loss."""

    name = "ridge"
    summary = "least squares with a penalty, on frozen features; for many features and few labels"
    words = ", ridge"
    targets = ("classes",)
    parameter = "penalty"
    values = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
    unchosen = 0.1
    heeds = frozenset({"balance"})

    def solution(self, labelled: Labelled, value: float) -> Solution:
        """Return kernel and bias at penalty = ``value``."""
        y, outputs = hard(labelled.y), labelled.target.outputs
        classes = max(2, outputs)
        weights = np.ones(len(y)) if labelled.weights is None else labelled.weights
        shares = weights / weights.sum()
        fit = _Fit(labelled.features.astype(np.float64), 2 * np.eye(classes)[y] - 1, shares, value)
        scale = 1 / fit_temperature(class_probabilities(fit.held_out), y)
        kernel, bias = scale * fit.kernel, scale * fit.bias
        bias[np.bincount(y, minlength=classes) == 0] -= ABSENT
        if outputs == 1:  # the logit of the second class
            kernel, bias = kernel[:, 1:] - kernel[:, :1], bias[1:] - bias[:1]
        return Solution(weights=[kernel.astype(np.float32), bias.astype(np.float32)])


class _Fit:
    """The least squares of answers (N, K) on x (N, D): kernel (D, K), bias (K,) and ``held_out`` (N, K).

    shares: (N,), how much each example counts, 1 in all. held_out: what is said of each from the others.
    """

    def __init__(
        self, x: np.ndarray, answers: np.ndarray, shares: np.ndarray, penalty: float
    ) -> None:
        mean, middle = shares @ x, shares @ answers
        x = x - mean
        length = np.sqrt(max(float(shares @ np.square(x).sum(axis=1)), 1e-12))
        x /= length
        penalties = penalty / (len(x) * shares)
        inverse = np.linalg.inv(x @ x.T + np.diag(penalties))
        dual = inverse @ (answers - middle)
        leverage = 1 - np.diag(inverse) * penalties + shares
        residual = penalties[:, None] * dual
        self.held_out = answers - residual / np.maximum(1 - leverage, 1e-9)[:, None]
        self.kernel = x.T @ dual / length
        self.bias = middle - mean @ self.kernel


ROW = Ridge()
