"""The schema of a table: its columns, and the way from their cells to the numbers that models take.

A table lies in a data set as one float32 matrix x (N, D), a column of the table each:

- numeric and date: (value - centre) / scale, computed in float64: large whole numbers do not collapse;
- boolean: 0 or 1;
- categorical: the index of its level, or K, the number of levels, for a level that was rare or unseen;
- a gap is NaN everywhere.

Models take the *design* of x, float32 (N, E) in [0, 1]: of a number z its squashed value
1/2 + z / (6 sqrt(1 + (z/3)^2)) (Holzmueller et al. 2024, "Better by Default", section 3.1: outliers come no
nearer than 3 to the others), 1/2 for a gap; a 0 or 1 for each level; and a 0 or 1 that marks gaps, where the
pool had any. An unseen level is 0 in all of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

KINDS = ("numeric", "categorical", "boolean", "date")
MAX_COLUMNS, MAX_LEVELS, MAX_NAME = 10_000, 256, 1000
SQUASH = 3.0
VALUE, LEVEL, GAP = 0, 1, 2
"""Roles of a number of the design."""
CHUNK = 8192
SHOWN = 6
FIELDS = {"name", "kind", "center", "scale", "low", "high", "levels", "rare", "gaps"}


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of the pool.

    Attributes:
        name: in the table's first line.
        kind: one of KINDS.
        center, scale: of numbers and dates: median and spread of the pool, the scale above 0.
        low, high: of numbers and dates: the least and the greatest value in the pool.
        levels: of a categorical column, those kept, the most frequent first.
        rare: whether the pool had levels that were not kept.
        gaps: whether the pool had gaps.
    """

    name: str
    kind: str
    center: float = 0.0
    scale: float = 1.0
    low: float = 0.0
    high: float = 0.0
    levels: tuple[str, ...] = ()
    rare: bool = False
    gaps: bool = False

    @property
    def scaled(self) -> bool:
        """Whether x holds scaled numbers."""
        return self.kind in ("numeric", "date")

    @property
    def codes(self) -> tuple[int, ...]:
        """The values of x that have a number of their own in the design; () of numbers and dates."""
        if self.kind == "boolean":
            return (1,)
        return tuple(range(len(self.levels) + self.rare)) if self.kind == "categorical" else ()

    @property
    def width(self) -> int:
        """How many numbers of the design are the column's."""
        return (1 if self.scaled else len(self.codes)) + self.gaps

    @property
    def token(self) -> str:
        """Kind and width for an encoder: "n2" a number and its gap, "c5" one of five, "b1" a 0 or 1."""
        return {"categorical": "c", "boolean": "b"}.get(self.kind, "n") + str(self.width)


