"""Tables as Markdown, one a label budget, and the claims that their numbers support."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.analysis.formatting import p_text, percent, place_name, points, possible, span
from benchmark.analysis.rows import Row, Tables, best_of, in_cpu, places
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
        accuracy = (percent(row.accuracy.mean), span(possible(row.accuracy), ""))
        gain = ("", "") if row.gain is None else (points(row.gain.mean), span(row.gain, "+"))
        seeds = str(row.accuracy.n) + (f" ({len(row.failed)} failed)" if row.failed else "")
        lines.append((row.name, *accuracy, *gain, seeds, cost))
    return lines


def markdown(found: Tables) -> str:
    """Return all tables in Markdown, to paste."""
    parts = []
    for title, budget, rows in places(found):
        header, *body = table_lines(rows)
        lines = [f"**{place_name(title, budget)}**", "", "| " + " | ".join(header) + " |"]
        lines.append("|" + "---|" * len(header))
        lines += ["| " + " | ".join(cells) + " |" for cells in body]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def claims(found: Tables) -> list[str]:
    """Say for each strategy and budget whether it beats scratch, and whether raw values do as well."""
    said = []
    for title, budget, rows in places(found):
        best = best_of(rows, "raw")
        for row in rows:
            if row.kind != "strategy" or row.gain is None or not row.accuracy.n:
                continue
            text = f"{place_name(title, budget)}: {row.name} {_against_scratch(row)}"
            if best is not None and row.accuracy.mean < best.accuracy.mean:
                text += (
                    f"; {best.name} alone reaches {percent(best.accuracy.mean)} %, more than its "
                    f"{percent(row.accuracy.mean)} %"
                )
            said.append(text + ".")
    return said


def _against_scratch(row: Row) -> str:
    gain = row.gained
    if not gain.n:
        return "has no seed in common with scratch"
    there = f"{points(gain.mean)} points"
    if gain.n < 2:
        return f"against scratch {there}: one seed proves nothing"
    inside = f"{there}, 95 % interval {span(gain, '+')}, {gain.n} seeds paired"
    if not gain.excludes_zero:
        return f"is not shown to differ from scratch ({inside})"
    word = "beats" if gain.mean > 0 else "is worse than"
    if row.corrected >= ALPHA:
        why = f"p {p_text(row.corrected)}"
        if row.p < ALPHA:
            why = f"alone it would be, but not among {row.comparisons} comparisons, {why}"
        return f"is not shown to differ from scratch ({inside}): {why}"
    return f"{word} scratch ({inside})"
