"""The files of a report, drawn from a benchmark's folder alone: without TensorFlow, training or data."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.analysis.rows import Tables, base, tables
from benchmark.analysis.verdict import Verdict, verdict
from benchmark.report.figures import confusions_of, draw, ranked
from benchmark.report.machine_readable import summary_csv, summary_json
from benchmark.report.markdown import all_claims, all_markdown
from benchmark.store import BenchmarkFolder, Results
from headstart.files import write_bytes, write_text

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
    judged = verdict(results.records, found)
    said = all_claims(found)
    notes = [*_strings(results.about.get("notes")), *_missing(results.records), *results.warnings]
    sentence = about_sentence(results.about)
    summary = summary_json(found, judged, said, method)
    figures = _write_figures_and_page(results, found, judged, method, sentence)
    texts = {
        "summary.csv": summary_csv(found),
        "summary.json": json.dumps(summary, indent=1) + "\n",
        "table.md": "\n\n".join(
            [sentence, *judged.lines(), all_markdown(found).rstrip(), *said, *notes]
        )
        + "\n",
    }
    for name, text in texts.items():
        write_text(folder / name, text)
    return Report(
        folder=folder,
        found=found,
        judged=judged,
        about=sentence,
        said=said,
        notes=[*notes],
        records=results.records,
        written=[folder / REPORT, *(folder / name for name in texts), *figures],
        summary=summary,
    )


def _write_figures_and_page(
    results: Results, found: Tables, judged: Verdict, method: str, sentence: str
) -> list[Path]:
    """Write report.html and the figures; return the figures' files."""
    from benchmark.report.html import PageContent, render
    from benchmark.report.run_artifacts import pictures, read_pictures, spreads

    folder, about, records = results.folder.path, results.about, results.records
    classes = {t["name"]: _strings(t.get("class_names")) for t in tasks_of(about)}
    if len(classes) == 1:  # records of one data set need not name it
        classes.setdefault("", next(iter(classes.values())))
    ranking = ranked(found)
    confusions = confusions_of(records, found, judged, classes)
    drawings = draw(found, judged, confusions, ranking)
    names = list(dict.fromkeys(base(r) for r in records if r["kind"] == "strategy"))
    shown, left = read_pictures(pictures(results.folder, names))
    content = PageContent(
        heading=heading(about),
        about=[sentence],
        records=records,
        found=found,
        judged=judged,
        method=method,
        drawings=drawings,
        confusions=confusions,
        ranking=ranking,
        pictures=shown,
        pictures_left=left,
        spreads=spreads(results.folder, names),
        findings=findings(results),
        command=str(about.get("command") or ""),
        facts=facts(about, records),
    )
    page = render(content)
    written = []
    for drawing in drawings.all():
        for ending, data in ((".svg", drawing.svg.encode()), (".png", drawing.png)):
            path = folder / "figures" / f"{drawing.name}{ending}"
            write_bytes(path, data)
            written.append(path)
    write_text(folder / REPORT, page)
    for old in set(_figures_of(folder / "figures")) - set(written):
        old.unlink()  # of budgets or data sets that are no longer there
    return written


def _figures_of(figures: Path) -> list[Path]:
    """Return the figures of an earlier drawing, and no other files."""
    return [p for p in figures.glob("*") if FIGURE_NAMES.match(p.name)]


def tasks_of(about: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the tasks that ``benchmark.json`` names."""
    return [task for task in _objects(about.get("tasks")) if isinstance(task.get("name"), str)]


def _objects(value: Any) -> list[dict[str, Any]]:
    return [v for v in value if isinstance(v, dict)] if isinstance(value, list) else []


def heading(about: Mapping[str, Any]) -> str:
    """Return the page's title."""
    names = [task["name"] for task in tasks_of(about)]
    return f"Does pretraining help on {', '.join(names)}?" if names else "Does pretraining help?"


def about_sentence(about: Mapping[str, Any]) -> str:
    """Return what the numbers are about, for below the tables and above the report."""
    parts = [
        f"{task['name']} ({_count(task.get('test_examples'))} examples, {task.get('test_origin', 'unknown')})"
        for task in tasks_of(about)
    ]
    text = f"Test accuracy on {'; '.join(parts)}" if parts else "Test accuracy"
    pools = [
        f"{pool.get('name')}, {_count(pool.get('examples'))} examples"
        for pool in _objects(about.get("pools"))
    ]
    encoders = [str(encoder.get("architecture")) for encoder in _objects(about.get("encoders"))]
    for word, values in (("pool", pools), ("encoder", encoders)):
        if values:
            text += f"; {word} {'; '.join(dict.fromkeys(values))}"
    return f"{text}. Seconds are pretraining + transfer a seed."


def findings(results: Results) -> list[str]:
    """Return what a reader has to know: leakage, what was left out, failed cells, damaged lines."""
    about = results.about
    missing = _missing(results.records)
    if not any(record["status"] == "failed" for record in results.records):
        missing.append("Every cell that ran came to its end: none failed.")
    notes = [*_strings(about.get("leakage")), *_strings(about.get("notes"))]
    return list(dict.fromkeys([*notes, *missing, *results.warnings]))


def facts(about: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return the rest that decides the numbers: versions, threads, recipes, sizes."""
    found: list[tuple[str, str]] = []
    for task in tasks_of(about):
        found.append((f"data: {task['name']}", str(task.get("source", "unknown"))))
    for pool in _objects(about.get("pools")):
        found.append(("pool", f"{pool.get('name')}, {pool.get('source', 'unknown')}"))
    names = ("started", "labels", "seeds", "encoders", "modes", "pretrain", "budget", "options")
    for name in (*names, "versions", "threads"):
        if about.get(name):
            found.append((name, _plain(about[name])))
    return [*found, ("cells", f"{len(records)}")]


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(
            f"{key}: {_plain(v)}" for key, v in value.items() if v not in (None, {}, "")
        )
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    return str(value)


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
