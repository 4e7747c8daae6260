"""The files of a benchmark's folder: ``benchmark.json`` and ``results.jsonl``, written and read."""

from __future__ import annotations

import json
import math
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.errors import InputError
from headstart.files import write_text
from pretrain.config import pretrain_recipe

if TYPE_CHECKING:
    from benchmark.planning.plan import Benchmark
    from tasks.task import TargetTask

ABOUT = "benchmark.json"


def command_line() -> str | None:
    """Return the command that this process is, as one would type it; None in a program of one's own."""
    import click

    if click.get_current_context(silent=True) is None:
        return None
    return shlex.join(["benchmark", *sys.argv[1:]])


def about(benches: Sequence[Benchmark], notes: Sequence[str]) -> dict[str, Any]:
    """Return JSON: command, time, tasks, pools, encoders, modes, versions and what was noticed.

    benches: of one command. notes: what was noticed, a sentence each.
    """
    config = benches[0].config
    fields = dict(config.pretrain_fields)
    # Several data sets may have encoders of their own: "auto" looks at the data.
    encoders = [source.encoder for bench in benches for source in bench.pretraining.fresh.values()]
    return {
        "format": "headstart-benchmark",
        "version": 1,
        "command": command_line(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "tasks": [task_json(bench.task) for bench in benches],
        "pools": [
            {
                "name": bench.pool.name,
                "examples": len(bench.pool.x),
                "source": bench.pool.source,
            }
            for bench in benches
        ],
        "encoders": [e for i, e in enumerate(encoders) if e not in encoders[:i]],
        "strategies": list(dict.fromkeys(name for bench in benches for name in bench.strategies)),
        "labels": list(config.labels),
        "seeds": list(config.seeds),
        "modes": {name: asdict(mode) for name, mode in benches[0].modes.items()},
        "pretrain": {**pretrain_recipe(fields.pop("recipe", "default")).fields, **fields},
        "budget": None if config.budget is None else asdict(config.budget),
        "options": {name: dict(given) for name, given in config.options.items()},
        **benches[0].settings,
        "leakage": [bench.loaded.leakage for bench in benches],
        "notes": list(notes),
    }


def task_json(task: TargetTask) -> dict[str, Any]:
    """Return what a report says of a task."""
    return {
        "name": task.name,
        "source": task.source,
        "class_names": list(task.class_names),
        "training_examples": len(task.x),
        "test_examples": len(task.x_test),
        "test_origin": task.test_origin,
    }


def write_about(folder: Path, content: Mapping[str, Any]) -> None:
    """Write ``benchmark.json``."""
    write_text(folder / ABOUT, json.dumps(content, indent=1, default=asdict) + "\n")


def write_notes(folder: Path, notes: Sequence[str]) -> None:
    """Replace the notes in ``benchmark.json``."""
    content = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    write_about(folder, {**content, "notes": list(notes)})


RESULTS = "results.jsonl"
KINDS = ("raw", "fresh", "strategy")
STATUSES = ("done", "failed", "skipped")
NUMBERS = (
    "seconds",
    "transfer_seconds",
    "pretrain_seconds",
    "cpu_seconds",
    "pretrain_cpu_seconds",
    "loss",
    "macro_f1",
    "balanced_accuracy",
)
CELL = ("task", "base", "row", "encoder", "mode", "labels", "seed")


@dataclass(frozen=True, kw_only=True)
class Results:
    """What a folder holds.

    records: one a cell, in the file's order.
    about: ``benchmark.json``, or {} where there is none.
    warnings: what could not be read, a sentence each.
    """

    folder: Path
    records: list[dict[str, Any]]
    about: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def read_results(folder: Path) -> Results:
    """Read a benchmark's folder.

    Lines that are damaged are left out and told of. Of several records of one cell, as in files that were
    put together by hand, the first is taken.

    Raises InputError when the folder is none, or has no whole record.
    """
    if not folder.is_dir():
        raise InputError(
            f"{folder} is not a folder. Give the folder that `benchmark --out` wrote its results to."
        )
    path = folder / RESULTS
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        raise InputError(
            f"{folder} holds no benchmark: there is no {RESULTS} in it. Run `benchmark --out {folder}` "
            f"first, or give the folder of one that was run."
        ) from None
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {(error.strerror or str(error)).lower()}."
        ) from None
    about, warnings = _read_about(folder / ABOUT)
    records, damaged = [], []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        record = _record(line)
        if record is None:
            damaged.append(number)
        else:
            records.append(record)
    if damaged:
        which = ", ".join(map(str, damaged[:10])) + (", ..." if len(damaged) > 10 else "")
        lines_ = "line" if len(damaged) == 1 else "lines"
        warnings.append(
            f"{len(damaged)} damaged {lines_} of {RESULTS} could not be used (number {which}): those cells "
            f"are missing here, and running the benchmark again makes them anew."
        )
    if not records:
        raise InputError(f"{path} holds no result that can be read. Run the benchmark again.")
    return Results(folder=folder, records=_each_once(records), about=about, warnings=warnings)


def _record(line: str) -> dict[str, Any] | None:
    """Return the line's record, or None when it lacks what every record has."""
    try:
        record = json.loads(line)
        whole = (
            isinstance(record["row"], str)
            and all(
                record.get(name) is None or isinstance(record[name], str)
                for name in ("task", "base", "encoder", "mode")
            )
            and record["kind"] in KINDS
            and record["status"] in STATUSES
            and all(type(record[name]) is int for name in ("labels", "seed"))
            and record["labels"] > 0
            and all(record.get(name) is None or _number(record[name]) for name in NUMBERS)
        )
        if record["status"] == "done":
            whole = whole and _number(record["accuracy"]) and 0 <= record["accuracy"] <= 1
            whole = whole and _number(record["seconds"]) and _matrix(record.get("confusion"))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return record if whole else None


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _matrix(value: Any) -> bool:
    """Whether it is absent or a square matrix of counts."""
    return value is None or (
        isinstance(value, list)
        and len(value) > 0
        and all(isinstance(row, list) and len(row) == len(value) for row in value)
        and all(_number(count) and count >= 0 for row in value for count in row)
        and sum(map(sum, value)) > 0
    )


def _read_about(path: Path) -> tuple[dict[str, Any], list[str]]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(found, dict):
            return found, []
        reason = "it is no JSON object"
    except FileNotFoundError:
        reason = "it is not there"
    except (OSError, ValueError, RecursionError):
        reason = "it cannot be read"
    return {}, [
        f"{path.name} was not used, for {reason}: names, versions and the command are missing."
    ]


def _each_once(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for record in records:
        found.setdefault(tuple(json.dumps(record.get(name)) for name in CELL), record)
    return list(found.values())
