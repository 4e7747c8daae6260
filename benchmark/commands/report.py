"""The command ``benchmark report``: verdict, tables and claims on the terminal, or all of them as JSON."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmark.analysis.formatting import listed, place_name
from benchmark.analysis.rows import places
from benchmark.report.build import REPORT, Report, redraw
from benchmark.report.markdown import table_lines
from benchmark.store import RESULTS
from headstart.cli import out_json


def report_command(folder: Path, *, intervals: str = "t", as_json: bool = False) -> None:
    """Draw a benchmark's report from its folder alone, and print it."""
    report = redraw(folder, intervals)
    if as_json:
        out_json(_json(report))
    else:
        _show(report)


def _json(report: Report) -> Any:
    """Return what ``--json`` prints; with one title its tables are budget -> rows."""
    tables = {
        title: {str(labels): [asdict(row) for row in rows] for labels, rows in by.items()}
        for title, by in report.found.items()
    }
    return _without_nan(
        {
            "out": str(report.folder),
            "verdict": report.summary["verdict"],
            "tables": next(iter(tables.values())) if len(tables) == 1 else tables,
            "claims": report.said,
            "notes": report.notes,
        }
    )


def _show(report: Report) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    # Piped output has no width of its own: leave the table whole instead of folding it at 80.
    console = Console(width=None if sys.stdout.isatty() else 120)

    def say(*lines: str) -> None:
        for line in lines:
            console.print(line, markup=False, highlight=False)

    say("", *report.judged.lines(), "")
    for title, labels, rows in places(report.found):
        header, *body = table_lines(rows)
        table = Table(title=escape(place_name(title, labels)), title_justify="left")
        for i, name in enumerate(header):
            table.add_column(name, justify="left" if i == 0 else "right", no_wrap=i > 0)
        for cells in body:
            table.add_row(*map(escape, cells))
        console.print(table)
    say(report.about, *report.said, *report.notes)
    beside = [RESULTS, "table.md", "summary.csv", "summary.json"]
    if any(path.parent.name == "figures" for path in report.written):
        beside.append("figures/")
    say(f"Wrote {report.folder / REPORT}; beside it {listed(beside)}")


def _without_nan(value: Any) -> Any:
    """Turn NaN, which JSON does not have, into null."""
    if isinstance(value, dict):
        return {k: _without_nan(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(v) for v in value]
    return None if isinstance(value, float) and value != value else value
