"""The report as one HTML page."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmark.analysis.formatting import (
    p_number,
    percent,
    place_name,
    points,
    possible,
    seconds,
    span,
)
from benchmark.analysis.ranks import Ranking
from benchmark.analysis.rows import Row, Tables, equivalent, in_cpu, places
from benchmark.analysis.verdict import EMPTY, HELPED, NO_HELP, UNCLEAR, Verdict, place
from benchmark.report.figures import Confusion

KNOWN = ("row", "base", "encoder", "mode", "kind", "labels", "seed", "task", "status", "reason")
NAMES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "loss": "loss",
    "confusion": "confusion, true class a line",
    "updates": "updates",
    "chosen": "chosen inside the budget",
    "n": "test examples",
    "seconds": "seconds in all",
    "pretrain_seconds": "seconds of pretraining",
    "transfer_seconds": "seconds of transfer",
    "cpu_seconds": "CPU-seconds in all",
    "pretrain_cpu_seconds": "CPU-seconds of pretraining",
    "pretrain_planned_epochs": "epochs that the budget became",
    "digest": "digest of the model",
    "weights_digest": "digest of the weights file",
    "id": "identity of the cell",
}
PERCENT = ("accuracy", "balanced_accuracy", "macro_f1")
MAX_CHARACTERS = 1500
TEMPLATES = Path(__file__).parent / "templates"
STYLES = {HELPED: "helped", NO_HELP: "no-help", UNCLEAR: "unclear", EMPTY: "unclear"}
HEADER = ("row", "accuracy %", "minus scratch", "p, corrected", "minus best raw", "seeds")
MAX_CLASSES = 30
BESIDE = 6
"""Confusion matrices of more classes stand one below the other."""
METHODS = {
    "t": "Intervals are Student's t over seeds, of differences paired by seed.",
    "bootstrap": (
        "Intervals are BCa bootstraps over seeds, of differences paired by seed; p values are Student's."
    ),
}
BLANK = ("–", "")


def render(
    records: Sequence[Mapping[str, Any]],
    found: Tables,
    judged: Verdict,
    confusions: Sequence[Confusion],
    ranking: Ranking | None,
    *,
    method: str,
    **shown: Any,
) -> str:
    """Return the page. The template escapes everything that comes from files.

    Args:
        records: the cells.
        found: their tables.
        judged: the verdict on them.
        confusions: the matrices.
        ranking: of the rows over data sets, if there are several.
        method: of the intervals, a name in METHODS.
        **shown: what the template takes as it is: title, about, drawings, pictures, pictures_left (the
            captions of those that were too large), spreads, findings, command, facts.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["base64"] = lambda data: base64.b64encode(data).decode()
    return environment.get_template("report.html").render(
        **shown,
        verdict=judged,
        verdict_style=STYLES[judged.kind],
        judgements=[
            (place(j), _capital(j.text, found[j.title][j.labels])) for j in judged.judgements
        ],
        intervals_note=f"{METHODS[method]} {_family(found)}",
        tables=[_table(judged, *where) for where in places(found)],
        equivalents=_equivalents(found),
        ranking=ranking,
        ranking_text="" if ranking is None else _ranking_text(ranking),
        confusions=[_matrix(c) for c in confusions],
        confusions_wide=any(len(c.classes) > BESIDE for c in confusions),
        cells=_cell_groups(records),
    )


def _capital(text: str, rows: Sequence[Row]) -> str:
    """Begin with a capital, unless a row's name is what it begins with."""
    if any(text.startswith(row.name) for row in rows):
        return text
    return text[:1].upper() + text[1:]


def _family(found: Tables) -> str:
    counts = {row.comparisons for *_, rows in places(found) for row in rows if row.comparisons}
    if not counts:
        return ""
    return (
        f"The p values against scratch are corrected together for all {max(counts)} comparisons of a "
        f"strategy with scratch (Holm); those against the best raw baseline likewise."
    )


def _table(judged: Verdict, title: str, labels: int, rows: Sequence[Row]) -> dict[str, Any]:
    use, cpu = judged.use(title, labels), in_cpu(rows)
    # The best first; rows without any result last.
    order = sorted(rows, key=lambda r: -r.accuracy.mean if r.accuracy.n else 1.0)
    return {
        "title": place_name(title, labels),
        "header": (*HEADER, f"{'CPU-seconds' if cpu else 'seconds'} a seed"),
        "rows": [
            {"name": row.name, "use": row.name == use, "cells": _cells(row, cpu)} for row in order
        ],
    }


