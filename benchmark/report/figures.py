"""Figures of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.analysis.formatting import percent, place_name, points, possible, span
from benchmark.analysis.ranks import Ranking, rank
from benchmark.analysis.rows import Row, Tables, best_of, grouped, in_cpu, places, scratch_of
from benchmark.analysis.verdict import Verdict
from benchmark.grid import SCRATCH
from benchmark.report import plot_style as style
from benchmark.report.plot_style import COLOURS, INK, Drawing, RowStyle, longest, mark
from headstart.files import slug

Record = Mapping[str, Any]
NUMBERS_IN = 12
"""Confusion matrices of more classes have no numbers in their cells."""


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """The mean confusion matrix (K, K) of a row in a place, each true class adding up to 1."""

    title: str
    labels: int
    row: str
    classes: list[str]
    matrix: np.ndarray


def draw(
    found: Tables, judged: Verdict, matrices: Sequence[Confusion], ranking: Ranking | None
) -> dict[str, list[Drawing]]:
    """Draw all figures: those of the sections gains, curves, costs, ranks and confusions."""
    made: dict[str, list[Drawing]] = {
        name: [] for name in ("gains", "curves", "costs", "ranks", "confusions")
    }
    styles = style.row_styles([row for *_, rows in places(found) for row in rows])
    with style.settings():
        for title, labels, rows in places(found):
            place, heading = _name(title, labels), place_name(title, labels)
            if any(row.gained.n for row in rows):
                made["gains"].append(gains(f"gains-{place}", heading, rows, styles))
            if any(row.accuracy.n for row in rows):
                made["costs"].append(cost(f"cost-{place}", heading, rows, styles))
        for title, by_labels in found.items():
            if sum(any(r.accuracy.n for r in rows) for rows in by_labels.values()) > 1:
                made["curves"].append(curves(title, by_labels, styles, _banded(by_labels, judged)))
        for title, labels in dict.fromkeys((c.title, c.labels) for c in matrices):
            here = [c for c in matrices if (c.title, c.labels) == (title, labels)]
            name, heading = f"confusion-{_name(title, labels)}", place_name(title, labels)
            made["confusions"].append(confusions(name, heading, here))
        if ranking is not None:
            made["ranks"].append(ranks(ranking))
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
    whole = (
        {name: [*v.values()] for name, v in scores.items() if len(v) == len(common)}
        for scores in values.values()
    )
    return rank([{name: float(np.mean(v)) for name, v in scores.items()} for scores in whole])


def confusions_of(
    records: Sequence[Record], found: Tables, judged: Verdict, class_names: Mapping[str, list[str]]
) -> list[Confusion]:
    """Return the matrices of the best strategy and of scratch, at each table's largest budget."""
    made = []
    for group in grouped(records):
        labels, rows = max(found[group.title].items())
        use = judged.use(group.title, labels)
        used = (r for r in rows if (r.name, r.kind) == (use, "strategy"))
        for row in (next(used, None) or best_of(rows, "strategy"), scratch_of(rows)):
            name = None if row is None else row.name
            cells = [r for r in group.records if (r["row"], r["labels"]) == (name, labels)]
            matrix = _mean_confusion(cells)
            if matrix is None:
                continue
            classes = class_names.get(group.task) or []
            if len(classes) != len(matrix):
                classes = [str(k) for k in range(len(matrix))]
            where: dict[str, Any] = {"title": group.title, "labels": labels, "row": name}
            made.append(Confusion(**where, classes=classes, matrix=matrix))
    return made


def _mean_confusion(records: Sequence[Record]) -> np.ndarray | None:
    shares = []
    for record in records:
        if record["status"] == "done" and record.get("confusion"):
            counts = np.asarray(record["confusion"], float)
            shares.append(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))
    if len({share.shape for share in shares}) != 1:
        return None
    return np.asarray(np.mean(shares, axis=0))


def _banded(by_labels: Mapping[int, Sequence[Row]], judged: Verdict) -> set[str]:
    """Return the rows that get a band: few enough to be distinguished."""
    names = {r.name for there in by_labels.values() for r in there if r.accuracy.n}
    if len(names) <= 4:
        return names
    largest = by_labels[max(by_labels)]
    best = (best_of(largest, "raw"), best_of(largest, "strategy"))
    used = {SCRATCH, *(str(j.use) for j in judged.judgements)}
    return {*(used & names), *(row.name for row in best if row is not None)}


def _name(title: str, labels: int) -> str:
    return f"{slug(title)}-{labels}" if title else str(labels)


