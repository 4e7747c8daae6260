"""Equivalent labels: how many labels scratch would need to reach what a strategy reaches with n.

Scratch's mean accuracies at its budgets are made non-decreasing (isotonic regression: more labels may not
harm) and joined by straight lines over the logarithm of the number of labels. Where that curve first
reaches the strategy's accuracy is the answer; it may lie beyond the budgets that were measured, and is
then infinite (more than the largest) or 0 (fewer than the smallest). Nothing is extrapolated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 2000
CONFIDENCE = 0.95
ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True)
class Equivalent:
    """A strategy's accuracy with ``labels`` labels, expressed in labels of scratch.

    value, low, high: labels; inf is "more than ``largest``", 0 is "fewer than ``smallest``". low and high
        are the 95 % percentile interval of a bootstrap over seeds, NaN with fewer than two.
    """

    labels: int
    value: float
    low: float
    high: float
    smallest: int
    largest: int

    def parts(self) -> tuple[str, str]:
        """Return the number and its interval: ("210", "150 to more than 1,000"), "" for no interval."""
        value, low, high = map(self._words, (self.value, self.low, self.high))
        shown = not np.isnan(self.low) and not low == high == value
        return value, f"{low} to {high}" if shown else ""

    def __str__(self) -> str:
        """Return the words of a sentence: "210 (150 to more than 1,000)"."""
        value, interval = self.parts()
        return f"{value} ({interval})" if interval else value

    def _words(self, labels: float) -> str:
        if np.isinf(labels):
            return f"more than {self.largest:,}"
        return f"fewer than {self.smallest:,}" if labels == 0 else f"{labels:,.0f}"


def isotonic(values: np.ndarray) -> np.ndarray:
    """Return the non-decreasing least-squares fit of the last axis, by the max-min formula.

    fit_i = max over j <= i of min over k >= i of mean(values_j .. values_k) (Robertson et al. 1988,
    "Order Restricted Statistical Inference", 1.4). A grid has few budgets, so its cubic cost is nothing.
    """
    m = values.shape[-1]
    sums = np.concatenate([np.zeros((*values.shape[:-1], 1)), np.cumsum(values, -1)], -1)
    fits = []
    for i in range(m):
        lowest = [
            np.min([(sums[..., k + 1] - sums[..., j]) / (k + 1 - j) for k in range(i, m)], axis=0)
            for j in range(i + 1)
        ]
        fits.append(np.max(lowest, axis=0))
    return np.stack(fits, axis=-1)


def crossing(labels: Sequence[int], curves: np.ndarray, reached: np.ndarray) -> np.ndarray:
    """Return where each curve first reaches a value.

    Args:
        labels: (m,) budgets, ascending.
        curves: (R, m) accuracies of scratch.
        reached: (R,) accuracies of the strategy.

    Returns:
        (R,) labels; 0 below the first budget's accuracy, inf above the last's.
    """
    curves, logs = isotonic(curves), np.log(np.asarray(labels, float))
    found = np.full(len(curves), np.inf)
    for i in reversed(range(1, len(labels))):
        low, high = curves[:, i - 1], curves[:, i]
        inside = (reached <= high + ROUNDING) & (reached > low)
        part = np.where(inside, (reached - low) / np.where(high > low, high - low, 1.0), 0.0)
        found = np.where(inside, np.exp(logs[i - 1] + part * (logs[i] - logs[i - 1])), found)
    found = np.where(reached <= curves[:, 0] + ROUNDING, float(labels[0]), found)
    return np.where(reached < curves[:, 0] - ROUNDING, 0.0, found)


def equivalent_labels(
    scratch: Mapping[int, Mapping[int, float]], strategy: Mapping[int, float], labels: int
) -> Equivalent | None:
    """Return the labels that scratch needs for the strategy's accuracy at the budget ``labels``.

    Args:
        scratch: budget -> seed -> accuracy, of two budgets or more.
        strategy: seed -> accuracy at ``labels``.

    The same seeds are drawn for both in each resample, so that the luck of the labels cancels as it does in
    the paired differences. Seeds that miss one of the cells are left out. None when there is no curve.
    """
    budgets = sorted(scratch)
    seeds = sorted(set(strategy).intersection(*(scratch[b] for b in budgets)) if budgets else ())
    if len(budgets) < 2 or not seeds:
        return None
    curves = np.array([[scratch[b][seed] for b in budgets] for seed in seeds])  # (S, m)
    reached = np.array([strategy[seed] for seed in seeds])  # (S,)
    value = float(crossing(budgets, curves.mean(0)[None], reached.mean()[None])[0])
    low = high = float("nan")
    if len(seeds) > 1:
        drawn = np.random.default_rng(0).integers(0, len(seeds), (RESAMPLES, len(seeds)))
        sampled = crossing(budgets, curves[drawn].mean(1), reached[drawn].mean(1))
        outside = (1 - CONFIDENCE) / 2
        # Not interpolated between two samples: half of infinity is not a number of labels.
        low, high = np.quantile(sampled, [outside, 1 - outside], method="nearest").tolist()
    return Equivalent(
        labels=labels, value=value, low=low, high=high, smallest=budgets[0], largest=budgets[-1]
    )
