"""The folder of a benchmark: the names and formats of its files, written, read and validated."""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from headstart.errors import HeadstartError, InputError
from headstart.files import atomic_write, check_output, read_json, write_text
from tasks.dataset import Dataset
from tasks.tables.schema import Schema
from tasks.task import TargetTask

ABOUT, RESULTS, BUDGETS = "benchmark.json", "results.jsonl", "budgets.json"
KINDS = ("raw", "fresh", "strategy")
WORDS = ("task", "base", "encoder", "mode")
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
RUN = re.compile(r"^(?P<strategy>.+)-(?P<encoder>[^-]+)-seed(?P<seed>\d+)-[0-9a-f]{8}$")
"""The name of a pretraining's files, without what follows it."""

Record = dict[str, Any]
"""One cell's line of results.jsonl."""


@dataclass(frozen=True, kw_only=True)
class Results:
    """The contents of a folder.

    records: one a cell, in the file's order.
    about: ``benchmark.json``, or {} where there is none.
    warnings: a sentence for each thing that could not be read.
    """

    folder: BenchmarkFolder
    records: list[Record]
    about: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class BenchmarkFolder:
    """A benchmark's folder.

    benchmark.json (what it is about), results.jsonl (a record a cell), budgets.json (the epochs that a budget
    became), cells/ID.json (a record as its cell ends), weights/RUN.h5 (beside each its cost, curves and
    pictures), data/NAME.npz (data that were given as arrays, for other processes), best.keras.
    Every file is written whole or not at all.
    """

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def check(self) -> None:
        """Refuse a folder that cannot be written to. Raises InputError."""
        if self.path.exists() and not self.path.is_dir():
            raise InputError("must be a folder", argument="out", value=self.path)
        check_output(self.path / RESULTS, force=True)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other benchmarks out of the folder. Raises InputError when one is running in it."""
        from filelock import FileLock, Timeout

        self.path.mkdir(parents=True, exist_ok=True)
        try:
            held = FileLock(self.path / ".running.lock").acquire(timeout=0)
        except Timeout:
            raise InputError(
                f"Another benchmark is running in {self}.",
                hint="Wait for it, or choose another folder.",
            ) from None
        with held:
            yield

    # Records.

    def _cell(self, identity: str) -> Path:
        return self.path / "cells" / f"{identity}.json"

    def write_cell(self, record: Record) -> None:
        """Write a cell's record to a file of its own, unless it is there already."""
        if read_json(self._cell(record["id"])) != record:
            write_text(self._cell(record["id"]), json.dumps(record) + "\n")

    def finished_cell(self, identity: str) -> Record | None:
        """Return the record that an earlier run left of a cell, if it is whole and done."""
        record = read_json(self._cell(identity)) or {}
        whole = record.get("status") == "done" and record.get("id") == identity
        return record if whole else None

    def cell_records(self) -> Iterator[Record]:
        """Yield the records of all cells that ran in this folder, of whatever grid."""
        for path in (self.path / "cells").glob("*.json"):
            record = read_json(path)
            if record is not None and "status" in record and "seconds" in record:
                yield record

    def write_results(self, records: Sequence[Record]) -> None:
        """Write ``results.jsonl``."""
        write_text(self.path / RESULTS, "".join(json.dumps(record) + "\n" for record in records))

    def write_about(self, about: Mapping[str, Any]) -> None:
        """Write ``benchmark.json``."""
        write_text(self.path / ABOUT, json.dumps(about, indent=1, default=asdict) + "\n")

    def about(self) -> dict[str, Any]:
        """Return ``benchmark.json`` of an earlier run; {} where there is none that can be read."""
        return _read_about(self.path / ABOUT)[0]

    def write_notes(self, notes: Sequence[str]) -> None:
        """Replace the notes in ``benchmark.json``."""
        about = json.loads((self.path / ABOUT).read_text(encoding="utf-8"))
        self.write_about({**about, "notes": list(notes)})

    def read(self) -> Results:
        """Read records and ``benchmark.json``.

        Damaged lines are left out, with a warning. Of several records of one cell, as in files that were put
        together by hand, the first is taken.

        Raises:
            InputError: this is no folder of a benchmark, or it has no whole record.
        """
        if not self.path.is_dir():
            raise InputError(
                f"{self} is not a folder.",
                hint="Give the folder that a benchmark wrote its results to.",
            )
        path = self.path / RESULTS
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            raise InputError(
                f"{self} holds no benchmark: there is no {RESULTS} in it.",
                hint="Run a benchmark there first, or give the folder of one that was run.",
            ) from None
        except OSError as error:
            raise InputError(
                f"{path} cannot be read: {(error.strerror or str(error)).lower()}."
            ) from None
        about, warnings = _read_about(self.path / ABOUT)
        records: list[Record] = []
        damaged: list[int] = []
        for number, line in enumerate(lines, start=1):
            record = _record(line)
            if record is not None:
                records.append(record)
            elif line.strip():
                damaged.append(number)
        if damaged:
            which = ", ".join(map(str, damaged[:10])) + (", ..." if len(damaged) > 10 else "")
            lines_ = "line" if len(damaged) == 1 else "lines"
            warnings.append(
                f"{len(damaged)} damaged {lines_} of {RESULTS} could not be used (number {which}): those "
                f"cells are missing here, and running the benchmark again makes them anew."
            )
        if not records:
            raise InputError(
                f"{path} holds no result that can be read.", hint="Run the benchmark again."
            )
        first: dict[str, Record] = {}
        for record in records:
            first.setdefault(json.dumps([record.get(name) for name in CELL]), record)
        return Results(folder=self, records=[*first.values()], about=about, warnings=warnings)

    # Pretrainings.

    def weights(self, run: str) -> Path:
        """Return the weights file of a pretraining."""
        return self.path / "weights" / f"{run}.h5"

    @contextlib.contextmanager
    def locked_weights(self, run: str) -> Iterator[Path]:
        """Keep other processes from making the same weights file, and yield its path."""
        from filelock import FileLock

        path = self.weights(run)
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            yield path

    def write_cost(self, run: str, cost: Mapping[str, Any]) -> None:
        """Write what a pretraining took: seconds, cpu_seconds, updates, resumed."""
        write_text(self.weights(run).with_suffix(".cost.json"), json.dumps(cost) + "\n")

    def cost(self, run: str) -> dict[str, Any]:
        """Return what a pretraining took; {} where it is not known."""
        return read_json(self.weights(run).with_suffix(".cost.json")) or {}

    def mean_costs(self) -> dict[tuple[str, str], float]:
        """Return the mean seconds of the uninterrupted pretrainings, by strategy and encoder."""
        found: dict[tuple[str, str], list[float]] = defaultdict(list)
        for path in (self.path / "weights").glob("*.cost.json"):
            cost, name = read_json(path), RUN.match(path.name.removesuffix(".cost.json"))
            if name and cost and cost.get("seconds") and not cost.get("resumed"):
                found[name["strategy"], name["encoder"]].append(cost["seconds"])
        return {key: sum(values) / len(values) for key, values in found.items()}

    def run_files(self, ending: str) -> Iterator[tuple[re.Match[str], str, Path]]:
        """Yield (parts of the run's name, the rest of the file's name, path) of what lies beside weights."""
        for path in sorted((self.path / "weights").glob(f"**/*{ending}")):
            if any(part.endswith(".checkpoints") for part in path.parts):
                continue
            stem, _, rest = path.stem.partition(".")
            run = RUN.match(stem)
            if run is None:  # in a folder of the run's name
                run, rest = RUN.match(path.parent.name), path.stem
            if run is not None:
                yield run, rest, path

    def budgets(self) -> dict[str, Any]:
        """Return the decided epochs, by key. Raises InputError when the file is damaged."""
        path = self.path / BUDGETS
        try:
            return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        except ValueError:
            raise InputError(
                f"{path} is not JSON. It holds how long each strategy is trained.",
                hint="Bring it back, or delete it to have that measured anew (all pretraining is then done "
                "again).",
            ) from None

    def add_budget(self, key: str, entry: Mapping[str, Any]) -> None:
        """Write a decision to those that are there."""
        known = {**self.budgets(), key: dict(entry)}
        write_text(self.path / BUDGETS, json.dumps(known, indent=1) + "\n")

    def best(self, number: int, count: int) -> Path:
        """Return the file of the best network of the ``number``-th data set of ``count``."""
        return self.path / ("best.keras" if count == 1 else f"best-{number}.keras")

    # Data.

    def data_file(self, name: str) -> Path:
        """Return the file that hands data to other processes."""
        return self.path / "data" / f"{name}.npz"


