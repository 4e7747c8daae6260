"""What a benchmark says: one table a label budget, and the claims that its numbers carry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmark.stats import ALPHA
from benchmark.tables import Row, Tables, best_raw, tables
from benchmark.words import p_text, percent, points, possible, span


def summarise(records: Sequence[Mapping[str, Any]]) -> dict[int, list[Row]]:
    """Return the rows of each label budget of one data set, in the records' order."""
    found = list(tables(records).values())
    return found[0] if found else {}


def table_lines(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """Return a header and one tuple of cells a row, in percent and percentage points."""
    lines: list[tuple[str, ...]] = [
        ("row", "accuracy %", "95 % interval", "minus scratch", "95 % interval", "seeds", "seconds")
    ]
    for row in rows:
        cost = "–" if row.seconds != row.seconds else f"{row.seconds:.1f}"
        if row.pretrain_seconds is not None:
            cost = f"{row.pretrain_seconds:.1f} + {cost}"
        seeds = str(row.accuracy.n) + (f" ({len(row.failed)} failed)" if row.failed else "")
        lines.append(
            (
                row.name,
                percent(row.accuracy.mean),
                span(possible(row.accuracy), ""),
                "" if row.gain is None else points(row.gain.mean),
                "" if row.gain is None else span(row.gain, "+"),
                seeds,
                cost,
            )
        )
    return lines


def title(task: str, labels: int, several: bool) -> str:
    """Return the heading of a table; the data set is named where there are several."""
    return f"{task}, {labels} labels" if several else f"{labels} labels"


def markdown(found: Mapping[int, Sequence[Row]], task: str | None = None) -> str:
    """Return the tables of a data set in Markdown, to paste; ``task`` goes into their headings."""
    parts = []
    for budget, rows in found.items():
        header, *body = table_lines(rows)
        heading = title(task or "", budget, task is not None)
        lines = [f"**{heading}**", "", "| " + " | ".join(header) + " |"]
        lines.append("|" + "---|" * len(header))
        lines += ["| " + " | ".join(cells) + " |" for cells in body]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def all_markdown(found: Tables) -> str:
    """Return the tables of all data sets in Markdown."""
    several = len(found) > 1
    parts = [markdown(by, task if several else None).rstrip() for task, by in found.items()]
    return "\n\n".join(parts) + "\n"


def all_claims(found: Tables) -> list[str]:
    """Return the claims of all data sets."""
    several = len(found) > 1
    return [
        f"{task}, {line}" if several else line for task, by in found.items() for line in claims(by)
    ]


def claims(found: Mapping[int, Sequence[Row]]) -> list[str]:
    """Say for each strategy and budget whether it beats scratch, and whether raw values do as well."""
    said = []
    for budget, rows in found.items():
        best = best_raw(rows)
        for row in rows:
            if row.kind != "strategy" or row.gain is None or not row.accuracy.n:
                continue
            text = f"{budget} labels: {row.name} {_against_scratch(row)}"
            if best is not None and row.accuracy.mean < best.accuracy.mean:
                text += (
                    f"; {best.name} alone reaches {percent(best.accuracy.mean)} %, more than its "
                    f"{percent(row.accuracy.mean)} %"
                )
            said.append(text + ".")
    return said


def _against_scratch(row: Row) -> str:
    gain = row.gain
    if gain is None or not gain.n:
        return "has no seed in common with scratch"
    there = f"{points(gain.mean)} points"
    if gain.n < 2:
        return f"against scratch {there}: one seed proves nothing"
    inside = f"{there}, 95 % interval {span(gain, '+')}, {gain.n} seeds paired"
    if not gain.excludes_zero:
        return f"is not shown to differ from scratch ({inside})"
    word = "beats" if gain.mean > 0 else "is worse than"
    if row.comparisons > 1 and row.corrected >= ALPHA:
        return (
            f"is not shown to differ from scratch ({inside}): alone it would be, but not among "
            f"{row.comparisons} comparisons, p {p_text(row.corrected)}"
        )
    return f"{word} scratch ({inside})"


__all__ = ["Row", "all_claims", "all_markdown", "claims", "markdown", "summarise"]
