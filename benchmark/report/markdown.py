"""Tables as Markdown, one a label budget, and the claims that their numbers support."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmark.analysis.formatting import p_text, percent, place_name, points, possible, span
from benchmark.analysis.rows import Row, Tables, best_raw, in_cpu
from benchmark.analysis.stats import ALPHA


def table_lines(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """Return a header and one tuple of cells a row, in percent and percentage points."""
    cpu = in_cpu(rows)
    header = ("row", "accuracy %", "95 % interval", "minus scratch", "95 % interval", "seeds")
    lines: list[tuple[str, ...]] = [(*header, "CPU-seconds" if cpu else "seconds")]
    for row in rows:
        pretraining, transfer = row.cost(cpu)
        cost = "–" if transfer != transfer else f"{transfer:.1f}"
        if pretraining is not None:
            cost = f"{pretraining:.1f} + {cost}"
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


def markdown(found: Mapping[int, Sequence[Row]], title: str = "") -> str:
    """Return the tables of one title in Markdown, to paste."""
    parts = []
    for budget, rows in found.items():
        header, *body = table_lines(rows)
        lines = [f"**{place_name(title, budget)}**", "", "| " + " | ".join(header) + " |"]
        lines.append("|" + "---|" * len(header))
        lines += ["| " + " | ".join(cells) + " |" for cells in body]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def all_markdown(found: Tables) -> str:
    """Return all tables in Markdown."""
    return "\n\n".join(markdown(by, title).rstrip() for title, by in found.items()) + "\n"


def all_claims(found: Tables) -> list[str]:
    """Return the claims of all tables."""
    return [
        f"{title}, {line}" if title else line for title, by in found.items() for line in claims(by)
    ]


def claims(found: Mapping[int, Sequence[Row]]) -> list[str]:
    """Say for each strategy and budget whether it beats scratch, and whether raw values do as well."""
    said = []
    for budget, rows in found.items():
        best = best_raw(rows)
        for row in rows:
            if row.kind != "strategy" or row.gain is None or not row.accuracy.n:
                continue
            text = f"{budget:,} labels: {row.name} {_against_scratch(row)}"
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
    if row.corrected >= ALPHA:
        p = p_text(row.corrected)
        why = f"p {p}"
        if row.p < ALPHA:
            why = f"alone it would be, but not among {row.comparisons} comparisons, p {p}"
        return f"is not shown to differ from scratch ({inside}): {why}"
    return f"{word} scratch ({inside})"


__all__ = ["Row", "all_claims", "all_markdown", "claims", "markdown"]
