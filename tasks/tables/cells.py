"""The cells of a column in one form, whichever type they were saved in.

Whole numbers, floats, booleans and numbers as text that mean the same value become the same float64; dates
become days since 1970-01-01; all else is text. So a table means the same as int, float, bool, text, CSV and
Parquet.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from headstart.errors import InputError, arg
from tasks.tables.packages import needed

GAPS = (
    "", "?", "NA", "N/A", "n/a", "NaN", "nan", "-NaN", "-nan", "null", "NULL", "None", "<NA>",
    "#N/A", "#NA", "#N/A N/A", "-1.#IND", "1.#QNAN", "-1.#QNAN", "1.#IND",
)  # fmt: skip
"""Cells that stand for a missing value."""
DAY = 86_400.0
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
DECIMAL_COMMA = re.compile(r"[+-]?\d{1,3}(\.\d{3})*,\d+|[+-]?\d+,\d+")
DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:?\d{2})?)?")
TRUTH = {"true": 1.0, "false": 0.0}
# From this part on, a column of numbers and text is taken for one of numbers with mistakes in it.
MOSTLY = 0.5
Where = Callable[[int], str]
"""From the place of a row, from 0, to words for it: "line 17"."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Cells:
    """A column's cells.

    Attributes:
        kind: "number", "date" or "text".
        data: of numbers and dates (days since 1970) float64 (N,), NaN for gaps; of text int64 (N,), the place
            of each cell's text in ``levels``, -1 for a gap.
        levels: the different texts, rising; () of numbers and dates.
    """

    kind: str
    data: np.ndarray
    levels: Sequence[str] = ()

    @property
    def there(self) -> np.ndarray:
        """Bool (N,): which cells are no gaps."""
        return self.data >= 0 if self.kind == "text" else ~np.isnan(self.data)

    @property
    def numbers(self) -> np.ndarray:
        """The cells as float64 (N,), NaN for gaps; of numbers and dates only."""
        return self.data

    def factored(self) -> tuple[np.ndarray, list[str]]:
        """Return the place of each cell's value, int64 (N,), -1 for a gap; and the values as text.

        The text of 3.0 is "3".
        """
        if self.kind == "text":
            return self.data, list(self.levels)
        there = self.there
        codes = np.full(len(self.data), -1, np.int64)
        values, codes[there] = np.unique(self.data[there], return_inverse=True)
        return codes, [number_text(float(value)) for value in values]

    @property
    def first(self) -> str:
        """The first cell that is no gap, as text, shortened for a message; "" where all are gaps."""
        there = np.flatnonzero(self.there)
        if not len(there):
            return ""
        value = self.data[there[0]]
        return self.levels[value][:40] if self.kind == "text" else number_text(float(value))

    def different(self) -> int:
        """Return the number of different values."""
        return len(np.unique(self.data[self.there]))

    def take(self, rows: np.ndarray) -> Cells:
        """Return the cells of some rows."""
        return Cells(kind=self.kind, data=self.data[rows], levels=self.levels)


def number_text(value: float) -> str:
    """Return the one text of a number: "3" of 3.0, "0.1" of 0.1."""
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)


def read_cells(series: Any, name: str, where: Where, *, as_text: bool = False) -> Cells:
    """Return the cells of a pandas Series.

    Args:
        series: of whichever type.
        name: of the column, for errors.
        where: words for the place of a row.
        as_text: the column is to be taken as levels: numbers among text are text.

    Raises:
        InputError: infinite values, numbers and text mixed, decimal commas, or cells that are none of these.
    """
    pandas = needed("pandas", "Reading a table")
    kinds = pandas.api.types
    if kinds.is_bool_dtype(series.dtype) or (
        kinds.is_numeric_dtype(series.dtype) and not kinds.is_complex_dtype(series.dtype)
    ):
        return _of_numbers(series.to_numpy(np.float64, na_value=np.nan), name, where)
    if kinds.is_datetime64_any_dtype(series.dtype):
        stamps = series.dt.tz_convert("UTC") if series.dt.tz is not None else series
        micros = stamps.to_numpy("datetime64[us]")
        days = micros.astype(np.int64).astype(np.float64) / (DAY * 1e6)
        return Cells(kind="date", data=np.where(np.isnat(micros), np.nan, days))
    values = series.to_numpy(object)
    try:
        codes, uniques = pandas.factorize(values, use_na_sentinel=True)
    except TypeError:  # lists and dictionaries have no hash
        row = next(i for i, value in enumerate(values) if _read(value)[0] == "strange")
        raise _strange(values[row], name, where(row)) from None
    return _of_objects(codes.astype(np.int64), list(uniques), name, where, as_text)


def _of_numbers(values: np.ndarray, name: str, where: Where) -> Cells:
    infinite = np.flatnonzero(np.isinf(values))
    if len(infinite):
        raise _infinite(name, where(int(infinite[0])))
    # -0.0 is 0.0.
    return Cells(kind="number", data=values + 0.0)


def _infinite(name: str, place: str) -> InputError:
    hint = "Leave the cell empty, or leave the row out."
    return InputError(f"Column {name!r} holds an infinite number in {place}.", hint=hint)