def gains(name: str, title: str, rows: Sequence[Row], styles: Mapping[str, RowStyle]) -> Drawing:
    """Draw every row's difference to scratch: thick for 95 %, thin for all comparisons at once."""
    shown = sorted((r for r in rows if r.gained.n), key=lambda r: r.gained.mean)
    left = 0.06 + 0.068 * longest(shown)
    figure, axes = style.new_axes(1.05 + 0.24 * len(shown), left=left, bottom=0.42)
    for y, row in enumerate(shown):
        for interval, width in ((row.simultaneous, 0.9), (row.gained, 3.2)):
            if interval is not None and interval.n > 1:
                ends = [100 * interval.low, 100 * interval.high]
                axes.plot(ends, [y, y], color=styles[row.name].colour, lw=width)
        mark(axes, 100 * row.gained.mean, y, styles[row.name], 6)
    axes.axvline(0, color=INK, lw=1)
    axes.set_yticks(range(len(shown)), [r.name for r in shown])
    axes.set_ylim(-0.7, len(shown) - 0.3)
    sure = [row.gained for row in shown if row.kind == "strategy" and row.gained.n > 1]
    held = [*(row.gained.mean for row in shown), *(e for g in sure for e in (g.low, g.high))]
    axes.set_xlim(*style.padded([0.0, *held]))
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("accuracy minus scratch, percentage points")
    words = [f"{r.name} {points(r.gained.mean)} ({span(r.gained)})" for r in reversed(shown)]
    alt = f"Difference to scratch in points with 95 % intervals, {title}: {'; '.join(words)}."
    return style.finish(figure, name, title, alt)


def curves(
    title: str,
    by_labels: Mapping[int, Sequence[Row]],
    styles: Mapping[str, RowStyle],
    banded: set[str],
) -> Drawing:
    """Draw accuracy over labels, on a logarithmic axis; rows in ``banded`` get their 95 % band."""
    from matplotlib.ticker import NullLocator

    rows = [row for there in by_labels.values() for row in there]
    figure, axes = style.new_axes(4.0, right=0.35 + 0.066 * longest(rows))
    low, high = style.accuracy_limits(rows, banded)
    ends, alt = [], []
    for row_name in dict.fromkeys(row.name for row in rows if row.accuracy.n):
        there = sorted(
            (row for row in rows if row.name == row_name and row.accuracy.n),
            key=lambda row: row.labels,
        )
        how, x = styles[row_name], [row.labels for row in there]
        y = [100 * row.accuracy.mean for row in there]
        if row_name in banded and all(row.accuracy.n > 1 for row in there):
            edges = [possible(row.accuracy) for row in there]
            band = [100 * e.low for e in edges], [100 * e.high for e in edges]
            axes.fill_between(x, *band, color=how.colour, alpha=0.15, lw=0)
        axes.plot(x, y, ls=how.line, color=how.colour, lw=how.width)
        for each, value in zip(x, y, strict=True):
            mark(axes, each, value, how, 5)
        ends.append((y[-1], row_name))
        alt.append(f"{row_name} {', '.join(percent(v / 100) for v in y)}")
    budgets = sorted(by_labels)
    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(budgets, [f"{b:,}" for b in budgets])
    axes.set_xlim(budgets[0] / 1.08, budgets[-1] * 1.04)
    axes.grid(True)
    axes.set_xlabel("labels (logarithmic)")
    axes.set_ylim(low, high)
    axes.set_ylabel("test accuracy, %")
    style.label_ends(axes, ends, styles, gap=(high - low) * 0.047)
    name = f"curves-{slug(title)}" if title else "curves"
    heading = f"Accuracy by labels, {title}" if title else "Accuracy by labels"
    about = f"Accuracy in % with {', '.join(map(str, budgets))} labels"
    return style.finish(figure, name, heading, f"{about}: {'; '.join(alt)}.")


def cost(name: str, title: str, rows: Sequence[Row], styles: Mapping[str, RowStyle]) -> Drawing:
    """Draw accuracy over the seconds that a seed takes, pretraining and transfer together."""
    cpu = in_cpu(rows)
    shown = [r for r in rows if r.accuracy.n and r.total(cpu) == r.total(cpu)]
    shown.sort(key=lambda r: -r.accuracy.mean)
    height = max(3.2, 0.7 + 0.19 * len(shown))
    figure, axes = style.new_axes(height, right=0.4 + 0.066 * longest(shown))
    words = []
    for row in shown:
        x, edge, how = max(row.total(cpu), 0.01), possible(row.accuracy), styles[row.name]
        if row.accuracy.n > 1:
            axes.plot([x, x], [100 * edge.low, 100 * edge.high], color=how.colour, lw=1, alpha=0.6)
        mark(axes, x, 100 * row.accuracy.mean, how, 7, label=row.name)
        words.append(f"{row.name} {percent(row.accuracy.mean)} % in {x:.1f} s")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda v, _: f"{v:g}")
    axes.minorticks_off()  # dozens of them, which take as long to draw as all the rest
    axes.margins(x=0.08)
    axes.set_ylim(*style.accuracy_limits(shown, ()))
    axes.grid(True)
    axes.set_xlabel(f"{'CPU-seconds' if cpu else 'seconds'} a seed: pretraining + transfer")
    axes.set_ylabel("test accuracy, %")
    corner = {"loc": "upper left", "bbox_to_anchor": (1.02, 1.02), "borderaxespad": 0}
    axes.legend(**corner, fontsize=8, handlelength=1)
    alt = f"Accuracy against cost, {title}: {'; '.join(words)}."
    return style.finish(figure, name, title, alt)


