"""Figures of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmark.analysis.formatting import percent, place_name, points, possible, span
from benchmark.analysis.ranks import Ranking, rank
from benchmark.analysis.rows import Row, Tables, best_raw, grouped, in_cpu, places
from benchmark.analysis.verdict import Verdict
from benchmark.grid import SCRATCH
from benchmark.report.plot_style import (
    COLOURS,
    GREY,
    INK,
    WIDTH,
    Drawing,
    RowStyle,
    accuracy_limits,
    budget_axis,
    finish,
    gain_limits,
    label_ends,
    longest,
    mark,
    new_axes,
    row_styles,
    settings,
    square,
)
from headstart.files import slug

Record = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """The mean confusion matrix (K, K) of a row in a place, each true class adding up to 1."""

    title: str
    labels: int
    row: str
    classes: list[str]
    matrix: np.ndarray


@dataclass(kw_only=True)
class Drawings:
    """The figures by section."""

    gains: list[Drawing] = field(default_factory=list)
    curves: list[Drawing] = field(default_factory=list)
    costs: list[Drawing] = field(default_factory=list)
    ranks: list[Drawing] = field(default_factory=list)
    confusions: list[Drawing] = field(default_factory=list)

    def all(self) -> list[Drawing]:
        """Return every figure."""
        return [*self.gains, *self.curves, *self.costs, *self.ranks, *self.confusions]


def draw(
    found: Tables,
    judged: Verdict,
    matrices_of: Sequence[Confusion],
    ranking: Ranking | None,
) -> Drawings:
    """Draw all figures."""
    made = Drawings()
    styles = row_styles([row for *_, rows in places(found) for row in rows])
    for title, labels, rows in places(found):
        name, heading = _name(title, labels), place_name(title, labels)
        if any(row.gained.n for row in rows):
            made.gains.append(gains(f"gains-{name}", heading, rows, styles))
        if any(row.accuracy.n for row in rows):
            made.costs.append(cost(f"cost-{name}", heading, rows, styles))
    for title, by_labels in found.items():
        if sum(any(r.accuracy.n for r in rows) for rows in by_labels.values()) > 1:
            name = f"curves-{slug(title)}" if title else "curves"
            heading = f"Accuracy by labels, {title}" if title else "Accuracy by labels"
            banded = _banded(by_labels, judged)
            made.curves.append(curves(name, heading, by_labels, styles, banded))
    for title, labels in dict.fromkeys((c.title, c.labels) for c in matrices_of):
        here = [c for c in matrices_of if (c.title, c.labels) == (title, labels)]
        matrices = {c.row: c.matrix for c in here}
        name, heading = _name(title, labels), place_name(title, labels)
        made.confusions.append(confusions(f"confusion-{name}", heading, matrices, here[0].classes))
    if ranking is not None:
        heading = f"Average ranks over {ranking.n} data sets"
        made.ranks.append(ranks("ranks", heading, ranking))
    return made


def ranked(found: Tables) -> Ranking | None:
    """Rank the rows over data sets, by accuracy averaged over the budgets that all tables have.

    With several encoders or modes, each one's rows are ranked side by side.
    """
    tables = [rows for by in found.values() for rows in by.values() if rows]
    several = [len({getattr(rows[0], n) for rows in tables}) > 1 for n in ("encoder", "mode")]
    if len({rows[0].task for rows in tables}) < 2:
        return None
    common = set.intersection(*({*by} for by in found.values()))
    values: dict[str, dict[str, dict[int, float]]] = {}
    for row in (row for by in found.values() for labels in common for row in by[labels]):
        words = [w for w, many in zip((row.encoder, row.mode), several, strict=True) if many and w]
        arm = f" ({', '.join(words)})" if words and row.kind != "raw" else ""
        if row.accuracy.n:
            scores = values.setdefault(row.task, {}).setdefault(row.name + arm, {})
            scores[row.labels] = row.accuracy.mean
    # A row that lacks a budget has no average to compare.
    return rank(
        [
            {
                name: float(np.mean([*v.values()]))
                for name, v in scores.items()
                if len(v) == len(common)
            }
            for scores in values.values()
        ]
    )


def confusions_of(
    records: Sequence[Record], found: Tables, judged: Verdict, class_names: Mapping[str, list[str]]
) -> list[Confusion]:
    """Return the matrices of the best strategy and of scratch, at each table's largest budget."""
    made = []
    for group in grouped(records):
        by_labels = found[group.title]
        labels = max(by_labels)
        rows = [r for r in by_labels[labels] if r.accuracy.n]
        strategies = [r for r in rows if r.kind == "strategy"]
        used = {j.use for j in judged.judgements if (j.title, j.labels) == (group.title, labels)}
        chosen = [r for r in strategies if r.name in used] or sorted(
            strategies, key=lambda r: -r.accuracy.mean
        )
        scratch = [r for r in rows if r.name == SCRATCH]
        for row in [*chosen[:1], *scratch[:1]]:
            cells = [r for r in group.records if (r["row"], r["labels"]) == (row.name, labels)]
            matrix = _mean_confusion(cells)
            if matrix is not None:
                names = class_names.get(group.task) or []
                known = names if len(names) == len(matrix) else [str(k) for k in range(len(matrix))]
                made.append(
                    Confusion(
                        title=group.title, labels=labels, row=row.name, classes=known, matrix=matrix
                    )
                )
    return made


