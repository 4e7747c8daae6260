"""Results of a transfer on the terminal: tables of searches, lines of measurements."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headstart.cli import out, out_json
from transfer.heads import HEADS, SolvedHead
from transfer.report.figures import folder_of
from transfer.targets import target_of_result

if TYPE_CHECKING:
    from transfer.run import Transferred


def search_rows(found: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return the lines of the table of a search's JSON: the best first."""
    tried = sorted(found["tried"], key=lambda row: (not row["complete"], -(row["accuracy"] or 0)))
    marks = {found["chosen"]: " (chosen)", found["runner_up"]: " (runner-up)"}
    rows: list[tuple[str, ...]] = []
    for row in tried:
        kept, trained = row["candidate"].split("; ", 1)
        accuracy, error, loss = row["accuracy"], row["standard_error"], row["loss"]
        seen = f"{row['validated']}" + ("" if row["complete"] else ", stopped")
        if not row["validated"] and row["short_run"]:
            accuracy = row["short_run"]["accuracy"]
            seen = f"{row['short_run']['validated']}, short run"
        rows.append(
            (
                kept,
                trained + marks.get(row["candidate"], ""),
                "–" if accuracy is None else f"{100 * accuracy:.2f}",
                "–" if error is None else f"{100 * error:.2f}",
                "–" if loss is None else f"{loss:.3f}",
                seen,
                f"{row['seconds']:.1f}",
            )
        )
    return rows


def show_search(found: Mapping[str, Any]) -> None:
    """Print the table of a search's JSON, and its choice with the reason, to stdout."""
    lines = [f"Chosen: {found['chosen']}: {found['reason']}."]
    if found["runner_up"]:
        lines.append(f"Runner-up: {found['runner_up']}.")
    if not found["complete"]:
        lines.append(
            "The time of --search-seconds was up before all was tried, so the choice may be another on "
            "a machine of another speed."
        )
    _print(
        f"Reuse search: {len(found['tried'])} candidates, {found['folds']}-fold cross-validation "
        f"inside the labels, {found['seconds']:.1f} s",
        ("kept", "training", "validated %", "± s.e.", "loss", "on", "seconds"),
        search_rows(found),
        lines,
        texts=2,
    )


def show_views(found: Mapping[str, Any]) -> None:
    """Print the validation of random views, and the choice, to stdout."""
    rows = [
        (
            row["views"] + (" (chosen)" if row["views"] == found["chosen"] else ""),
            f"{100 * row['accuracy']:.2f}",
            f"{row['loss']:.3f}",
        )
        for row in found["tried"]
    ]
    _print(
        f"Random views: {found['repeats']} times {found['folds']}-fold cross-validation inside the labels, "
        f"{found['seconds']:.1f} s",
        ("views", "validated %", "loss"),
        rows,
        [f"Views: {found['chosen']}: {found['reason']}."],
        texts=1,
    )


def show_unlabelled(found: Mapping[str, Any]) -> None:
    """Print the validation of the methods for unlabelled examples, and the choice, to stdout."""
    rows = []
    for row in found["tried"]:
        mark = " (chosen)" if row["method"] == found["chosen"] else ""
        apart, error = 100 * row["minus_plain"], 100 * row["standard_error"]
        others = ("", "") if row["method"] == "plain" else (f"{apart:+.2f}", f"{error:.2f}")
        rows.append((row["method"] + mark, f"{100 * row['accuracy']:.2f}", *others))
    _print(
        f"Unlabelled: {found['examples']:,} examples of {found['name']}, "
        f"{found['folds']}-fold cross-validation inside the labels, {found['seconds']:.1f} s",
        ("method", "validated %", "minus plain", "± s.e."),
        rows,
        [f"Unlabelled: {found['chosen']}: {found['reason']}."],
        texts=1,
    )


def _print(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    lines: Sequence[str],
    *,
    texts: int,
) -> None:
    """Print a table, if it has rows, whose first columns are ``texts``, and lines below it."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 160)
    table = Table(title=escape(title), title_justify="left")
    for i, name in enumerate(columns):
        table.add_column(name, justify="left" if i < texts else "right", no_wrap=i >= texts)
    for cells in rows:
        table.add_row(*cells)
    if rows:
        console.print(table)
    for line in lines:
        console.print(line, markup=False, highlight=False)


def show(done: Transferred, *, as_json: bool) -> None:
    """Print a transfer that was written: one line of JSON, or tables and lines."""
    result, path = done.result, done.path
    assert path is not None
    if as_json:
        out_json({"out": str(path), **result})
        return
    if "views" in result:
        show_views(result["views"])
    if "search" in result:
        show_search(result["search"])
    if "pool" in result:
        show_unlabelled(result["pool"])
    for line in describe(result):
        out(line)
    out(
        f"{result['labels']} labels, {result['reuse']} of {result['blocks']} blocks reused, "
        f"{result['seconds']:.1f} s. Wrote {path}, {path.with_suffix('.json')} and "
        f"{path.with_suffix('.md')}, digest {result['digest'][:16]}"
    )
    for row in result.get("exports", ()):
        out(
            f"Wrote {path.with_name(row['file'])}: its outputs differ from the model's by at most "
            f"{row['difference']:.1e}, on {row['examples']['n']} test examples"
        )
    if result.get("pictures"):
        out(f"Wrote {len(result['pictures'])} pictures into {folder_of(path)}")


def describe(result: Mapping[str, Any]) -> list[str]:
    """Return lines about a result: its measurements, and the choice of a solved head's parameter."""
    lines = [target_of_result(result).measured(result)]
    choice = result.get("head_choice")
    if choice:
        head = HEADS[result["head"]]
        assert isinstance(head, SolvedHead)
        name = head.parameter
        how = f"chosen among {len(choice['tried'])} by {choice['folds']}-fold cross-validation"
        if not choice["tried"]:
            how = "too few labels to choose it by cross-validation"
        lines.append(f"Head {result['head']}: {name} = {choice[name]:g}, {how}")
    return lines
