"""From a table to a Dataset: the columns by their schema, the target, and warnings about both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from headstart.errors import InputError, arg, require, suggest
from headstart.options import ReadOptions
from tasks.arrays import to_array
from tasks.dataset import Dataset
from tasks.tables.cells import Cells, read_cells
from tasks.tables.encode import encode
from tasks.tables.infer import IGNORE, check_columns, infer
from tasks.tables.read import Frame, from_frame, read_file
from tasks.tables.schema import Schema
from tasks.targets import to_targets

# Whole numbers of more different values than these are numbers to predict, not classes.
MAX_CLASSES = 20
# As many rows must agree before a column is said to equal the target.
LEAST_ROWS = 10
SAME = 0.9999
ROWS = ("labelled", "all")


@dataclass(frozen=True, kw_only=True)
class TableReading:
    """How a table becomes a data set.

    Attributes:
        target, column, ignore, delimiter: as in ``headstart.options.ReadOptions``.
        rows: "labelled", those that have the target, with y; or "all", without y unless all have it.
        like: the schema of a pretraining, by which the columns are read; None: the table's own.
        needs_target: whether it is an error that ``like`` has a target and the table has not.
    """

    target: str | None = None
    column: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    delimiter: str | None = None
    rows: str = "labelled"
    like: Schema | None = None
    needs_target: bool = False

    @classmethod
    def of(cls, options: ReadOptions, **how: Any) -> TableReading:
        """Return the reading that options ask for; ``how`` are the other attributes."""
        names = ("target", "column", "ignore", "delimiter")
        return cls(**{name: getattr(options, name) for name in names}, **how)

    @property
    def kinds(self) -> dict[str, str]:
        """The kinds of columns that were given, by name. Raises InputError."""
        found = {}
        for text in self.column:
            name, sign, kind = text.rpartition("=")
            if not sign or not name:
                raise InputError("must be NAME=KIND", argument="column", value=text)
            found[name] = kind
        return found

    @property
    def asks(self) -> bool:
        """Whether anything was asked for that only a table has."""
        return bool(self.target or self.column or self.ignore or self.delimiter)


def load_table(path: Path, how: TableReading) -> Dataset:
    """Load a .csv, .tsv or .parquet file. Raises InputError, with the line or the column."""
    return table_dataset(read_file(path, how.delimiter), how, source=f"table {path.name}")


def frame_dataset(parts: tuple[Any, ...], how: TableReading, argument: str = "data") -> Dataset:
    """Return a DataFrame of pandas or polars as a data set.

    Args:
        parts: the frame; or with targets that are none of its columns (x, y) or (x, y, x_test, y_test).
        how: how it is read.
        argument: the name of the argument, for errors.

    Raises:
        InputError: the frame, a target or an option cannot be used.
    """
    rule = f"must be x, (x, y) or (x, y, x_test, y_test), and is a tuple of {len(parts)}"
    require(len(parts) in (1, 2, 4), argument, rule)
    source = "a DataFrame in memory"
    if len(parts) == 1:
        return table_dataset(from_frame(parts[0]), how, source=source)
    require(not how.target, "target", "must be left out where y is given", value=how.target)
    how = replace(how, rows="all", needs_target=False)
    first = table_dataset(from_frame(parts[0]), how, source=source)
    tested = y_test = None
    if len(parts) == 4:
        again = replace(how, like=first.schema, column=(), ignore=())
        tested = table_dataset(from_frame(parts[2]), again, source=source).x
        y_test = to_array(parts[3], "y_test")
    count = 0 if tested is None else len(tested)
    y, y_test, names = to_targets(to_array(parts[1], "y"), y_test, len(first.x), count)
    return replace(first, y=y, class_names=names, x_test=tested, y_test=y_test)


def table_dataset(frame: Frame, how: TableReading, *, source: str) -> Dataset:
    """Return a table as a data set, whose notes say what a person should know about it.

    Raises:
        InputError: a column, the target or an option cannot be used.
    """
    like, given, columns = how.like, how.kinds, frame.columns
    ignored = [*how.ignore, *(name for name, kind in given.items() if kind == IGNORE)]
    target = _target_name(frame, how)
    if like is None:
        check_columns(columns, given, how.ignore, target)
        if target is not None and target in ignored:
            raise InputError("must not be ignored", argument="target", value=target)
        kinds = given
    else:
        ignored = [name for name in columns if name not in like.names]
        kinds = given | {column.name: column.kind for column in like.columns}

    def cells(name: str) -> Cells:
        text = kinds.get(name) == "categorical"
        return read_cells(frame.data[name], name, frame.where, as_text=text)

    labels = None if target is None else _Labels.read(cells(target), target, given.get(target))
    table = {name: cells(name) for name in columns if name != target and name not in ignored}
    notes: list[str] = []
    if like is None:
        schema, notes = infer(table, given, ignored, target)
        x, _ = encode(table, schema, compare=False)
    else:
        schema = replace(like, target=target or like.target)
        known = {*like.names, *like.ignored, like.target, target}
        others = [name for name in columns if name not in known]
        x, notes = encode(table, schema, others=others)
        if others:
            names_ = ", ".join(map(repr, others[:6]))
            notes.append(f"Warning: the pretraining had no columns {names_}: they are not used")
    y = names = None
    if labels is not None:
        there = labels.there
        if how.rows == "labelled" or (there.all() and labels.differ):
            if not there.any():
                rule = f"Column {target!r}, the target, is empty: no row is labelled."
                raise InputError(rule, hint=f"Leave {arg.target} out to use the rows unlabelled.")
            x = x[there]
            y, names = labels.targets(there, frame.name)
            notes += _leaks(table, labels, schema)
        without = int((~there).sum())
        if without:
            rest = "are left out" if how.rows == "labelled" else "count as unlabelled, as all do"
            notes.append(f"{without:,} rows without {target!r} {rest}")
    return Dataset(
        name=frame.name,
        x=x,
        y=y,
        class_names=names,
        value_range=(0.0, 1.0),
        source=source,
        kind="vectors",
        schema=schema,
        notes=tuple(notes),
    )


def _target_name(frame: Frame, how: TableReading) -> str | None:
    """Return the column to predict, or None. Raises InputError."""
    like, target, columns = how.like, how.target, frame.columns
    if like is None:
        return target
    if target is None and like.target in columns:
        return like.target
    if target is None and how.needs_target:
        if like.target is None:
            raise InputError(
                "is missing: the pretraining was given none",
                argument="target",
                hint=f"Columns that it did not learn from: {_others(columns, like)}.",
            )
        rule = f"must be given: the table has no column {like.target!r}, the pretraining's target"
        hint = suggest(like.target, columns).strip()
        raise InputError(rule, argument="target", hint=hint)
    if target is not None and target not in columns:
        hint = f"{suggest(target, columns)} Columns: {', '.join(columns[:20])}."
        rule = "must name a column of the table"
        raise InputError(rule, argument="target", value=target, hint=hint.strip())
    if target in like.names:
        raise InputError(
            "must not be a column that the pretraining learnt from: the answer would be among the inputs",
            argument="target",
            value=target,
            hint=f"Pretrain again with {arg.target:{target}}, or with {arg.ignore:{target}}.",
        )
    return target


def _others(columns: list[str], like: Schema) -> str:
    return ", ".join(name for name in columns if name not in like.names) or "none"


@dataclass(frozen=True, kw_only=True, eq=False)
class _Labels:
    """The column to predict.

    Attributes:
        name: of the column.
        cells: all of them.
        numbers: whether they are numbers to predict, not classes.
    """

    name: str
    cells: Cells
    numbers: bool

    @classmethod
    def read(cls, cells: Cells, name: str, kind: str | None) -> _Labels:
        if cells.kind == "date" or kind == "date":
            raise InputError("must not be a date", argument="target", value=name)
        if kind == "numeric" and cells.kind != "number":
            rule = f"must fit the column, and {name!r} holds text"
            raise InputError(rule, argument="column", value=f"{name}=numeric")
        numbers = kind == "numeric"
        if kind is None and cells.kind == "number":
            values = cells.numbers[cells.there]
            broken = bool((values != np.trunc(values)).any())
            numbers = broken or cells.different() > MAX_CLASSES
        return cls(name=name, cells=cells, numbers=numbers)

    @property
    def differ(self) -> bool:
        """Whether there are two different values of it."""
        known = self.cells.data[self.there]
        return bool(len(known) and known.min() < known.max())

    @property
    def there(self) -> np.ndarray:
        """Bool (N,): which rows have it."""
        return self.cells.there

    def targets(self, rows: np.ndarray, owner: str) -> tuple[np.ndarray, tuple[str, ...] | None]:
        """Return y and the names of classes of some rows. Raises InputError where all are equal."""
        cells = self.cells.take(rows)
        if not self.differ:
            raise InputError(
                f"Column {self.name!r}, the target, is {cells.first!r} in every labelled row "
                f"of {owner}: there is nothing to learn."
            )
        if self.numbers:
            y, _, names = to_targets(cells.numbers, None, len(cells.data), 0, kind="numbers")
            return y, names
        if cells.kind == "number":
            values = cells.numbers
            whole = bool((values == np.trunc(values)).all()) and np.abs(values).max() < 2**53
            if whole:
                y, _, names = to_targets(values.astype(np.int64), None, len(values), 0)
                return y, names
        codes, levels = cells.factored()
        texts = np.array(levels)[codes]
        y, _, names = to_targets(texts, None, len(texts), 0)
        return y, names


def _leaks(table: Mapping[str, Cells], labels: _Labels, schema: Schema) -> list[str]:
    """Return warnings about columns from which the target can be read off, by the labelled rows."""
    rows = labels.there
    mine = labels.cells.take(rows)
    if len(mine.data) < LEAST_ROWS:
        return []
    notes = []
    for column in schema.columns:
        other = table[column.name].take(rows)
        if labels.numbers:
            same = column.scaled and _correlated(mine.numbers, other.numbers)
        else:
            same = _one_to_one(mine.factored()[0], other.factored()[0])
        if same:
            notes.append(
                f"Warning: column {column.name!r} says what {labels.name!r} is, row for row: if it is not "
                f"known when you predict, leave it out with {format(arg.ignore, column.name)}"
            )
    return notes


def _correlated(one: np.ndarray, other: np.ndarray) -> bool:
    if np.isnan(other).any() or other.min() == other.max():
        return False
    return bool(abs(np.corrcoef(one, other)[0, 1]) > SAME)


def _one_to_one(one: np.ndarray, other: np.ndarray) -> bool:
    pairs = len(np.unique(np.stack([one, other]), axis=1).T)
    return pairs == len(np.unique(one)) == len(np.unique(other))
