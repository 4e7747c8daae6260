"""The primary question: does the best of the strategies beat the best row without pretraining?

It is asked once a data set, of the means over all label budgets, so it is not paid for with a comparison for
every budget. The strategies are all of them, or the one that was named before there were results.

- A strategy beats the best without pretraining when it beats every one of these rows: its p value is the
  largest of those against each. No correction for their number is needed, for all must be rejected (an
  intersection-union test; Berger 1982).
- The p values of the strategies, in every table and on every data set, are corrected for their number by
  Hommel's method. A strategy named beforehand is one comparison and has nothing to be corrected.
- The tests are those of ``pooled_tests``, of differences paired by seed; of a single strategy, Student's.

p is two-sided, so at most 2.5 % of benchmarks in which no strategy is better have a false "yes" here. The
other comparisons of the verdict, corrected among themselves, have at most as many.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmark.analysis.formatting import listed, p_text, points, span
from benchmark.analysis.rows import Tables, places
from benchmark.analysis.stats import (
    ALPHA,
    CONFIDENCE,
    Interval,
    MeanTest,
    hommel,
    pooled_tests,
)
from benchmark.grid import SCRATCH

MIN_SEEDS = 3


@dataclass(frozen=True, kw_only=True)
class Named:
    """The strategy named as the primary one, and whether that was before any strategy had a result.

    cells: of strategies, that had results when it was named; 0 is beforehand.
    """

    strategy: str
    cells: int = 0

    @classmethod
    def of(cls, about: Mapping[str, Any]) -> Named | None:
        """Read it from ``benchmark.json``; None where no strategy was named."""
        history = declarations(about)
        if not history or history[-1]["strategy"] is None:
            return None
        now, first = history[-1], history[0]
        # Back to what was named at first is no choice by results.
        kept = first["strategy"] == now["strategy"]
        return cls(strategy=now["strategy"], cells=first["cells"] if kept else now["cells"])


def declarations(about: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what was named, in order: {"strategy": name or None, "cells": of strategies that were done}."""
    found = about.get("primary")
    entries = found if isinstance(found, list) else []
    return [
        entry
        for entry in entries
        if isinstance(entry, dict)
        and isinstance(entry.get("strategy"), str | None)
        and type(entry.get("cells")) is int
    ]


def declare(about: Mapping[str, Any], strategy: str | None, cells: int) -> list[dict[str, Any]]:
    """Return the declarations with this one, for ``benchmark.json``.

    Args:
        about: that of the folder's earlier run, or {}.
        strategy: the name that is given now, or None.
        cells: the strategies' cells of this grid that have results already.
    """
    now = {"strategy": strategy, "cells": cells}
    if not cells:
        return [now]
    history = declarations(about) or [{"strategy": None, "cells": 0}]
    return history if history[-1]["strategy"] == strategy else [*history, now]


def changes(about: Mapping[str, Any]) -> list[str]:
    """Return a sentence where the strategy was named, or another one, when there were results."""
    history = declarations(about)
    if len(history) < 2:
        return []
    steps = [
        f"{entry['strategy'] or 'none'} ({entry['cells'] or 'no'} cells of strategies had results)"
        for entry in history
    ]
    return [f"The strategy of the primary question was changed: {', then '.join(steps)}."]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The answer on one data set.

    helped: whether the strategy is shown to be better; None where that cannot be tested.
    strategy: the one with the highest mean, of those shown to be better where there are any; with its table
        behind it where the data set has several; "" where there is none to compare.
    base, title: its name without the table, and the table.
    rival: the row without pretraining that comes nearest to it, or is above it.
    labels: the budgets that the means are over.
    gain: the difference to the best row without pretraining, whichever that is, with its 95 % interval.
    p: two-sided, corrected for ``comparisons``; NaN where there is no test.
    comparisons, rivals: the number of strategies, over all tables and data sets, and of rows without
        pretraining on this data set.
    named: the strategy that was named; late: cells that had results by then, so that it has no privilege.
    text: one sentence, or two.
    """

    task: str
    helped: bool | None
    strategy: str
    base: str
    title: str
    rival: str
    labels: tuple[int, ...]
    gain: Interval
    p: float
    comparisons: int
    rivals: int
    named: str | None
    late: int
    text: str


@dataclass(kw_only=True)
class _Curve:
    """A row at all budgets. scores: budget -> seed -> accuracy."""

    name: str
    base: str
    title: str
    scores: dict[int, dict[int, float]] = field(default_factory=dict)

    @property
    def mean(self) -> float:
        """The mean of the budgets' means."""
        return float(np.mean([np.mean([*by.values()]) for by in self.scores.values()]))


