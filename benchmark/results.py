"""Reading a benchmark's folder back: its records and what it is about. Imports nothing heavy."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmark.about import ABOUT
from headstart.errors import InputError

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