def _mean_confusion(records: Sequence[Record]) -> np.ndarray | None:
    shares = []
    for record in records:
        if record["status"] == "done" and record.get("confusion"):
            counts = np.asarray(record["confusion"], float)
            shares.append(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))
    if not shares or any(share.shape != shares[0].shape for share in shares):
        return None
    return np.asarray(np.mean(shares, axis=0))


def _banded(by_labels: Mapping[int, Sequence[Row]], judged: Verdict) -> set[str]:
    """Return the rows that get a band: few enough to be distinguished."""
    rows = [r for there in by_labels.values() for r in there if r.accuracy.n]
    names = list(dict.fromkeys(r.name for r in rows))
    if len(names) <= 4:
        return set(names)
    largest = [r for r in by_labels[max(by_labels)] if r.accuracy.n]
    raw = best_raw(largest)
    best = max(
        (r for r in largest if r.kind == "strategy"), key=lambda r: r.accuracy.mean, default=None
    )
    used = {j.use for j in judged.judgements if j.use in names}
    picked = {*used, *(r.name for r in (raw, best) if r is not None)}
    return {*picked, *(n for n in names if n == SCRATCH)}


def _name(title: str, labels: int) -> str:
    return f"{slug(title)}-{labels}" if title else str(labels)


NUMBERS_IN = 12
"""Confusion matrices of more classes have no numbers in their cells."""


def gains(name: str, title: str, rows: Sequence[Row], styles: Mapping[str, RowStyle]) -> Drawing:
    """Draw every row's difference to scratch: thick for 95 %, thin for all comparisons at once."""
    shown = sorted((r for r in rows if r.gained.n), key=lambda r: r.gained.mean)
    height = 1.05 + 0.24 * len(shown)
    with settings():
        figure, axes = new_axes(height, left=0.06 + 0.068 * longest(shown), bottom=0.42, top=0.34)
        for y, row in enumerate(shown):
            style, gain = styles[row.name], row.gained
            if row.simultaneous is not None and row.simultaneous.n > 1:
                wide = row.simultaneous
                axes.plot([100 * wide.low, 100 * wide.high], [y, y], color=style.colour, lw=0.9)
            if gain.n > 1:
                axes.plot([100 * gain.low, 100 * gain.high], [y, y], color=style.colour, lw=3.2)
            mark(axes, 100 * gain.mean, y, style, 6)
        axes.axvline(0, color=INK, lw=1)
        axes.set_yticks(range(len(shown)), [r.name for r in shown])
        axes.set_ylim(-0.7, len(shown) - 0.3)
        axes.set_xlim(*gain_limits(shown))
        axes.grid(axis="x")
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("accuracy minus scratch, percentage points")
        figure.text(0.01, 1 - 0.16 / height, title, fontsize=10, va="center")
        words = [f"{r.name} {points(r.gained.mean)} ({span(r.gained)})" for r in reversed(shown)]
        alt = f"Difference to scratch in points with 95 % intervals, {title}: {'; '.join(words)}."
        return finish(figure, name, title, alt)