def write_data(path: Path, task: TargetTask, pool: Dataset) -> None:
    """Write a task and its pool to one file."""
    arrays: dict[str, Any] = {}
    about: dict[str, Any] = {}
    for part, whole in (("task", task), ("pool", pool)):
        given = {row.name: getattr(whole, row.name) for row in fields(whole)}
        arrays |= {f"{part}.{k}": v for k, v in given.items() if isinstance(v, np.ndarray)}
        about[part] = {k: v for k, v in given.items() if not isinstance(v, np.ndarray)}
        about[part]["schema"] = whole.schema and whole.schema.to_json()

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez(file, about=np.array(json.dumps(about)), **arrays)

    atomic_write(path, write)


def read_data(path: Path) -> tuple[TargetTask, Dataset]:
    """Read what ``write_data`` wrote. Raises HeadstartError."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            about = json.loads(str(arrays["about"]))
            for key in arrays.files:
                part, dot, name = key.partition(".")
                if dot:
                    about[part][name] = arrays[key]
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise HeadstartError(
            f"{path}, which hands data from one process to others, cannot be read: {error}.",
            hint="Give all machines the benchmark's folder on a disk that they share.",
        ) from None
    for values in about.values():
        for name in ("class_names", "value_range", "files", "notes"):
            values[name] = None if values[name] is None else tuple(values[name])
        schema = values["schema"]
        values["schema"] = None if schema is None else Schema.from_json(schema)
    return TargetTask(**about["task"]), Dataset(**about["pool"])


def _record(line: str) -> Record | None:
    """Return the line's record, or None when it lacks what every record has."""
    try:
        record = json.loads(line)
        texts = [record["row"]]
        texts += [record[n] for n in WORDS if record.get(n) is not None]
        numbers = [record[n] for n in NUMBERS if record.get(n) is not None]
        whole = (
            all(isinstance(text, str) for text in texts)
            and record["kind"] in KINDS
            and record["status"] in STATUSES
            and all(type(record[name]) is int for name in ("labels", "seed"))
            and record["labels"] > 0
        )
        if record["status"] == "done":
            numbers += [record["accuracy"], record["seconds"]]
            whole = whole and 0 <= record["accuracy"] <= 1 and _matrix(record.get("confusion"))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return record if whole and all(map(_number, numbers)) else None


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
        reason = "it is not a JSON object"
    except FileNotFoundError:
        reason = "it is not there"
    except (OSError, ValueError, RecursionError):
        reason = "it cannot be read"
    return {}, [
        f"{path.name} was not used, for {reason}: names, versions and the command are missing."
    ]
