"""Which figures a benchmark has: it calls benchmark/figures.py for each place and data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmark import figures
from benchmark.grid import SCRATCH
from benchmark.groups import grouped
from benchmark.ranks import Ranking, rank
from benchmark.style import Drawing, available, looks
from benchmark.tables import Row, Tables, best_raw, places
from benchmark.verdict import Verdict
from benchmark.words import place_name
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
    """The figures by section; all are empty without matplotlib."""

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
    confusions: Sequence[Confusion],
    ranking: Ranking | None,
) -> Drawings:
    """Draw all figures; none without matplotlib."""
    made = Drawings()
    if not available():
        return made
    look = looks([row for *_, rows in places(found) for row in rows])
    for title, labels, rows in places(found):
        name, heading = _name(title, labels), place_name(title, labels)
        if any(row.gained.n for row in rows):
            made.gains.append(figures.gains(f"gains-{name}", heading, rows, look))
        if any(row.accuracy.n for row in rows):
            made.costs.append(figures.cost(f"cost-{name}", heading, rows, look))
    for title, by_labels in found.items():
        if sum(any(r.accuracy.n for r in rows) for rows in by_labels.values()) > 1:
            name = f"curves-{slug(title)}" if title else "curves"
            heading = f"Accuracy by labels, {title}" if title else "Accuracy by labels"
            banded = _banded(by_labels, judged)
            made.curves.append(figures.curves(name, heading, by_labels, look, banded))
    for title, labels in dict.fromkeys((c.title, c.labels) for c in confusions):
        here = [c for c in confusions if (c.title, c.labels) == (title, labels)]
        matrices = {c.row: c.matrix for c in here}
        name, heading = _name(title, labels), place_name(title, labels)
        made.confusions.append(
            figures.confusions(f"confusion-{name}", heading, matrices, here[0].classes)
        )
    if ranking is not None:
        heading = f"Average ranks over {ranking.n} data sets"
        made.ranks.append(figures.ranks("ranks", heading, ranking))
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
    """Return the rows that get a band: few enough to be told apart."""
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
