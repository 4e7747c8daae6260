"""``logistic``: a logistic regression on frozen features; of numbers, a ridge regression."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from transfer.heads.base import Said, Solution, SolvedHead

if TYPE_CHECKING:
    from transfer.targets.base import Target

# The inverse strength of the penalty, from strong to weak.
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)


class Logistic(SolvedHead):
    """One Dense layer at the minimum of the target's loss with an L2 penalty, by the C of the lowest loss."""

    name = "logistic"
    summary = "a logistic regression (of numbers, a ridge regression) on frozen features"
    words = ", logistic regression"
    parameter = "C"
    unchosen = 1e-1
    heeds = frozenset({"balance"})

    def solution(
        self,
        features: np.ndarray,
        y: np.ndarray,
        target: Target,
        value: float,
        weights: np.ndarray | None,
    ) -> Solution:
        """Return kernel and bias at C = ``value``."""
        return Solution(weights=target.solve(features, y, value, weights))

    def trial(
        self,
        features: np.ndarray,
        y: np.ndarray,
        target: Target,
        weights: np.ndarray | None,
        new: np.ndarray,
    ) -> Said:
        """Return probabilities, or numbers, for every C."""
        said = {}
        for c in STRENGTHS:
            kernel, bias = target.solve(features, y, c, weights)
            said[c] = target.probabilities(new @ kernel + bias)
        return said


ROW = Logistic()