def curves(
    name: str,
    title: str,
    by_labels: Mapping[int, Sequence[Row]],
    styles: Mapping[str, RowStyle],
    banded: Any,
) -> Drawing:
    """Draw accuracy over labels, on a logarithmic axis; rows in ``banded`` get their 95 % band."""
    budgets = sorted(by_labels)
    names = list(dict.fromkeys(r.name for rows in by_labels.values() for r in rows))
    ends, alt = [], []
    with settings():
        figure, axes = new_axes(
            4.0, right=0.35 + 0.066 * max(map(len, names)), bottom=0.45, top=0.34
        )
        low, high = accuracy_limits([r for rows in by_labels.values() for r in rows], banded)
        for row_name in names:
            there = [
                (b, r) for b in budgets for r in by_labels[b] if r.name == row_name and r.accuracy.n
            ]
            if not there:
                continue
            style, x = styles[row_name], [b for b, _ in there]
            y = [100 * r.accuracy.mean for _, r in there]
            if row_name in banded and all(r.accuracy.n > 1 for _, r in there):
                edges = [possible(r.accuracy) for _, r in there]
                axes.fill_between(
                    x,
                    [100 * e.low for e in edges],
                    [100 * e.high for e in edges],
                    color=style.colour,
                    alpha=0.15,
                    lw=0,
                )
            axes.plot(x, y, ls=style.line, color=style.colour, lw=style.width)
            for each, value in zip(x, y, strict=True):
                mark(axes, each, value, style, 5)
            ends.append((x[-1], y[-1], row_name))
            alt.append(f"{row_name} {', '.join(percent(v / 100) for v in y)}")
        budget_axis(axes, budgets)
        axes.set_ylim(low, high)
        axes.set_ylabel("test accuracy, %")
        label_ends(axes, ends, styles, gap=(high - low) * 0.047)
        figure.text(0.01, 0.96, title, fontsize=10, va="center")
        about = f"Accuracy in % with {', '.join(map(str, budgets))} labels"
        return finish(figure, name, title, f"{about}: {'; '.join(alt)}.")


def cost(name: str, title: str, rows: Sequence[Row], styles: Mapping[str, RowStyle]) -> Drawing:
    """Draw accuracy over the seconds that a seed takes, pretraining and transfer together."""
    cpu = in_cpu(rows)
    shown = [r for r in rows if r.accuracy.n and r.total(cpu) == r.total(cpu)]
    shown.sort(key=lambda r: -r.accuracy.mean)
    with settings():
        height = max(3.2, 0.7 + 0.19 * len(shown))
        figure, axes = new_axes(height, right=0.4 + 0.066 * longest(shown), bottom=0.45, top=0.34)
        spent = [max(row.total(cpu), 0.01) for row in shown]
        for row, x in zip(shown, spent, strict=True):
            style, edge = styles[row.name], possible(row.accuracy)
            if row.accuracy.n > 1:
                axes.plot(
                    [x, x], [100 * edge.low, 100 * edge.high], color=style.colour, lw=1, alpha=0.6
                )
            mark(axes, x, 100 * row.accuracy.mean, style, 7, label=row.name)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda v, _: f"{v:g}")
        axes.minorticks_off()  # dozens of them, which take as long to draw as all the rest
        axes.margins(x=0.08)
        axes.set_ylim(*accuracy_limits(shown, ()))
        axes.grid(True)
        unit = "CPU-seconds" if cpu else "seconds"
        axes.set_xlabel(f"{unit} a seed: pretraining + transfer")
        axes.set_ylabel("test accuracy, %")
        axes.legend(
            loc="upper left",
            bbox_to_anchor=(1.02, 1.02),
            fontsize=8,
            borderaxespad=0,
            handlelength=1,
        )
        figure.text(0.01, 1 - 0.16 / height, title, fontsize=10, va="center")
        words = [
            f"{r.name} {percent(r.accuracy.mean)} % in {x:.1f} s"
            for r, x in zip(shown, spent, strict=True)
        ]
        return finish(figure, name, title, f"Accuracy against cost, {title}: {'; '.join(words)}.")