@dataclass(frozen=True, kw_only=True)
class _Pair:
    """The budgets and seeds that two rows share. values: a difference a seed, of means over the budgets."""

    labels: tuple[int, ...]
    seeds: tuple[int, ...]
    values: tuple[float, ...]


def answers(found: Tables, named: Named | None = None) -> tuple[Answer, ...]:
    """Answer the primary question on every data set.

    Args:
        found: the tables of a benchmark.
        named: the strategy of the question; None, or one named when there were results: the best of all.
    """
    tasks = list(dict.fromkeys(rows[0].task for *_, rows in places(found)))
    asked = named.strategy if named is not None and not named.cells else None
    sides = {task: _sides(found, task, asked) for task in tasks}
    tests = {task: _tests(*sides[task]) for task in tasks}
    single = {
        (task, i): max((t.p_above if t is not None else float("nan") for t in row), key=_nan_last)
        for task in tasks
        for i, row in enumerate(tests[task])
        if row
    }
    corrected = dict(zip(single, hommel([*single.values()]), strict=True))
    count = sum(p == p for p in corrected.values())
    made = []
    for task in tasks:
        p = [corrected.get((task, i), float("nan")) for i in range(len(tests[task]))]
        made.append(_answer(task, *sides[task], tests[task], p, count, named, len(tasks) > 1))
    return tuple(made)


def question(task: str, several: bool) -> str:
    """Return the beginning of an answer, with the data set where there are several."""
    return f"Primary question, {task}: " if several else "Primary question: "


def _nan_last(p: float) -> float:
    """Order p values so that one that is unknown is the largest."""
    return float("inf") if p != p else p


def _sides(found: Tables, task: str, asked: str | None) -> tuple[list[_Curve], list[_Curve]]:
    """Return the strategies in question and the rows without pretraining, those with results."""
    here = [place for place in places(found) if place[2][0].task == task]
    several = len({title for title, *_ in here}) > 1
    curves: dict[tuple[str, str, str], _Curve] = {}
    for title, labels, rows in here:
        for row in rows:
            # Classical models have no encoder: they are in all tables, and count once.
            own = "" if row.kind == "raw" else title
            name = f"{row.name} ({title})" if own and several else row.name
            if row.scores and (row.kind != "strategy" or asked in (None, row.name)):
                curve = curves.setdefault(
                    (row.kind, own, row.name), _Curve(name=name, base=row.name, title=title)
                )
                curve.scores[labels] = row.scores
    strategies = [curve for (kind, *_), curve in curves.items() if kind == "strategy"]
    return strategies, [curve for (kind, *_), curve in curves.items() if kind != "strategy"]


def _pair(row: _Curve, rival: _Curve) -> _Pair:
    labels = tuple(sorted(row.scores.keys() & rival.scores.keys()))
    sides = [curve.scores[budget] for curve in (row, rival) for budget in labels]
    seeds = tuple(sorted(set.intersection(*map(set, sides)))) if sides else ()
    values = [
        sum(row.scores[budget][seed] - rival.scores[budget][seed] for budget in labels)
        / len(labels)
        for seed in seeds
    ]
    return _Pair(labels=labels, seeds=seeds, values=tuple(values))


def _tests(strategies: Sequence[_Curve], rivals: Sequence[_Curve]) -> list[list[MeanTest | None]]:
    """Return the test of each strategy against each rival; None with fewer than two seeds in common."""
    columns: list[list[MeanTest | None]] = []
    for rival in rivals:
        pairs = [_pair(row, rival) for row in strategies]
        whole = Counter((pair.labels, pair.seeds) for pair in pairs if len(pair.seeds) > 1)
        # Those of most rows; of as many, with most seeds. A row that lacks a seed is tested alone.
        common = max(whole, key=lambda k: (whole[k], len(k[1])), default=None)
        together = [pair.values for pair in pairs if (pair.labels, pair.seeds) == common]
        pooled = iter(pooled_tests(together) if together else ())
        column: list[MeanTest | None] = []
        for pair in pairs:
            if (pair.labels, pair.seeds) == common:
                column.append(next(pooled))
            else:
                column.append(pooled_tests([pair.values])[0] if len(pair.seeds) > 1 else None)
        columns.append(column)
    return [[column[i] for column in columns] for i in range(len(strategies))]


