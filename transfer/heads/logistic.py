"""``logistic``: a logistic regression on frozen features; of numbers, a ridge regression."""

from __future__ import annotations

from transfer.heads.base import Labelled, Solution, SolvedHead

# The inverse strength of the penalty, from strong to weak.
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)


class Logistic(SolvedHead):
    """One Dense layer at the minimum of the target's loss with an L2 penalty, by the C of the lowest loss."""

    name = "logistic"
    summary = "a logistic regression (of numbers, a ridge regression) on frozen features"
    words = ", logistic regression"
    parameter = "C"
    values = STRENGTHS
    unchosen = 1e-1
    heeds = frozenset({"balance"})

    def solution(self, labelled: Labelled, value: float) -> Solution:
        """Return kernel and bias at C = ``value``."""
        solve = labelled.target.solve
        return Solution(weights=solve(labelled.features, labelled.y, value, labelled.weights))


ROW = Logistic()
