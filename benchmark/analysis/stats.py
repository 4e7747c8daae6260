"""The statistics of the comparison: means, paired differences, their intervals and corrected p values.

SciPy's special functions rather than its distributions: they give the same numbers, and a report
is drawn without the second that importing ``scipy.stats`` takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

CONFIDENCE = 0.95
ALPHA = 0.05
INTERVALS = ("t", "bootstrap")
RESAMPLES = 4999
MIN_FOR_BOOTSTRAP = 3


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
    from scipy.special import stdtrit

    data = np.asarray(values, float)
    n = len(data)
    mean = float(data.mean()) if n else float("nan")
    if n < 2:
        return Interval(mean=mean, low=float("nan"), high=float("nan"), n=n)
    error = float(data.std(ddof=1)) / n**0.5
    half = float(stdtrit(n - 1, (1 + confidence) / 2)) * error
    return Interval(mean=mean, low=mean - half, high=mean + half, n=n)


def bootstrap_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """Return the mean with its bias-corrected and accelerated bootstrap interval (BCa, Efron 1987).

    4,999 resamples with a fixed seed, so the same values have the same interval. With fewer than three
    values, or with equal ones, there is nothing to resample: then the interval is Student's.
    """
    from scipy import stats

    data = np.asarray(values, float)
    if len(data) < MIN_FOR_BOOTSTRAP or np.ptp(data) < 1e-12:
        return t_interval(values, confidence)
    found = stats.bootstrap(
        (data,),
        np.mean,
        n_resamples=RESAMPLES,
        confidence_level=confidence,
        method="BCa",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return Interval(
        mean=float(data.mean()), low=float(found.low), high=float(found.high), n=len(data)
    )


def interval(
    values: Sequence[float], method: str = "t", confidence: float = CONFIDENCE
) -> Interval:
    """Return the interval of one of INTERVALS."""
    return {"t": t_interval, "bootstrap": bootstrap_interval}[method](values, confidence)


def differences(values: Mapping[int, float], against: Mapping[int, float]) -> list[float]:
    """Return values - against of the seeds that both have, in the seeds' order."""
    return [values[seed] - against[seed] for seed in sorted(values.keys() & against.keys())]


def paired(
    values: Mapping[int, float],
    against: Mapping[int, float],
    confidence: float = CONFIDENCE,
    method: str = "t",
) -> Interval:
    """Return the mean difference with its interval over the seeds that both have.

    Args:
        values, against: accuracy by seed. The seeds of both saw the same labelled subset, so their
            difference does not carry the luck of the draw.
        confidence: of the interval.
        method: one of INTERVALS.
    """
    return interval(differences(values, against), method, confidence)


def p_value(values: Sequence[float]) -> float:
    """Return the two-sided p value of "the mean is zero", by Student's paired t test.

    Values that are all equal have no spread to measure the mean by, as happens when few test examples
    make accuracies coarse: a t test would be certain from two seeds. Then it is the sign test's 2^(1-n).
    NaN when n < 2.
    """
    from scipy.special import stdtr

    data = np.asarray(values, float)
    n = len(data)
    if n < 2:
        return float("nan")
    mean = float(data.mean())
    if np.ptp(data) < 1e-12:
        return 1.0 if abs(mean) < 1e-12 else 2.0 ** (1 - n)
    t = mean / (float(data.std(ddof=1)) / n**0.5)
    return float(2 * stdtr(n - 1, -abs(t)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p values corrected for their number, by Holm's step-down method (Holm 1979).

    Whatever is true and however the tests depend on each other, the chance of one or more corrected
    values below 0.05 among true null hypotheses is at most 0.05. NaN (no test was possible) stays and
    counts as none.
    """
    p = np.asarray(p_values, float)
    found = np.full(len(p), np.nan)
    order = [i for i in np.argsort(p, kind="stable") if not np.isnan(p[i])]
    highest = 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * float(p[i])))
        found[i] = highest
    return found.tolist()