def _of_objects(
    codes: np.ndarray, uniques: list[Any], name: str, where: Where, as_text: bool
) -> Cells:
    """Return the cells of Python objects: each different one is looked at once."""
    read = [_read(value) for value in uniques]

    def first(index: int) -> str:
        return where(int(np.argmax(codes == index)))

    for index, (kind, value) in enumerate(read):
        if kind == "strange":
            raise _strange(uniques[index], name, first(index))
        if kind == "number" and math.isinf(value):
            raise _infinite(name, first(index))
    kinds = {kind for kind, _ in read} - {"gap"}
    if kinds <= {"number", "truth"}:
        return _joined(codes, read, "number")
    if kinds == {"date"}:
        return _joined(codes, read, "date")
    if not as_text:
        _check_mixed(codes, read, uniques, name, where)
    return _joined(codes, read, "text")


def _strange(value: Any, name: str, place: str) -> InputError:
    kind = type(value).__name__
    return InputError(
        f"Column {name!r} holds a {kind} in {place}, and a cell must be a number, text, a truth value or a "
        "date."
    )


def _read(value: Any) -> tuple[str, Any]:
    """Return what one cell is (number, truth, date, text, gap or strange) and its value."""
    if isinstance(value, bool | np.bool_):
        return "truth", float(value)
    if isinstance(value, int | float | Decimal | np.number):
        number = float(value)
        return ("gap", None) if math.isnan(number) else ("number", number)
    if isinstance(value, datetime.datetime | datetime.date):
        return "date", _days(value)
    if not isinstance(value, str):
        return ("gap", None) if value is None else ("strange", None)
    text = value.strip()
    if text in GAPS:
        return "gap", None
    if text.lower() in TRUTH:
        return "truth", TRUTH[text.lower()]
    if NUMBER.fullmatch(text):
        return "number", float(text)
    if DATE.fullmatch(text):
        try:
            return "date", _days(datetime.datetime.fromisoformat(text))
        except ValueError:
            return "text", text
    return "text", text


def _days(value: datetime.datetime | datetime.date) -> float:
    if not isinstance(value, datetime.datetime):
        value = datetime.datetime(value.year, value.month, value.day)
    if value.tzinfo is None:
        value = value.replace(tzinfo=datetime.UTC)
    return (value - EPOCH).total_seconds() / DAY


def _joined(codes: np.ndarray, read: list[tuple[str, Any]], kind: str) -> Cells:
    """Return the cells with equal values joined, in rising order."""
    if kind in ("number", "date"):
        numbers = np.array([np.nan if k == "gap" else v for k, v in read] + [np.nan], np.float64)
        return Cells(kind=kind, data=numbers[codes] + 0.0)
    texts = [None if k == "gap" else _text(k, v) for k, v in read]
    known = sorted({text for text in texts if text is not None})
    place = {text: index for index, text in enumerate(known)}
    renamed = np.array([-1 if text is None else place[text] for text in texts] + [-1], np.int64)
    return Cells(kind="text", data=renamed[codes], levels=known)


def _text(kind: str, value: Any) -> str:
    if kind == "truth":
        return "True" if value else "False"
    if kind == "date":
        return (EPOCH + datetime.timedelta(days=value)).replace(tzinfo=None).isoformat()
    return number_text(value) if kind == "number" else str(value)


def _check_mixed(
    codes: np.ndarray,
    read: list[tuple[str, Any]],
    uniques: list[Any],
    name: str,
    where: Where,
) -> None:
    """Refuse a column of numbers with decimal commas, or with some text in it. Raises InputError."""
    counts = np.bincount(codes[codes >= 0], minlength=len(read))
    of = {
        kind: sum(int(counts[i]) for i, (k, _) in enumerate(read) if k == kind)
        for kind in ("number", "truth", "date", "text")
    }
    texts = [i for i, (kind, _) in enumerate(read) if kind == "text"]
    commas = [i for i in texts if DECIMAL_COMMA.fullmatch(str(uniques[i]).strip())]
    if commas and len(commas) == len(texts):
        index = min(commas, key=lambda i: int(np.argmax(codes == i)))
        raise InputError(
            f"Column {name!r} has a decimal comma in {where(int(np.argmax(codes == index)))} "
            f"({str(uniques[index]).strip()!r}).",
            hint="Write numbers with a decimal point.",
        )
    total, most = sum(of.values()), max(of["number"], of["date"])
    if total and most / total >= MOSTLY:
        others = [i for i, (k, _) in enumerate(read) if k not in ("number", "gap")]
        if of["date"] > of["number"]:
            others = [i for i, (k, _) in enumerate(read) if k not in ("date", "gap")]
        index = min(others, key=lambda i: int(np.argmax(codes == i)))
        what = "dates" if of["date"] > of["number"] else "numbers"
        raise InputError(
            f"Column {name!r} holds {str(uniques[index])[:40]!r} in {where(int(np.argmax(codes == index)))} "
            f"among {what}.",
            hint=f"Mend the cell, leave it empty, or take the column as levels: "
            f"{format(arg.column, f'{name}=categorical')}.",
        )
