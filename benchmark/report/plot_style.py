"""Style and axes of the figures."""

from __future__ import annotations

import io
import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.analysis.equivalent_labels import isotonic
from benchmark.analysis.formatting import possible
from benchmark.analysis.rows import Row
from benchmark.grid import SCRATCH

INK = "#1b1f24"
INK_ON_DARK = "#e6e8eb"
GREY = "#8a8f98"
# After Okabe & Ito's set for colour-blind readers, darkened or lightened until each has a contrast of 3.5 or
# more with white and with the report's dark page alike. With 7 colours and 5 markers, 35 rows differ.
COLOURS = ("#1f7fc4", "#d55e00", "#00936b", "#b5659a", "#a87b00", "#5b6fd0", "#2a93a8")
MARKERS = ("o", "s", "^", "D", "v")
RAW_MARKERS = ("X", "h", "*", "<", ">")
WIDTH = 5.2
"""Inches; a figure this narrow can still be read when a phone shows it whole."""
DPI = 150


@dataclass(frozen=True)
class RowStyle:
    """How one row is drawn."""

    colour: str
    marker: str
    line: str
    width: float


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A finished figure: its file's name without ending, and what it shows, in words."""

    name: str
    alt: str
    svg: bytes
    png: bytes


def row_styles(rows: Sequence[Row]) -> dict[str, RowStyle]:
    """Return the style of every row's name; strategies take the colours in turn."""
    found: dict[str, RowStyle] = {}
    counts = Counter[str]()
    for row in rows:
        if row.name in found:
            continue
        n = counts[row.kind]
        counts[row.kind] += 1
        if row.kind == "strategy":
            style = RowStyle(COLOURS[n % len(COLOURS)], MARKERS[n % len(MARKERS)], "-", 1.6)
        elif row.kind == "raw":
            style = RowStyle(GREY, RAW_MARKERS[n % len(RAW_MARKERS)], "--", 1.2)
        else:
            style = RowStyle(INK, *(("P", "-", 2) if row.name == SCRATCH else ("p", ":", 1.2)))
        found[row.name] = style
    return found


def settings() -> Any:
    """Return a context in which figures are drawn; the same figure always has the same bytes."""
    # Its first import in an account says that it builds a cache of fonts: no news of this benchmark.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    import matplotlib

    inked = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")
    return matplotlib.rc_context(
        {
            **dict.fromkeys((*inked, "grid.color"), INK),
            "svg.hashsalt": "headstart",
            "svg.fonttype": "none",
            "font.family": "sans-serif",
            "font.size": 9,
            "text.parse_math": False,  # names of classes may hold dollars
            "axes.facecolor": "none",
            "axes.titlesize": 10,
            "axes.titlelocation": "left",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.axisbelow": True,
            "grid.alpha": 0.15,
            "grid.linewidth": 0.8,
            "legend.frameon": False,
        }
    )


def finish(
    figure: Any, name: str, title: str, alt: str, *, down: float = 0.16, size: float = 10
) -> Drawing:
    """Write the title, and the figure both ways: SVG in the reader's colour scheme, and PNG on white.

    down: inches from the top to the title's middle.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    figure.text(0.01, 1 - down / figure.get_figheight(), title, fontsize=size, va="center")
    picture, text = io.BytesIO(), io.StringIO()
    # Neither a date nor the program's version: they would make equal figures differ.
    FigureCanvasAgg(figure).print_figure(
        picture, dpi=DPI, facecolor="white", metadata={"Software": None}
    )
    FigureCanvasSVG(figure).print_figure(
        text, facecolor="none", metadata={"Date": None, "Creator": None}
    )
    style = (
        f"<style>svg{{color:{INK}}}"
        f"@media (prefers-color-scheme:dark){{svg{{color:{INK_ON_DARK}}}}}</style>"
    )
    drawn = text.getvalue()
    # Without its prologue, and its ink in the colour of the reader's scheme.
    body = drawn[drawn.index("<svg") :].replace(INK, "currentColor")
    svg = re.sub(r"(<svg[^>]*>)", rf"\1{style}", body, count=1)
    return Drawing(name=name, alt=alt, svg=svg.encode(), png=picture.getvalue())


def new_axes(
    height: float, *, left: float = 0.68, right: float = 0.12, bottom: float = 0.45
) -> tuple[Any, Any]:
    """Return a figure of WIDTH x ``height`` inches and its axes, with these margins in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height))
    right, left, top = min(right, WIDTH / 2), min(left, WIDTH / 2), 0.34
    width, tall = (WIDTH - left - right) / WIDTH, (height - bottom - top) / height
    return figure, figure.add_axes((left / WIDTH, bottom / height, width, tall))


def longest(rows: Sequence[Row]) -> int:
    """Return the length of the longest name."""
    return max((len(row.name) for row in rows), default=0)


def mark(axes: Any, x: float, y: float, style: RowStyle, size: float, **more: Any) -> None:
    """Draw a row's marker."""
    how = {"marker": style.marker, "color": style.colour, "ms": size, "mew": 1.5}
    axes.plot([x], [y], ls="", **how, clip_on=True, **more)


def label_ends(
    axes: Any, ends: Sequence[tuple[float, str]], styles: Mapping[str, RowStyle], gap: float
) -> None:
    """Write each row's name right of its curve's end, moved apart as little as need be."""
    ends = sorted(ends, key=lambda end: end[0])
    steps = gap * np.arange(len(ends))
    places = isotonic(np.array([y for y, _ in ends]) - steps) + steps
    low, high = axes.get_ylim()
    places += min(0.0, high - places[-1]) if len(places) else 0.0
    places += max(0.0, low - places[0]) if len(places) else 0.0
    across = {"transform": axes.get_yaxis_transform()}
    for (y, name), place in zip(ends, places, strict=True):
        colour = styles[name].colour
        axes.plot([1.0, 1.05], [y, place], color=colour, lw=0.9, clip_on=False, **across)
        axes.text(1.065, place, name, fontsize=8, va="center", **across)


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
    return padded([low, high])


def padded(values: Sequence[float]) -> tuple[float, float]:
    """Return an axis in percent that holds the values, with some room at both ends."""
    pad = 0.06 * max(max(values) - min(values), 0.002)
    return 100 * (min(values) - pad), 100 * (max(values) + pad)