@dataclass(frozen=True, kw_only=True)
class Schema:
    """The columns of a pool, sorted by name: their order in a file does not matter.

    Attributes:
        columns: those that are learnt from.
        target: the column to predict, which is none of them; None where none was named.
        ignored: names of columns that are passed over.

    Example:
        >>> age = Column(name="age", kind="numeric", center=40.0, scale=10.0, low=0.0, high=99.0)
        >>> Schema(columns=(age,)).width
        1
    """

    columns: tuple[Column, ...]
    target: str | None = None
    ignored: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """The columns' names, in their order."""
        return [column.name for column in self.columns]

    @property
    def inputs(self) -> list[str]:
        """The names of an exported model's inputs: Keras has no slash in a name, so "_" stands for it."""
        found: list[str] = []
        for name in self.names:
            plain = name.replace("/", "_")
            while plain in found or (plain != name and plain in self.names):
                plain += "_"
            found.append(plain)
        return found

    @property
    def width(self) -> int:
        """E, how many numbers of the design an example has."""
        return sum(column.width for column in self.columns)

    @property
    def tokens(self) -> list[str]:
        """Kind and width of each column, for an encoder."""
        return [column.token for column in self.columns]

    @property
    def widths(self) -> tuple[int, ...]:
        """How many numbers of the design each column has."""
        return tuple(column.width for column in self.columns)

    @cached_property
    def layout(self) -> Layout:
        """The origin of each number of the design."""
        rows = []
        for index, column in enumerate(self.columns):
            if column.scaled:
                rows.append((index, VALUE, 0))
            rows += [(index, LEVEL, code) for code in column.codes]
            rows += [(index, GAP, 0)] if column.gaps else []
        source, role, code = (np.array(part) for part in zip(*rows, strict=True))
        return Layout(source=source.astype(np.int32), role=role, code=code.astype(np.float32))

    def design(self, x: np.ndarray) -> np.ndarray:
        """Return the design, float32 (N, E), of x (N, D)."""
        how = self.layout
        found = np.empty((len(x), self.width), np.float32)
        for start in range(0, len(x), CHUNK):
            part = x[start : start + CHUNK][:, how.source]
            gap = np.isnan(part)
            z = np.where(gap, np.float32(0), part)
            with np.errstate(over="ignore"):
                value = squash(z, np.sqrt)
            level = (part == how.code).astype(np.float32)
            made = np.where(how.role == VALUE, value, np.where(how.role == LEVEL, level, gap))
            found[start : start + CHUNK] = made
        return found

    def raw(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """Return the columns of x (N, D) as a person has them, the inverse of reading.

        Returns:
            By the names ``inputs`` (N, 1): float64 of numbers, truth values and dates (days since
            1970-01-01), NaN for gaps; text of categories, "" for gaps and "(other)" for rare and unseen
            levels.
        """
        found: dict[str, np.ndarray] = {}
        for index, (name, column) in enumerate(zip(self.inputs, self.columns, strict=True)):
            values = x[:, index].astype(np.float64)
            if column.kind != "categorical":
                found[name] = (values * column.scale + column.center)[:, None]
                continue
            texts = np.array([*column.levels, "(other)", ""], dtype=object)
            codes = np.where(np.isnan(values), len(column.levels) + 1, values).astype(np.int64)
            found[name] = texts[codes][:, None]
        return found

    def describe(self) -> str:
        """Return a line about the columns: kinds, names, levels."""
        parts = []
        for kind in KINDS:
            found = [column for column in self.columns if column.kind == kind]
            if found:
                names = [
                    f"{c.name} ({len(c.levels)} levels)" if c.levels else c.name for c in found
                ]
                parts.append(f"{len(found)} {kind} ({_some(names)})")
        gaps = [column.name for column in self.columns if column.gaps]
        line = ", ".join(parts)
        line += f"; gaps in {_some(gaps)}" if gaps else ""
        return line + (f"; not used: {_some(self.ignored)}" if self.ignored else "")

    def to_json(self) -> dict[str, Any]:
        """Return the schema as a weights file and a model hold it."""
        rows = [{**asdict(column), "levels": list(column.levels)} for column in self.columns]
        return {"columns": rows, "target": self.target, "ignored": list(self.ignored)}

    @classmethod
    def from_json(cls, raw: Any) -> Schema:
        """Return the schema that ``to_json`` described, of a file that anyone may have written.

        Raises:
            ValueError: it is none; its text says why.
        """
        if not isinstance(raw, dict) or set(raw) != {"columns", "target", "ignored"}:
            raise ValueError("must hold exactly columns, target and ignored")
        columns, ignored = raw["columns"], raw["ignored"]
        if not isinstance(columns, list) or not 1 <= len(columns) <= MAX_COLUMNS:
            raise ValueError(f"must have 1 to {MAX_COLUMNS} columns")
        if not _names(ignored) or not (raw["target"] is None or _names([raw["target"]])):
            raise ValueError("has a target or an ignored column that is no name")
        schema = cls(
            columns=tuple(_column(row) for row in columns),
            target=raw["target"],
            ignored=tuple(ignored),
        )
        if schema.names != sorted(set(schema.names)):
            raise ValueError("has columns that are not sorted by name, each once")
        return schema


@dataclass(frozen=True, kw_only=True, eq=False)
class Layout:
    """Of each number of the design: the column of x it is made of, its role, and the code of its level.

    All are (E,): int32, integers, float32.
    """

    source: np.ndarray
    role: np.ndarray
    code: np.ndarray = field(repr=False)


def squash(z: Any, root: Any) -> Any:
    """Return numbers z squashed to (0, 1); ``root`` is the square root for arrays of their kind."""
    return z / (2 * SQUASH * root(1.0 + (z / SQUASH) * (z / SQUASH))) + 0.5


def _column(row: Any) -> Column:
    if not isinstance(row, dict) or set(row) != FIELDS:
        raise ValueError(f"has a column that does not hold exactly {', '.join(sorted(FIELDS))}")
    if not _names([row["name"]]) or row["kind"] not in KINDS:
        raise ValueError("has a column without a name or of an unknown kind")
    numbers = [row[key] for key in ("center", "scale", "low", "high")]
    if not all(type(n) in (int, float) and math.isfinite(n) for n in numbers) or row["scale"] <= 0:
        raise ValueError("has a column whose numbers are not finite, or whose scale is not above 0")
    if type(row["rare"]) is not bool or type(row["gaps"]) is not bool:
        raise ValueError("has a column whose 'rare' or 'gaps' is neither true nor false")
    levels = row["levels"]
    if not isinstance(levels, list) or not _names(levels) or len(set(levels)) != len(levels):
        raise ValueError("has a column whose levels are not different texts")
    if len(levels) > MAX_LEVELS or bool(levels or row["rare"]) != (row["kind"] == "categorical"):
        raise ValueError(f"has a column with levels it cannot have, or more than {MAX_LEVELS}")
    return Column(**{**row, "levels": tuple(levels)})


def _names(values: Any) -> bool:
    """Whether it is a list of texts that can be names of columns or levels."""
    return isinstance(values, list) and all(
        isinstance(value, str) and 0 < len(value) <= MAX_NAME for value in values
    )


def _some(names: Sequence[str] | Iterable[str]) -> str:
    shown = list(names)
    more = len(shown) - SHOWN
    return ", ".join(shown[:SHOWN]) + (f" and {more} more" if more > 0 else "")


Raw = Mapping[str, np.ndarray]
"""Raw columns by name, as ``Schema.raw`` returns them."""