def _gain(row: Sequence[MeanTest]) -> Interval:
    """Return the difference to the best of the rivals, whichever that is, of the tests against each."""
    nearest, half = min(row, key=lambda t: t.mean), (1 + CONFIDENCE) / 2
    return Interval(
        mean=nearest.mean,
        low=min(t.end(1 - half) for t in row),
        # The ends above must hold for all rivals at once: any of them may be the best.
        high=min(t.end(1 - (1 - half) / len(row)) for t in row),
        n=nearest.n,
    )


def _answer(
    task: str,
    strategies: Sequence[_Curve],
    rivals: Sequence[_Curve],
    tests: Sequence[Sequence[MeanTest | None]],
    p: Sequence[float],
    count: int,
    named: Named | None,
    several: bool,
) -> Answer:
    nothing = float("nan")
    late = 0 if named is None else named.cells
    fields: dict[str, Any] = {
        "task": task,
        "helped": None,
        "strategy": "",
        "base": "",
        "title": "",
        "rival": "",
        "labels": (),
        "gain": Interval(mean=nothing, low=nothing, high=nothing, n=0),
        "p": nothing,
        "comparisons": count,
        "rivals": len(rivals),
        "named": None if named is None else named.strategy,
        "late": late,
    }
    begin = question(task, several)
    end = ""
    if named is not None and late:
        end = (
            f" {named.strategy} was named when {late} cells of strategies had results, so it is one of all "
            f"strategies here."
        )
    known = [[t for t in row if t is not None] for row in tests]
    testable = [i for i, row in enumerate(known) if len(row) == len(rivals)]
    # Another baseline may be lost; what pretraining stands against is scratch.
    there = any(rival.base == SCRATCH for rival in rivals)
    if not testable or not there:
        which = "no strategy can" if named is None or late else f"{named.strategy} cannot"
        text = f"not answered: {which} be compared with scratch."
        if strategies and there:
            text = f"not answered: it takes {MIN_SEEDS} seeds that all rows have."
        return Answer(**fields, text=f"{begin}{text}{end}")
    enough = [i for i in testable if min(t.n for t in known[i]) >= MIN_SEEDS]
    better = [i for i in enough if p[i] < ALPHA]
    best = max(better or enough or testable, key=lambda i: strategies[i].mean)
    row, gain = known[best], _gain(known[best])
    nearest = min(range(len(rivals)), key=lambda j: row[j].mean)
    labels = _pair(strategies[best], rivals[nearest]).labels
    fields |= {
        "helped": bool(better) if enough else None,
        "strategy": strategies[best].name,
        "base": strategies[best].base,
        "title": strategies[best].title,
        "rival": rivals[nearest].name,
        "labels": labels,
        "gain": gain,
        "p": p[best],
    }
    if not enough:
        seeds = f"{min(t.n for t in row)} seed{'s' * (min(t.n for t in row) > 1)}"
        text = f"not answered: it takes {MIN_SEEDS} seeds, and {strategies[best].name} has {seeds}"
        return Answer(**fields, text=f"{begin}{text}.{end}")
    alone = named is not None and not late
    subject = f"{strategies[best].name}, named beforehand," if alone else strategies[best].name
    if not alone and len(strategies) > 1:
        subject += f", the best of {len(strategies)} strategies,"
    # All of the strategies must be worse, so that needs no correction.
    worse = len(enough) == len(strategies) and all(_gain(known[i]).high < 0 for i in enough)
    verb = "beats" if better else "is worse than" if worse else "is not shown to beat"
    word = "yes" if better else "no" if worse else "not shown"
    against = rivals[nearest].name
    if len(rivals) > 1:
        against += f", the best of {len(rivals)} rows without pretraining"
    over = f", over {listed([f'{b:,}' for b in labels])} labels together" if len(labels) > 1 else ""
    among = f" after correction for {count} comparisons" if count > 1 else ""
    text = (
        f"{begin}{word}. {subject} {verb} {against}{over}: {points(gain.mean)} points (95 % interval "
        f"{span(gain)}, {gain.n} seeds paired, p {p_text(p[best])}{among})."
    )
    return Answer(**fields, text=text + end)