def _cells(row: Row, cpu: bool) -> list[tuple[str, str]]:
    """Return the cells right of the row's name: the large text of each, and the small text below it."""
    accuracy, gain, raw = row.accuracy, row.gain, row.over_raw
    pretraining, _ = row.cost(cpu)
    return [
        (percent(accuracy.mean), span(possible(accuracy), "") if accuracy.n > 1 else ""),
        _difference(gain) if gain is not None else ("", ""),
        (p_number(row.corrected) if row.kind == "strategy" else "", ""),
        _difference(raw) if raw is not None and raw.n else ("", ""),
        (str(accuracy.n), f"{len(row.failed)} failed" if row.failed else ""),
        (
            seconds(row.total(cpu)),
            "" if pretraining is None else f"pretraining {seconds(pretraining)}",
        ),
    ]


def _difference(interval: Any) -> tuple[str, str]:
    return points(interval.mean), span(interval) if interval.n > 1 else ""


def _equivalents(found: Tables) -> list[dict[str, Any]]:
    """Return a table a title: what each strategy's labels are worth in labels of scratch."""
    made = []
    for title, by_labels in found.items():
        strategies = [r for rows in by_labels.values() for r in rows if r.kind == "strategy"]
        worth = {(r.name, r.labels): equivalent(found, r) for r in strategies}
        parts = {where: BLANK if value is None else value.parts() for where, value in worth.items()}
        rows = [
            (name, [parts.get((name, labels), BLANK) for labels in by_labels])
            for name in dict.fromkeys(r.name for r in strategies)
        ]
        if any(part != BLANK for part in parts.values()):
            suffix = f", {title}" if title else ""
            budgets = [f"{labels:,}" for labels in by_labels]
            made.append({"suffix": suffix, "budgets": budgets, "rows": rows})
    return made


def _ranking_text(ranking: Ranking) -> str:
    text = (
        f"{ranking.n} data sets, each row's accuracy averaged over the budgets that all have. By "
        f"Nemenyi's test, two rows whose average ranks differ by less than "
        f"{ranking.critical:.2f} are not shown to differ."
    )
    if ranking.p == ranking.p:
        text += f" Friedman's test that all rows are alike: p {p_number(ranking.p)}."
    if ranking.n < 5:
        text += " With fewer than five data sets these tests find next to nothing."
    return text


def _matrix(found: Confusion) -> dict[str, Any]:
    where = place_name(found.title, found.labels)
    classes, matrix = found.classes[:MAX_CLASSES], found.matrix[:MAX_CLASSES, :MAX_CLASSES]
    rows = [
        # A dot for none, so that the diagonal stands out.
        (name, [("·" if v < 0.005 else f"{100 * v:.0f}", f"{0.45 * v:.2f}") for v in values])
        for name, values in zip(classes, matrix.tolist(), strict=True)
    ]
    more = len(found.classes) - len(classes)
    note = f" (the first {MAX_CLASSES} of {len(found.classes)} classes)" if more else ""
    return {"title": f"{found.row}, {where}{note}", "classes": classes, "rows": rows}


def _cell_groups(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    several = len({r.get("task") for r in records}) > 1
    groups = []
    for name in dict.fromkeys(r["row"] for r in records):
        here = [r for r in records if r["row"] == name]
        failed = sum(r["status"] != "done" for r in here)
        about = f"{len(here)} cells" if len(here) != 1 else "1 cell"
        about += f", {failed} not done" if failed else ""
        groups.append({"name": name, "about": about, "cells": [_cell(r, several) for r in here]})
    return groups


def _cell(record: Mapping[str, Any], several: bool) -> dict[str, Any]:
    parts = [record.get("task") if several else None, record.get("encoder"), record.get("mode")]
    words = [str(part) for part in parts if part]
    words += [f"{record['labels']:,} labels", f"seed {record['seed']}"]
    done = record["status"] == "done"
    end = f"{percent(record['accuracy'])} %" if done else str(record["status"])
    facts = [] if done else [("why", str(record.get("reason", "no reason was recorded")))]
    order = [*NAMES, *(key for key in record if key not in NAMES and key not in KNOWN)]
    for key in order:
        if record.get(key) is not None:
            facts.append((NAMES.get(key, key), _text(key, record[key])))
    return {"name": f"{', '.join(words)}: {end}", "failed": not done, "facts": facts}


def _text(key: str, value: Any) -> str:
    if key in PERCENT and isinstance(value, float):
        return f"{percent(value)} %"
    if key == "confusion":
        text = " / ".join(" ".join(f"{count:g}" for count in row) for row in value)
    elif isinstance(value, Mapping):
        text = ", ".join(f"{k}={v}" for k, v in value.items()) or "nothing"
    elif isinstance(value, float):
        text = f"{value:.4g}"
    else:
        text = str(value)
    return text if len(text) <= MAX_CHARACTERS else text[:MAX_CHARACTERS] + " ..."
