"""Ranks of the rows over several data sets: Friedman's test and Nemenyi's critical difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Average ranks over data sets, the best first; 1 is the best rank.

    ranks: row -> average rank; equal accuracies share the mean of their ranks.
    n: data sets.
    p: Friedman's; NaN with fewer than three rows.
    critical: two rows whose average ranks differ by less are not shown to differ.
    """

    ranks: dict[str, float]
    n: int
    p: float
    critical: float

    def groups(self) -> list[list[str]]:
        """Return the largest sets of neighbours that are not shown to differ, of two rows or more."""
        names = list(self.ranks)
        found: list[tuple[int, int]] = []
        for i, name in enumerate(names):
            first = self.ranks[name]
            last = sum(other - first <= self.critical for other in self.ranks.values()) - 1
            if last > i and not (found and last <= found[-1][1]):
                found.append((i, last))
        return [names[i : j + 1] for i, j in found]


def rank(scores: Sequence[Mapping[str, float]]) -> Ranking | None:
    """Rank the rows that every data set has; None with fewer than two data sets or rows.

    Demsar 2006, "Statistical comparisons of classifiers over multiple data sets": with k rows and N data
    sets, critical = q sqrt(k (k + 1) / 6N), q being the studentised range's quantile over sqrt 2.

    Args:
        scores: one mapping a data set, row -> accuracy; several budgets are averaged before.
    """
    from scipy import stats

    names = [name for name in scores[0] if all(name in s for s in scores)] if scores else []
    k, n = len(names), len(scores)
    if n < 2 or k < 2:
        return None
    table = np.array([[s[name] for name in names] for s in scores])
    ranks = stats.rankdata(-table, axis=1)
    varied = np.ptp(ranks, axis=1).any()
    test = stats.friedmanchisquare(*table.T) if k > 2 and varied else None
    q = float(stats.studentized_range.ppf(CONFIDENCE, k, np.inf)) / 2**0.5
    means = ranks.mean(axis=0)
    order = np.argsort(means, kind="stable")
    return Ranking(
        ranks={names[i]: float(means[i]) for i in order},
        n=n,
        p=float(test.pvalue) if test else float("nan"),
        critical=q * (k * (k + 1) / (6 * n)) ** 0.5,
    )
