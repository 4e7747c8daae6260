"""Numbers as text, the same in the terminal, the tables and the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from benchmark.analysis.stats import Interval


def place_name(title: str, labels: int) -> str:
    """Return "50 labels", after the table's title where there are several tables."""
    return f"{title}, {labels:,} labels" if title else f"{labels:,} labels"


def possible(accuracy: Interval) -> Interval:
    """Cut an interval of accuracies to 0..1: Student's t does not know that there is an end."""
    return replace(accuracy, low=max(0.0, accuracy.low), high=min(1.0, accuracy.high))


def percent(fraction: float) -> str:
    """Return 77.46 for 0.77461; a dash for NaN."""
    return "–" if fraction != fraction else f"{100 * fraction:.2f}"


def points(difference: float) -> str:
    """Return +6.94 for 0.0694; a dash for NaN."""
    return "–" if difference != difference else f"{100 * difference:+.2f}"


def span(interval: Interval, sign: str = "+") -> str:
    """Return "+5.46 to +8.43", in percent or points; a dash where there is no interval."""
    if interval.n < 2:
        return "–"
    return f"{100 * interval.low:{sign}.2f} to {100 * interval.high:{sign}.2f}"


def p_text(p: float) -> str:
    """Return "= 0.012" or "< 0.0001"."""
    if p != p:
        return "unknown"
    return "< 0.0001" if p < 0.0001 else f"= {p:.2g}" if p < 0.01 else f"= {p:.2f}"


def seconds(value: float) -> str:
    """Return "3.2 s", "35 s" or "12 min"; "unknown" for NaN."""
    if value != value:
        return "unknown"
    if value < 10:
        return f"{value:.1f} s"
    return f"{value:.0f} s" if value < 600 else f"{value / 60:.0f} min"


def listed(parts: Sequence[str]) -> str:
    """Return "a, b and c"."""
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))


def p_number(p: float) -> str:
    """Return "0.012", "< 0.0001" or a dash."""
    return "–" if p != p else p_text(p).removeprefix("= ")
