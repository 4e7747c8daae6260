"""The file between ``transfer suggest`` and ``transfer --labels-from``: which examples, of which data."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from headstart.errors import InputError
from transfer.active_learning.typiclust import Suggestion

LARGEST = 64 << 20


def data_digest(x: np.ndarray) -> str:
    """Return 16 hexadecimal digits that name the examples ``x`` (N, ...) and their order."""
    digest = hashlib.sha256(f"{x.dtype.str} {x.shape}\n".encode())
    digest.update(np.ascontiguousarray(x).data.cast("B"))
    return digest.hexdigest()[:16]


def to_csv(suggestion: Suggestion, x: np.ndarray, files: Sequence[str] | None) -> str:
    """Return one line an example: index, file (of a folder), cluster_size, distance, data.

    x: (N, ...), the examples that were chosen from; each line bears their mark.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    where = [] if files is None else ["file"]
    writer.writerow(["index", *where, "cluster_size", "distance", "data"])
    mark = data_digest(x)
    for row, size, distance in zip(
        suggestion.rows, suggestion.sizes, suggestion.distances, strict=True
    ):
        named = [] if files is None else [files[row]]
        writer.writerow([row, *named, size, f"{distance:.6f}", mark])
    return text.getvalue()


def read_selection(path: Path, x: np.ndarray) -> tuple[int, ...]:
    """Return the rows of ``x`` (N, ...) that the CSV file names, in its order.

    Only the columns ``index`` and ``data`` count; lines may be removed, moved or added.
    Raises InputError when the file cannot be read, names no rows, rows twice or rows that are not
    there, or is of other data.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise InputError(f"{path} is larger than {LARGEST >> 20} MiB: that is no list of rows.")
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"--labels-from {path} cannot be read: {reason}. Give the file of `transfer suggest`."
        ) from None
    if not lines or not {"index", "data"} <= set(lines[0]):
        raise InputError(
            f"--labels-from {path} must have the columns index and data, and a line an example. "
            f"Give the file of `transfer suggest`."
        )
    mark = data_digest(x)
    others = {str(line["data"]) for line in lines} - {mark}
    if others:
        raise InputError(
            f"--labels-from {path} names examples of other data: its mark is {min(others)[:40]!r}, "
            f"that of the training part here is {mark!r}. Give the --data, --image-size, --test-part "
            f"and --seed that `transfer suggest` was given."
        )
    texts = [str(line["index"]).strip() for line in lines]
    for text in texts:
        if not (text.isascii() and text.isdecimal()) or len(text) > 12 or int(text) >= len(x):
            raise InputError(
                f"--labels-from {path}: an index must be a number from 0 to {len(x) - 1}. "
                f"Got {text[:40]!r}."
            )
    rows = tuple(int(text) for text in texts)
    if len(set(rows)) < len(rows):
        twice = next(row for row in rows if rows.count(row) > 1)
        raise InputError(f"--labels-from {path} names the index {twice} twice. Remove one line.")
    return rows