def confusions(name: str, title: str, here: Sequence[Confusion]) -> Drawing:
    """Draw a place's confusion matrices side by side: percent of each true class, mean over seeds."""
    from matplotlib.colors import to_rgba
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    classes, k = here[0].classes, len(here[0].classes)
    side, letters = min(3.6, max(2.0, 0.36 * k)), max(map(len, classes))
    left = 0.2 + 0.075 * letters
    width, height = left + len(here) * (side + 0.25), side + 0.75 + 0.075 * letters
    figure, words = Figure(figsize=(width, height)), []
    for i, each in enumerate(here):
        corner = (left + i * (side + 0.25)) / width, 1 - (0.6 + side) / height
        axes = figure.add_axes((*corner, side / width, side / height))
        for (row, column), share in np.ndenumerate(each.matrix):
            colour = (*to_rgba(COLOURS[0])[:3], 0.6 * share)
            square = (column - 0.5, row - 0.5), 1, 1
            axes.add_patch(Rectangle(*square, facecolor=colour, edgecolor="none"))
            if k <= NUMBERS_IN and share >= 0.005:
                text = f"{100 * share:.0f}"
                axes.text(column, row, text, ha="center", va="center", fontsize=8)
        axes.set_xlim(-0.5, k - 0.5)
        axes.set_ylim(k - 0.5, -0.5)
        axes.set_xticks(range(k), classes, rotation=90, fontsize=8)
        axes.set_yticks(range(k), classes if i == 0 else [], fontsize=8)
        axes.tick_params(length=0)
        axes.set_title(each.row, fontsize=9)
        words.append(f"{each.row} {percent(float(np.diag(each.matrix).mean()))} %")
    alt = f"Confusion matrices, {title}. Right, averaged over the classes: {'; '.join(words)}."
    heading = f"{title}: true class down, predicted across, %"
    return style.finish(figure, name, heading, alt, down=0.14, size=9)


def ranks(ranking: Ranking) -> Drawing:
    """Draw average ranks over data sets, with a bar over rows that are not shown to differ."""
    from matplotlib.figure import Figure

    k, groups, width = len(ranking.ranks), ranking.groups(), style.WIDTH
    half, top, step, axis = (k + 1) // 2, 1.0 + 0.14 * len(groups), 0.2, 0.85
    height = top + step * half + 0.25
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    edge = 0.25 + 0.068 * max(map(len, ranking.ranks))

    def at(rank: float) -> float:
        return edge + (rank - 1) / max(1, k - 1) * (width - 2 * edge)

    axes.plot([at(1), at(k)], [axis, axis], color=INK, lw=1)
    for tick in range(1, k + 1):
        axes.plot([at(tick), at(tick)], [axis - 0.05, axis], color=INK, lw=1)
        if k <= 10 or tick % 2:
            axes.text(at(tick), axis - 0.09, str(tick), ha="center", va="bottom", fontsize=8)
    for i, (row_name, mean) in enumerate(ranking.ranks.items()):
        first = i < half
        y = top + step * (i if first else k - 1 - i) + 0.1
        end, away = (edge - 0.08, -0.04) if first else (width - edge + 0.08, 0.04)
        axes.plot([at(mean), at(mean), end], [axis, y, y], color=style.GREY, lw=0.9)
        side = "right" if first else "left"
        axes.text(end + away, y, row_name, ha=side, va="center", fontsize=8)
    for i, group in enumerate(groups):
        y = axis + 0.12 + 0.14 * i
        ends = [at(ranking.ranks[group[0]]) - 0.04, at(ranking.ranks[group[-1]]) + 0.04]
        axes.plot(ends, [y, y], color=COLOURS[1], lw=4, solid_capstyle="butt")
    wide = min(at(1 + ranking.critical), width - 0.1)
    axes.plot([at(1), wide], [0.52, 0.52], color=COLOURS[1], lw=2)
    critical = f"critical difference {ranking.critical:.2f}"
    axes.text(at(1), 0.46, critical, fontsize=8, va="bottom")
    heading = f"Average ranks over {ranking.n} data sets"
    words = [f"{name} {mean:.2f}" for name, mean in ranking.ranks.items()]
    alt = f"Average ranks, {heading}: {'; '.join(words)}; {critical}."
    return style.finish(figure, "ranks", heading, alt, down=0.14)
