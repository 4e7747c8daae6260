"""CSV, TSV and Parquet files, and DataFrames, as pandas DataFrames with checked columns."""

from __future__ import annotations

import csv
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from headstart.errors import InputError, arg
from tasks.tables.cells import GAPS, NUMBER
from tasks.tables.packages import needed

DELIMITERS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
PARQUET = (".parquet", ".pq")
SUFFIXES = (*DELIMITERS, *PARQUET)
NAMES = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar", " ": "blank"}
TAB = "\t"
MAX_CELL = 1 << 20
# In memory a table takes several times its file.
TIMES_IN_MEMORY = 3
UTF8_BOM = b"\xef\xbb\xbf"
OTHER_BOMS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """A table as it was read.

    Attributes:
        data: the pandas DataFrame; its columns' names are text, each once.
        name: of the file, for messages; "the table" of one in memory.
        lines: the file's line of each row, from 1; None where rows have none.
        path, delimiter: of a text file.
    """

    data: Any
    name: str
    lines: Sequence[int] | None = None
    path: Path | None = None
    delimiter: str = ","

    def where(self, row: int) -> str:
        """Return words for the place of a row, from 0."""
        return f"row {row}" if self.lines is None else f"line {self.lines[row]}"

    @property
    def columns(self) -> list[str]:
        """The names of the columns, as they come."""
        return list(self.data.columns)

    def rows(self) -> Iterator[list[str]]:
        """Yield the cells of each row as text, those of a text file as they stand there."""
        if self.path is None:
            pandas = needed("pandas", "A table")
            for row in self.data.itertuples(index=False, name=None):
                yield ["" if pandas.isna(cell) else str(cell) for cell in row]
            return
        with self.path.open(encoding="utf-8-sig", newline="") as file:
            rows = (row for row in _reader(file, self.delimiter) if row)
            next(rows)
            yield from rows


def is_frame(data: Any) -> bool:
    """Whether it is a DataFrame of pandas, or a table that can be taken over as Arrow, as those of polars."""
    ours = type(data).__module__.partition(".")[0] == "pandas"
    return hasattr(data, "columns") and (ours or hasattr(data, "__arrow_c_stream__"))


def from_frame(data: Any, name: str = "the table") -> Frame:
    """Return a DataFrame of pandas, or one that others can take over as Arrow (polars), as a Frame.

    Raises:
        InputError: it has no rows or columns, or names that are no text or not different.
    """
    pandas = needed("pandas", "A DataFrame")
    if not isinstance(data, pandas.DataFrame):
        data = needed("pyarrow", "A DataFrame that is not of pandas").table(data).to_pandas()
    data = data.set_axis([str(column) for column in data.columns], axis=1)
    _check_names(list(data.columns), name)
    if not len(data):
        raise InputError(f"{name} has no rows.")
    return Frame(data=data, name=name)


def read_file(path: Path, delimiter: str | None = None) -> Frame:
    """Read a table; its kind is that of its ending.

    Args:
        path: a .csv, .tsv, .tab, .parquet or .pq file.
        delimiter: between cells; None: a comma in .csv, a tab in the others.

    Raises:
        InputError: the file cannot be read as a table; one sentence with the line or the column.
    """
    _check_size(path)
    if path.suffix.lower() in PARQUET:
        return _parquet(path)
    return _delimited(path, delimiter or DELIMITERS[path.suffix.lower()])


def _check_size(path: Path) -> None:
    size, free = path.stat().st_size, _free_memory()
    if size == 0:
        raise InputError(f"{path.name} is empty.")
    if free is not None and size * TIMES_IN_MEMORY > free:
        raise InputError(
            f"{path.name} has {size / 2**30:.1f} GiB, which takes some {TIMES_IN_MEMORY} times as much "
            f"memory, and {free / 2**30:.1f} GiB are free.",
            hint="Give a part of its rows or columns, or use a machine with more memory.",
        )


