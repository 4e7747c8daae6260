"""How figures look: one colour, marker and line a row in every figure, on light and on dark."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmark.grid import SCRATCH
from benchmark.tables import Row

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


@dataclass(frozen=True, kw_only=True)
class Look:
    """How one row is drawn."""

    colour: str
    marker: str
    line: str
    width: float


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A finished figure: its file's name without ending, and what it shows, in words."""

    name: str
    title: str
    alt: str
    svg: str
    png: bytes


def looks(rows: Sequence[Row]) -> dict[str, Look]:
    """Return the look of every row's name; strategies take the colours in turn."""
    found: dict[str, Look] = {}
    counts = {"raw": 0, "strategy": 0, "fresh": 0}
    for row in rows:
        if row.name in found:
            continue
        n = counts[row.kind]
        counts[row.kind] += 1
        if row.kind == "strategy":
            colour, marker = COLOURS[n % len(COLOURS)], MARKERS[n % len(MARKERS)]
            found[row.name] = Look(colour=colour, marker=marker, line="-", width=1.6)
        elif row.kind == "raw":
            marker = RAW_MARKERS[n % len(RAW_MARKERS)]
            found[row.name] = Look(colour=GREY, marker=marker, line="--", width=1.2)
        else:
            scratch = row.name == SCRATCH
            line, marker = ("-", "P") if scratch else (":", "p")
            found[row.name] = Look(
                colour=INK, marker=marker, line=line, width=2 if scratch else 1.2
            )
    return found


def available() -> bool:
    """Whether matplotlib, the extra ``plot``, is installed."""
    # Its first import in an account says that it builds a cache of fonts: no news of this benchmark.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        return False
    return True


def settings() -> Any:
    """Return a context in which figures are drawn; the same figure always has the same bytes."""
    import matplotlib

    return matplotlib.rc_context(
        {
            "svg.hashsalt": "headstart",
            "svg.fonttype": "none",
            "font.family": "sans-serif",
            "font.size": 9,
            "text.color": INK,
            "text.parse_math": False,  # names of classes may hold dollars
            "axes.edgecolor": INK,
            "axes.facecolor": "none",
            "axes.labelcolor": INK,
            "axes.titlesize": 10,
            "axes.titlelocation": "left",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.axisbelow": True,
            "xtick.color": INK,
            "ytick.color": INK,
            "grid.color": INK,
            "grid.alpha": 0.15,
            "grid.linewidth": 0.8,
            "legend.frameon": False,
        }
    )


def finish(figure: Any, name: str, title: str, alt: str) -> Drawing:
    """Write a figure both ways: SVG that follows the reader's colour scheme, and PNG on white."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    picture, text = io.BytesIO(), io.StringIO()
    # Neither a date nor the program's version: they would make equal figures differ.
    FigureCanvasAgg(figure).print_figure(
        picture, dpi=DPI, facecolor="white", metadata={"Software": None}
    )
    FigureCanvasSVG(figure).print_figure(
        text, facecolor="none", metadata={"Date": None, "Creator": None}
    )
    return Drawing(
        name=name, title=title, alt=alt, svg=scheme(text.getvalue()), png=picture.getvalue()
    )


def scheme(svg: str) -> str:
    """Return the SVG with its ink in the colour of the reader's scheme, and without its prologue."""
    style = (
        f"<style>svg{{color:{INK}}}"
        f"@media (prefers-color-scheme:dark){{svg{{color:{INK_ON_DARK}}}}}</style>"
    )
    body = svg[svg.index("<svg") :].replace(INK, "currentColor")
    return re.sub(r"(<svg[^>]*>)", rf"\1{style}", body, count=1)
