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
EQUAL = 1e-12
"""Accuracies that differ by less are equal."""
NO_SPREAD = EQUAL**2


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


@dataclass(frozen=True, kw_only=True)
class MeanTest:
    """A mean of n values with its standard error and the degrees of freedom of that."""

    mean: float
    error: float
    df: float
    n: int

    @property
    def p_above(self) -> float:
        """Twice the one-sided p value of "the mean is zero or below", at most 1.

        Twice, so that it is read beside two-sided ones. Without any spread it is the sign test's.
        """
        from scipy.special import stdtr

        if self.error**2 < NO_SPREAD:
            return 2.0 ** (1 - self.n) if self.mean > EQUAL else 1.0
        return min(1.0, 2 * float(stdtr(self.df, -self.mean / self.error)))

    def end(self, level: float) -> float:
        """Return the one-sided bound: the mean is below it with probability ``level``."""
        from scipy.special import stdtrit

        return self.mean + float(stdtrit(self.df, level)) * self.error


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


def pooled_tests(differences: Sequence[Sequence[float]]) -> list[MeanTest]:
    """Test the means of several rows' differences to one rival, with what their spreads say of one another.

    The spread of five values is known badly, and the quantiles of t_4 pay for it; but all rows are trained
    alike. So none is taken to vary less than the rows do on average, v = max(s_r^2, mean of all s_r^2), and
    the reference is Student's t with the degrees of freedom of that average: (n - 1) tr(S)^2 / tr(S^2) for
    the rows' covariance matrix S, which allows for the rival's luck in all of them and for unequal spreads
    (Box 1954; as estimated by Greenhouse and Geisser 1959). One row alone has the ordinary t test.

    Args:
        differences: (R, n) of R rows on the same n seeds, n >= 2.
    """
    data = np.asarray(differences, float)
    n = data.shape[1]
    means = data.mean(axis=1)
    centred = data - means[:, None]
    own = np.square(centred).sum(axis=1) / (n - 1)
    # (n, n); has the eigenvalues of S that are not zero.
    gram = centred.T @ centred / (n - 1)
    whole, squares = float(np.trace(gram)), float(np.square(gram).sum())
    df = n - 1.0 if whole < NO_SPREAD else (n - 1) * whole**2 / squares
    errors = np.sqrt(np.maximum(own, own.mean()) / n)
    return [
        MeanTest(mean=float(m), error=float(e), df=df, n=n)
        for m, e in zip(means, errors, strict=True)
    ]


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


def hommel(p_values: Sequence[float]) -> list[float]:
    """Return the p values corrected for their number, by Hommel's method (Hommel 1988).

    It is the closed test (Marcus et al. 1976) with Simes' test of every set of hypotheses, min_k j p_(k) / k
    for j of them: never larger than Holm's, and smaller where several are small. Simes' test holds for p
    values that do not oppose one another (Sarkar 1998); those of rows with one rival rise together. NaN stays
    and counts as none.
    """
    p = np.asarray(p_values, float)
    found = np.full(len(p), np.nan)
    known = np.flatnonzero(~np.isnan(p))
    for i in known:
        # Of all sets of j with this one in it, that with the largest others is the hardest to reject.
        others = np.sort(p[known[known != i]])
        sets = (np.sort(np.append(others[len(others) - j :], p[i])) for j in range(len(known)))
        found[i] = max(float((len(s) * s / np.arange(1, len(s) + 1)).min()) for s in sets)
    return found.tolist()
