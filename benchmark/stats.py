"""The statistics of the comparison: means, paired differences and their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean of n values with its two-sided 95 % interval; low and high are NaN when n < 2."""

    mean: float
    low: float
    high: float
    n: int

    @property
    def excludes_zero(self) -> bool:
        """True when zero lies outside; False when there is no interval."""
        return bool(self.low > 0 or self.high < 0)


def t_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """Return the mean with Student's t interval (Student 1908), mean +- t_(n-1) s / sqrt(n)."""
    from scipy import stats

    data = np.asarray(values, float)
    n = len(data)
    mean = float(data.mean()) if n else float("nan")
    if n < 2:
        return Interval(mean=mean, low=float("nan"), high=float("nan"), n=n)
    error = float(data.std(ddof=1)) / n**0.5
    half = float(stats.t.ppf((1 + confidence) / 2, n - 1)) * error
    return Interval(mean=mean, low=mean - half, high=mean + half, n=n)


def paired(
    values: dict[int, float], against: dict[int, float], confidence: float = CONFIDENCE
) -> Interval:
    """Return the mean difference with its t interval over the seeds that both have.

    Args:
        values, against: accuracy by seed. The seeds of both saw the same labelled subset, so their
            difference does not carry the luck of the draw.
    """
    seeds = sorted(values.keys() & against.keys())
    return t_interval([values[seed] - against[seed] for seed in seeds], confidence)
