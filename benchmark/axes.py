"""What the figures have in common: their axes, limits, markers and labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmark.equivalent import isotonic
from benchmark.style import WIDTH, Look
from benchmark.tables import Row
from benchmark.words import possible


def new_axes(
    height: float, *, left: float = 0.68, right: float = 0.12, bottom: float, top: float
) -> tuple[Any, Any]:
    """Return a figure of WIDTH x ``height`` inches and its axes, with these margins in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height))
    right, left = min(right, WIDTH / 2), min(left, WIDTH / 2)
    place = (
        left / WIDTH,
        bottom / height,
        (WIDTH - left - right) / WIDTH,
        (height - bottom - top) / height,
    )
    return figure, figure.add_axes(place)


def longest(rows: Sequence[Row]) -> int:
    """Return the length of the longest name."""
    return max((len(row.name) for row in rows), default=0)


def mark(axes: Any, x: float, y: float, how: Look, size: float, **more: Any) -> None:
    """Draw a row's marker."""
    axes.plot(
        [x], [y], ls="", marker=how.marker, color=how.colour, ms=size, mew=1.5, clip_on=True, **more
    )


def square(corner: tuple[float, float], colour: Any) -> Any:
    """Return a filled square of side 1."""
    from matplotlib.patches import Rectangle

    return Rectangle(corner, 1, 1, facecolor=colour, edgecolor="none")


def budget_axis(axes: Any, budgets: Sequence[int]) -> None:
    """Make the x axis one of labels, logarithmic, with a tick a budget."""
    from matplotlib.ticker import NullLocator

    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(budgets, [f"{b:,}" for b in budgets])
    axes.set_xlim(budgets[0] / 1.08, budgets[-1] * 1.04)
    axes.grid(True)
    axes.set_xlabel("labels (logarithmic)")


def label_ends(
    axes: Any, ends: Sequence[tuple[float, float, str]], look: Mapping[str, Look], gap: float
) -> None:
    """Write each row's name right of its curve's end, moved apart as little as need be."""
    ends = sorted(ends, key=lambda end: end[1])
    steps = gap * np.arange(len(ends))
    places = isotonic(np.array([y for _, y, _ in ends]) - steps) + steps
    low, high = axes.get_ylim()
    places += min(0.0, high - places[-1]) if len(places) else 0.0
    places += max(0.0, low - places[0]) if len(places) else 0.0
    transform = axes.get_yaxis_transform()
    for (_, y, name), place in zip(ends, places, strict=True):
        axes.plot(
            [1.0, 1.05],
            [y, place],
            color=look[name].colour,
            lw=0.9,
            transform=transform,
            clip_on=False,
        )
        axes.text(1.065, place, name, fontsize=8, va="center", transform=transform)


def gain_limits(rows: Sequence[Row]) -> tuple[float, float]:
    """Return an axis that holds every mean and the strategies' 95 % intervals."""
    values = [0.0]
    for row in rows:
        values.append(row.gained.mean)
        if row.kind == "strategy" and row.gained.n > 1:
            values += [row.gained.low, row.gained.high]
    return _padded(values)


def accuracy_limits(rows: Sequence[Row], banded: Any) -> tuple[float, float]:
    """Return an axis that holds every mean; intervals may widen it by half of that at each end."""
    means = [row.accuracy.mean for row in rows if row.accuracy.n]
    edges = [
        end
        for row in rows
        if row.accuracy.n > 1 and (not banded or row.name in banded)
        for end in (possible(row.accuracy).low, possible(row.accuracy).high)
    ]
    slack = 0.5 * max(max(means) - min(means), 0.01)
    low = max(min([*means, *edges]), min(means) - slack)
    high = min(max([*means, *edges]), max(means) + slack)
    return _padded([low, high])


def _padded(values: Sequence[float]) -> tuple[float, float]:
    pad = 0.06 * max(max(values) - min(values), 0.002)
    return 100 * (min(values) - pad), 100 * (max(values) + pad)
