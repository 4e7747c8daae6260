"""What a benchmark says: one table a label budget, and the claims that its numbers carry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from benchmark.baselines import BASELINES
from benchmark.grid import SCRATCH
from benchmark.stats import Interval, paired, t_interval


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of a table: accuracies over seeds, the paired difference to scratch, the costs.

    accuracy, gain: fractions, not percent; gain is None for scratch itself.
    seconds, pretrain_seconds: means over the cells; pretraining is shared by all label budgets.
    failed: reasons of cells that failed; they are in no mean, and they are shown.
    """

    name: str
    kind: str
    accuracy: Interval
    gain: Interval | None
    seconds: float
    pretrain_seconds: float | None
    failed: tuple[str, ...]


def summarise(records: Sequence[dict[str, Any]]) -> dict[int, list[Row]]:
    """Return the rows of each label budget, in the records' order."""
    tables: dict[int, list[Row]] = {}
    for budget in dict.fromkeys(record["labels"] for record in records):
        here = [record for record in records if record["labels"] == budget]
        scratch = _by_seed(here, SCRATCH)
        tables[budget] = [
            _row([record for record in here if record["row"] == name], scratch)
            for name in dict.fromkeys(record["row"] for record in here)
        ]
    return tables


def _row(records: Sequence[dict[str, Any]], scratch: dict[int, float]) -> Row:
    name, done = records[0]["row"], [r for r in records if r["status"] == "done"]
    scores = _by_seed(records, name)
    costs = [r["pretrain_seconds"] for r in done if r.get("pretrain_seconds") is not None]
    spent = [r.get("transfer_seconds", r["seconds"]) for r in done]
    return Row(
        name=name,
        kind=records[0]["kind"],
        accuracy=t_interval(list(scores.values())),
        gain=None if name == SCRATCH else paired(scores, scratch),
        seconds=sum(spent) / len(spent) if spent else float("nan"),
        pretrain_seconds=sum(costs) / len(costs) if costs else None,
        failed=tuple(r["reason"] for r in records if r["status"] != "done"),
    )


def _by_seed(records: Sequence[dict[str, Any]], name: str) -> dict[int, float]:
    return {r["seed"]: r["accuracy"] for r in records if r["row"] == name and r["status"] == "done"}


def table_lines(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """Return a header and one tuple of cells a row, in percent and percentage points."""
    lines: list[tuple[str, ...]] = [
        ("row", "accuracy %", "95 % interval", "minus scratch", "95 % interval", "seeds", "seconds")
    ]
    for row in rows:
        cost = f"{row.seconds:.1f}"
        if row.pretrain_seconds is not None:
            cost = f"{row.pretrain_seconds:.1f} + {cost}"
        seeds = str(row.accuracy.n) + (f" ({len(row.failed)} failed)" if row.failed else "")
        lines.append(
            (
                row.name,
                _percent(row.accuracy.mean),
                _range(_possible(row.accuracy), ""),
                "" if row.gain is None else f"{100 * row.gain.mean:+.2f}",
                "" if row.gain is None else _range(row.gain, "+"),
                seeds,
                cost,
            )
        )
    return lines


def markdown(tables: dict[int, list[Row]]) -> str:
    """Return the tables in Markdown, to paste."""
    parts = []
    for budget, rows in tables.items():
        header, *body = table_lines(rows)
        lines = [f"**{budget} labels**", "", "| " + " | ".join(header) + " |"]
        lines.append("|" + "---|" * len(header))
        lines += ["| " + " | ".join(cells) + " |" for cells in body]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def claims(tables: dict[int, list[Row]]) -> list[str]:
    """Say for each strategy and budget whether it beats scratch, and whether raw values do as well."""
    said = []
    for budget, rows in tables.items():
        raw = [r for r in rows if r.name in BASELINES and r.accuracy.n]
        best = max(raw, key=lambda r: r.accuracy.mean) if raw else None
        for row in rows:
            if row.kind != "strategy" or row.gain is None or not row.accuracy.n:
                continue
            text = f"{budget} labels: {row.name} {_against_scratch(row.gain)}"
            if best is not None and row.accuracy.mean < best.accuracy.mean:
                text += (
                    f"; {best.name} alone reaches {_percent(best.accuracy.mean)} %, more than its "
                    f"{_percent(row.accuracy.mean)} %"
                )
            said.append(text + ".")
    return said


def _against_scratch(gain: Interval) -> str:
    points = f"{100 * gain.mean:+.2f} points"
    if gain.n < 2:
        return f"against scratch {points}: one seed proves nothing"
    inside = f"{points}, 95 % interval {_range(gain, '+')}, {gain.n} seeds paired"
    if not gain.excludes_zero:
        return f"is not shown to differ from scratch ({inside})"
    return f"{'beats' if gain.mean > 0 else 'is worse than'} scratch ({inside})"


def _possible(accuracy: Interval) -> Interval:
    """Cut an interval of accuracies to 0..1: Student's t does not know that there is an end."""
    return replace(accuracy, low=max(0.0, accuracy.low), high=min(1.0, accuracy.high))


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2f}"


def _range(interval: Interval, sign: str) -> str:
    if interval.n < 2:
        return "–"
    return f"{100 * interval.low:{sign}.2f} to {100 * interval.high:{sign}.2f}"