def confusions(
    name: str, title: str, matrices: Mapping[str, np.ndarray], classes: Sequence[str]
) -> Drawing:
    """Draw confusion matrices (K, K) side by side: percent of each true class, mean over seeds."""
    from matplotlib.colors import to_rgba
    from matplotlib.figure import Figure

    k = len(classes)
    side = min(3.6, max(2.0, 0.36 * k))
    left = 0.2 + 0.075 * max(map(len, classes))
    width = left + len(matrices) * (side + 0.25)
    height = side + 0.75 + 0.075 * max(map(len, classes))
    with settings():
        figure = Figure(figsize=(width, height))
        for i, (row_name, matrix) in enumerate(matrices.items()):
            axes = figure.add_axes(
                (
                    (left + i * (side + 0.25)) / width,
                    1 - (0.6 + side) / height,
                    side / width,
                    side / height,
                )
            )
            colours = np.tile(to_rgba(COLOURS[0]), (k, k, 1))
            colours[..., 3] = 0.6 * matrix
            for row in range(k):
                for column in range(k):
                    corner = (column - 0.5, row - 0.5)
                    axes.add_patch(square(corner, colours[row, column]))
                    if k <= NUMBERS_IN and matrix[row, column] >= 0.005:
                        text = f"{100 * matrix[row, column]:.0f}"
                        axes.text(column, row, text, ha="center", va="center", fontsize=8)
            axes.set_xlim(-0.5, k - 0.5)
            axes.set_ylim(k - 0.5, -0.5)
            axes.set_xticks(range(k), classes, rotation=90, fontsize=8)
            axes.set_yticks(range(k), classes if i == 0 else [], fontsize=8)
            axes.tick_params(length=0)
            axes.set_title(row_name, fontsize=9)
        figure.text(
            0.01, 1 - 0.14 / height, f"{title}: true class down, predicted across, %", va="center"
        )
        right = [f"{n} {percent(float(np.diag(m).mean()))} %" for n, m in matrices.items()]
        alt = f"Confusion matrices, {title}. Right, averaged over the classes: {'; '.join(right)}."
        return finish(figure, name, title, alt)


def ranks(name: str, title: str, ranking: Ranking) -> Drawing:
    """Draw average ranks over data sets, with a bar over rows that are not shown to differ."""
    from matplotlib.figure import Figure

    names, k = list(ranking.ranks), len(ranking.ranks)
    groups = ranking.groups()
    half = (k + 1) // 2
    top, step = 1.0 + 0.14 * len(groups), 0.2
    height = top + step * half + 0.25
    with settings():
        figure = Figure(figsize=(WIDTH, height))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set_xlim(0, WIDTH)
        axes.set_ylim(height, 0)
        edge = 0.25 + 0.068 * max(map(len, names))

        def at(rank: float) -> float:
            return edge + (rank - 1) / max(1, k - 1) * (WIDTH - 2 * edge)

        axis = 0.85
        axes.plot([at(1), at(k)], [axis, axis], color=INK, lw=1)
        for tick in range(1, k + 1):
            axes.plot([at(tick), at(tick)], [axis - 0.05, axis], color=INK, lw=1)
            if k <= 10 or tick % 2:
                axes.text(at(tick), axis - 0.09, str(tick), ha="center", va="bottom", fontsize=8)
        for i, row_name in enumerate(names):
            x = at(ranking.ranks[row_name])
            first = i < half
            y = top + step * (i if first else k - 1 - i) + 0.1
            end = edge - 0.08 if first else WIDTH - edge + 0.08
            axes.plot([x, x, end], [axis, y, y], color=GREY, lw=0.9)
            text = f"{row_name} {ranking.ranks[row_name]:.2f}"
            axes.text(
                end + (-0.04 if first else 0.04),
                y,
                row_name,
                ha="right" if first else "left",
                va="center",
                fontsize=8,
            )
            names[i] = text
        for i, group in enumerate(groups):
            y = axis + 0.12 + 0.14 * i
            ends = [at(ranking.ranks[group[0]]) - 0.04, at(ranking.ranks[group[-1]]) + 0.04]
            axes.plot(ends, [y, y], color=COLOURS[1], lw=4, solid_capstyle="butt")
        wide = min(at(1 + ranking.critical), WIDTH - 0.1)
        axes.plot([at(1), wide], [0.52, 0.52], color=COLOURS[1], lw=2)
        axes.text(
            at(1), 0.46, f"critical difference {ranking.critical:.2f}", fontsize=8, va="bottom"
        )
        figure.text(0.01, 1 - 0.14 / height, title, fontsize=10, va="center")
        alt = f"Average ranks, {title}: {'; '.join(names)}; critical difference {ranking.critical:.2f}."
        return finish(figure, name, title, alt)
