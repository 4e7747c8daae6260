"""Running benchmarks: what is to be decided first, then every cell that has no result yet."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.grid import Cell
from benchmark.planning.budget import MeasureUnit
from benchmark.planning.plan import Benchmark
from benchmark.store import RESULTS, about, write_about
from benchmark.work.cell import cell_path
from benchmark.work.queue import Unit
from headstart.errors import HeadstartError, InputError, Interrupted
from headstart.files import read_json, write_text

if TYPE_CHECKING:
    from benchmark.runner.in_process import Engine
    from benchmark.runner.progress import Show

Record = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Every cell's record in the grid's order, and what was noticed on the way."""

    records: list[Record]
    rows: list[str]
    notes: list[str]


def drive(
    benches: Sequence[Benchmark], engine: Engine, show: Show, *, force: bool = False
) -> Outcome:
    """Run what is not done yet. A failed cell is recorded with its reason and is never dropped.

    benches: of one folder. Raises Interrupted on Ctrl-C: finished cells are kept, and the same
    command goes on; InputError when another benchmark is running in the folder.
    """
    from filelock import FileLock, Timeout

    folder = benches[0].folder
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".running.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise InputError(
            f"Another benchmark is running in {folder}. Wait for it, or give another --out."
        ) from None
    try:
        for bench in benches:
            engine.lend(bench.source, bench.loaded)
        return _drive(benches, engine, show, folder, force)
    except Interrupted:
        raise Interrupted(
            f"Interrupted. The finished cells are kept in {folder}: run the same command again to "
            f"go on."
        ) from None
    finally:
        engine.close()
        show.close()
        lock.release()


def _drive(
    benches: Sequence[Benchmark], engine: Engine, show: Show, folder: Path, force: bool
) -> Outcome:
    pending = [
        (bench, cell)
        for bench in benches
        for cell in bench.cells
        if force or bench.pretraining.undecided() or finished(bench, cell) is None
    ]
    _prepare(pending, benches, engine, show)
    noted = [
        note
        for bench in benches
        for note in (*bench.notes, *bench.loaded.warned, *bench.budget_notes())
    ]
    notes = list(dict.fromkeys(noted))
    results = Results(benches, folder, keep=not force)
    # Before the cells: the report of an interrupted run can be drawn too.
    write_about(folder, about(benches, notes))
    kept = sum(record["status"] == "done" for record in results.records())
    if kept:
        show.say(f"{kept} of {results.size} cells are done already in {folder}.")
    units: list[Unit] = []
    for bench in benches:
        units += bench.units([cell for cell in bench.cells if results.lacks(bench, cell)])
    show.plan(units, done=results.records(), total=results.size, workers=engine.size)
    for unit, outcome in engine.run(units, show.heard):
        if unit.is_cell:
            results.add(unit, outcome)
            show.done(results.size - results.missing, results.size, outcome)
        show.over(unit, outcome)
    results.write()
    records = results.records()
    rows = list(dict.fromkeys(record["row"] for record in records))
    return Outcome(records=records, rows=rows, notes=notes)


def _prepare(
    pending: Sequence[tuple[Benchmark, Cell]],
    benches: Sequence[Benchmark],
    engine: Engine,
    show: Show,
) -> None:
    """Look at random views and decide how long each strategy is trained. Raises InputError."""
    owners: dict[str, Benchmark] = {}
    units: list[Unit] = []
    for bench in benches:
        for unit in bench.preparations([cell for owner, cell in pending if owner is bench]):
            if unit.key not in owners:
                owners[unit.key] = bench
                units.append(unit)
    for unit, outcome in engine.run(units, show.heard):
        show.over(unit, outcome)
        if outcome["status"] != "done":
            kind = InputError if outcome.get("error") == "InputError" else HeadstartError
            raise kind(outcome["reason"])
        if outcome["plan"] is not None:
            assert isinstance(unit.config, MeasureUnit)
            key = unit.key.split()[1]
            owners[unit.key].pretraining.decide(key, unit.config, outcome["plan"])
            for bench in benches:
                bench.pretraining.reread()


def finished(bench: Benchmark, cell: Cell) -> Record | None:
    """Return the record that an earlier run left of the cell, if it is whole and done."""
    identity = bench.identity(cell)
    record = read_json(cell_path(bench.folder, identity))
    if record is None or record.get("status") != "done" or record.get("id") != identity:
        return None
    return {**record, **bench.record_fields(cell)}


class Results:
    """The records of the grid: one file a cell as they come, and all together in results.jsonl."""

    def __init__(self, benches: Sequence[Benchmark], folder: Path, *, keep: bool) -> None:
        """keep: take over what earlier runs left."""
        self.path, self._folder = folder / RESULTS, folder
        self._records: dict[str, Record | None] = {}
        self._fields: dict[str, Record] = {}
        for bench in benches:
            for cell in bench.cells:
                identity, fields = bench.identity(cell), bench.record_fields(cell)
                record = finished(bench, cell) if keep else None
                if cell.labels in bench.skipped:
                    reason = bench.skipped[cell.labels]
                    record = {"id": identity, **fields, "status": "skipped", "reason": reason}
                self._records[identity], self._fields[identity] = record, fields
        self._ids = {id(bench): {c: bench.identity(c) for c in bench.cells} for bench in benches}
        self.write()

    @property
    def size(self) -> int:
        """How many cells the grid has."""
        return len(self._records)

    @property
    def missing(self) -> int:
        """How many have no record yet."""
        return sum(record is None for record in self._records.values())

    def lacks(self, bench: Benchmark, cell: Cell) -> bool:
        """Whether the cell has no record yet."""
        return self._records[self._ids[id(bench)][cell]] is None

    def add(self, unit: Unit, outcome: Record) -> None:
        """Take a record, see that its file has all of it, and write results.jsonl anew."""
        record = {**outcome, **self._fields[outcome["id"]]}
        path = cell_path(self._folder, record["id"])
        # A worker elsewhere may have written to a disk of its own.
        if read_json(path) != record:
            write_text(path, json.dumps(record) + "\n")
        self._records[record["id"]] = record
        self.write()

    def records(self) -> list[Record]:
        """Return those that are there, in the grid's order."""
        return [record for record in self._records.values() if record is not None]

    def write(self) -> None:
        """Write results.jsonl."""
        write_text(self.path, "".join(json.dumps(record) + "\n" for record in self.records()))
