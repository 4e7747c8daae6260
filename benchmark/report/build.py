"""The files of a report, drawn from a benchmark's folder alone: without TensorFlow, training or data."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.analysis.primary import Named, changes
from benchmark.analysis.rows import Tables, base, tables
from benchmark.analysis.verdict import Verdict, verdict
from benchmark.report.figures import confusions_of, draw, ranked
from benchmark.report.machine_readable import summary_csv, summary_json
from benchmark.report.markdown import claims, markdown
from benchmark.store import BenchmarkFolder, Results
from headstart.files import write_bytes

REPORT = "report.html"
FIGURE_NAMES = re.compile(r"^(gains|cost|confusion|curves|ranks)(-[a-z0-9-]+)?\.(svg|png)$")


@dataclass(frozen=True, kw_only=True)
class Report:
    """The contents and the files of a report.

    said: the claims under the tables; notes: those of the run, failed cells and damaged lines.
    """

    folder: Path
    found: Tables
    judged: Verdict
    about: str
    said: list[str]
    notes: list[str]
    records: list[dict[str, Any]]
    written: list[Path]
    summary: dict[str, Any]


def redraw(folder: Path, method: str = "t") -> Report:
    """Read the folder and write report.html, figures/, summary.csv, summary.json and table.md.

    Args:
        folder: a benchmark's.
        method: "t" or "bootstrap", for the intervals.

    Raises:
        InputError: the folder holds no benchmark.
        HeadstartError: the disk is full.
    """
    results = BenchmarkFolder(folder).read()
    found = tables(results.records, method)
    judged = verdict(results.records, found, Named.of(results.about))
    said, about = claims(found), _sentence(results.about)
    notes = [*_strings(results.about.get("notes")), *changes(results.about)]
    notes += [*_missing(results.records), *results.warnings]
    summary = summary_json(found, judged, said, method)
    page, figures = _drawn(results, found, judged, method=method, about=about)
    texts = {
        REPORT: page,
        "summary.csv": summary_csv(found),
        "summary.json": json.dumps(summary, indent=1) + "\n",
        "table.md": "\n\n".join([about, *judged.lines(), markdown(found), *said, *notes]) + "\n",
    }
    for name, content in (figures | texts).items():
        write_bytes(folder / name, content if isinstance(content, bytes) else content.encode())
    for old in (folder / "figures").glob("*"):
        # Of budgets or data sets that are no longer there; other files are not ours.
        if FIGURE_NAMES.match(old.name) and f"figures/{old.name}" not in figures:
            old.unlink()
    return Report(
        folder=folder,
        found=found,
        judged=judged,
        about=about,
        said=said,
        notes=notes,
        records=results.records,
        written=[folder / name for name in (*texts, *figures)],
        summary=summary,
    )


def _drawn(
    results: Results, found: Tables, judged: Verdict, **more: Any
) -> tuple[str, dict[str, bytes]]:
    """Return the page, and the figures' files by name."""
    from benchmark.report.html import render
    from benchmark.report.run_artifacts import pictures, spreads

    about, records = results.about, results.records
    classes = {t["name"]: _strings(t.get("class_names")) for t in _tasks(about)}
    if len(classes) == 1:  # records of one data set need not name it
        classes.setdefault("", next(iter(classes.values())))
    ranking, confusions = ranked(found), confusions_of(records, found, judged, classes)
    drawings = draw(found, judged, confusions, ranking)
    rows = list(dict.fromkeys(base(r) for r in records if r["kind"] == "strategy"))
    shown, left = pictures(results.folder, rows)
    names = [task["name"] for task in _tasks(about)]
    on = f" on {', '.join(names)}" if names else ""
    page = render(
        records,
        found,
        judged,
        confusions,
        ranking,
        drawings=drawings,
        title=f"Does pretraining help{on}?",
        pictures=shown,
        pictures_left=left,
        spreads=spreads(results.folder, rows),
        findings=_findings(results),
        command=str(about.get("command") or ""),
        facts=_facts(about, records),
        **more,
    )
    files = {}
    for drawing in (each for section in drawings.values() for each in section):
        files[f"figures/{drawing.name}.svg"] = drawing.svg
        files[f"figures/{drawing.name}.png"] = drawing.png
    return page, files


def _objects(about: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    found = about.get(name)
    return [v for v in found if isinstance(v, dict)] if isinstance(found, list) else []


def _tasks(about: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [task for task in _objects(about, "tasks") if isinstance(task.get("name"), str)]


def _sentence(about: Mapping[str, Any]) -> str:
    """Return what the numbers are about, for below the tables and above the report."""
    parts = [
        f"{task['name']} ({_count(task.get('test_examples'))} examples, {task.get('test_origin', 'unknown')})"
        for task in _tasks(about)
    ]
    text = f"Test accuracy on {'; '.join(parts)}" if parts else "Test accuracy"
    pools = [
        f"{pool.get('name')}, {_count(pool.get('examples'))} examples"
        for pool in _objects(about, "pools")
    ]
    encoders = [str(encoder.get("architecture")) for encoder in _objects(about, "encoders")]
    for word, values in (("pool", pools), ("encoder", encoders)):
        if values:
            text += f"; {word} {'; '.join(dict.fromkeys(values))}"
    return f"{text}. Seconds are pretraining + transfer a seed."


def _findings(results: Results) -> list[str]:
    """Return what a reader has to know: leakage, what was left out, failed cells, damaged lines."""
    found = [n for part in ("leakage", "notes") for n in _strings(results.about.get(part))]
    found += changes(results.about)
    found += _missing(results.records)
    if not any(record["status"] == "failed" for record in results.records):
        found.append("Every cell that ran came to its end: none failed.")
    return list(dict.fromkeys([*found, *results.warnings]))


def _facts(about: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return the rest that decides the numbers: versions, threads, recipes, sizes."""
    found = [(f"data: {t['name']}", str(t.get("source", "unknown"))) for t in _tasks(about)]
    for pool in _objects(about, "pools"):
        found.append(("pool", f"{pool.get('name')}, {pool.get('source', 'unknown')}"))
    names = "started labels seeds encoders modes pretrain budget options versions threads"
    found += [(name, _plain(about[name])) for name in names.split() if about.get(name)]
    return [*found, ("cells", f"{len(records)}")]


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(
            f"{key}: {_plain(v)}" for key, v in value.items() if v not in (None, {}, "")
        )
    return ", ".join(map(_plain, value)) if isinstance(value, list) else str(value)


def _count(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else "unknown"


def _strings(value: Any) -> list[str]:
    return [str(v) for v in value] if isinstance(value, list) else []


def _missing(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a sentence for each cell that failed, and for each budget that was skipped."""
    said = []
    for r in records:
        where, reason = f"{r['labels']:,} labels", r.get("reason", "no reason was recorded")
        if r["status"] == "failed":
            said.append(f"Failed: {r['row']}, {where}, seed {r['seed']}: {reason}")
        elif r["status"] == "skipped":
            said.append(f"Skipped: {r.get('task') or 'the data'}, {where}: {reason}")
    return list(dict.fromkeys(said))