def _free_memory() -> int | None:
    """Return the bytes of memory that are available; None where the system does not tell."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return None


def _parquet(path: Path) -> Frame:
    parquet = needed("pyarrow.parquet", "Reading a Parquet file")
    needed("pandas", "Reading a table")
    try:
        table = parquet.read_table(path)
    except (OSError, ValueError, NotImplementedError) as error:  # ArrowInvalid is a ValueError
        text = str(error).splitlines()[0]
        raise InputError(f"{path.name} cannot be read as Parquet: {text}.") from None
    _check_names(table.column_names, path.name)
    return from_frame(table.to_pandas(ignore_metadata=True), path.name)


def _delimited(path: Path, delimiter: str) -> Frame:
    # As a person can write it in a shell.
    delimiter = {"tab": "\t", "\\t": "\t"}.get(delimiter, delimiter)
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise InputError("must be one character", argument="delimiter", value=delimiter)
    pandas = needed("pandas", "Reading a table")
    _check_bytes(path)
    names, lines = _check_rows(path, delimiter)
    # Before version 3 the default could miss the nearest float by its last digit.
    old = int(pandas.__version__.partition(".")[0]) < 3
    precision = {"float_precision": "round_trip"} if old else {}
    try:
        data = pandas.read_csv(
            path,
            sep=delimiter,
            header=0,
            names=names,
            index_col=False,
            encoding="utf-8-sig",
            keep_default_na=False,
            na_values=list(GAPS),
            skipinitialspace=True,
            low_memory=False,
            **precision,
        )
    except (ValueError, MemoryError) as error:  # ParserError is a ValueError
        text = (str(error).splitlines() or ["it does not fit into memory"])[0]
        raise InputError(f"{path.name} cannot be read: {text}.") from None
    return Frame(data=data, name=path.name, lines=lines, path=path, delimiter=delimiter)


def _check_bytes(path: Path) -> None:
    """Refuse bytes that are no text in UTF-8. Raises InputError with the line."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
    again = "Save the file as UTF-8."
    with file:
        if file.read(2) in OTHER_BOMS:
            raise InputError(f"{path.name} is text in UTF-16.", hint=again)
        file.seek(0)
        for number, line in enumerate(file, start=1):
            if b"\0" in line:
                raise InputError(
                    f"{path.name} has a NUL byte in line {number}, so it is no text, or damaged."
                )
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                byte = line[error.start]
                rule = f"{path.name} is not text in UTF-8: line {number} has the byte 0x{byte:02x}."
                raise InputError(rule, hint=again) from None


def _reader(file: TextIO, delimiter: str) -> Any:
    csv.field_size_limit(MAX_CELL)
    return csv.reader(file, delimiter=delimiter, skipinitialspace=True, strict=True)


def _check_rows(path: Path, delimiter: str) -> tuple[list[str], array[int]]:
    """Return the columns' names and the line of each row. Raises InputError for rows of other lengths."""
    lines: array[int] = array("q")
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = _reader(file, delimiter)
        names: list[str] | None = None
        try:
            for row in rows:
                if not row:
                    continue
                if names is None:
                    names = _header(row, path, delimiter)
                    continue
                if len(row) != len(names):
                    cells = f"{len(row)} cell{'' if len(row) == 1 else 's'}"
                    raise InputError(
                        f"{path.name} has {cells} in line {rows.line_num}, and {len(names)} columns.",
                        hint="Mend the line; a cell that holds the delimiter must stand in quotes.",
                    )
                lines.append(rows.line_num)
        except csv.Error as error:
            rule = f"{path.name} cannot be read from line {rows.line_num} on: {error}."
            raise InputError(rule, hint="A quote may not be closed.") from None
    if names is None:
        raise InputError(f"{path.name} is empty.")
    if not lines:
        raise InputError(f"{path.name} has no rows below its first line.")
    return names, lines


def _header(row: list[str], path: Path, delimiter: str) -> list[str]:
    names = [name.strip() for name in row]
    if len(names) == 1:
        counts = {mark: names[0].count(mark) for mark in DELIMITERS_ELSEWHERE if mark != delimiter}
        mark = max(counts, key=lambda key: counts[key])
        if counts[mark]:
            raise InputError(
                f"{path.name} has no {NAMES.get(delimiter, repr(delimiter))} in line 1, and "
                f"{counts[mark]} times a {NAMES[mark]}.",
                hint=f"Give {format(arg.delimiter, 'tab' if mark == TAB else repr(mark))}.",
            )
    if names[0] == "":
        # As pandas writes its index.
        names[0] = "(unnamed)"
    _check_names(names, path.name)
    if all(NUMBER.fullmatch(name) for name in names):
        raise InputError(
            f"{path.name} has numbers only in line 1, where the columns' names belong.",
            hint="Write a first line with a name for each column.",
        )
    return names


DELIMITERS_ELSEWHERE = (",", ";", "\t", "|")


def _check_names(names: Sequence[str], owner: str) -> None:
    if not names:
        raise InputError(f"{owner} has no columns.")
    for place, name in enumerate(names, start=1):
        if not name.strip():
            raise InputError(f"{owner} has no name for column {place}.")
        if names.index(name) != place - 1:
            first = names.index(name) + 1
            rule = f"{owner} has two columns called {name!r}, the {first}. and the {place}."
            raise InputError(rule, hint="Rename one of them.")
