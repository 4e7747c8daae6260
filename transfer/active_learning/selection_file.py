"""The CSV file between ``transfer suggest`` and a transfer: which examples to label, of which data."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from headstart.errors import InputError, arg
from transfer.active_learning.typiclust import Suggestion

MAX_BYTES = 64 << 20
GIVE_THE_FILE = "Give the file of `transfer suggest`."


def data_digest(x: np.ndarray) -> str:
    """Return 16 hexadecimal digits that identify the examples ``x`` (N, ...) and their order."""
    digest = hashlib.sha256(f"{x.dtype.str} {x.shape}\n".encode())
    digest.update(np.ascontiguousarray(x).data.cast("B"))
    return digest.hexdigest()[:16]


def to_csv(suggestion: Suggestion, x: np.ndarray, files: Sequence[str] | None) -> str:
    """Return a line an example of ``x`` (N, ...): index, file (of a folder), cluster_size, distance, data."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    file_column = [] if files is None else ["file"]
    writer.writerow(["index", *file_column, "cluster_size", "distance", "data"])
    digest = data_digest(x)
    for row, size, distance in zip(
        suggestion.rows, suggestion.sizes, suggestion.distances, strict=True
    ):
        file = [] if files is None else [files[row]]
        writer.writerow([row, *file, size, f"{distance:.6f}", digest])
    return text.getvalue()


def read_selection(path: Path, x: np.ndarray) -> tuple[int, ...]:
    """Return the rows of ``x`` that a CSV file names, in its order.

    Only the columns ``index`` and ``data`` count; lines may be removed, moved or added.

    Args:
        path: the file.
        x: (N, ...), the training examples.

    Raises:
        InputError: the file cannot be read, names no rows, a row twice or a row that does not exist, or is
            of other data.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(
                f"{path} is larger than {MAX_BYTES >> 20} MiB, too large for a list of rows.",
                hint=GIVE_THE_FILE,
            )
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path} cannot be read: {reason}.", hint=GIVE_THE_FILE) from None
    if not lines or not {"index", "data"} <= set(lines[0]):
        raise InputError(
            f"{path} must have the columns index and data, and a line an example.",
            hint=GIVE_THE_FILE,
        )
    digest = data_digest(x)
    others = {str(line["data"]) for line in lines} - {digest}
    if others:
        raise InputError(
            f"{path} names examples of other data: its column data has {min(others)[:40]!r}, and the "
            f"training part here has {digest!r}.",
            hint=f"Give the {arg.data}, {arg.image_size}, {arg.test_part} and {arg.seed} that `transfer "
            f"suggest` was given.",
        )
    texts = [str(line["index"]).strip() for line in lines]
    for text in texts:
        if not (text.isascii() and text.isdecimal()) or len(text) > 12 or int(text) >= len(x):
            raise InputError(
                f"{path}: an index must be a number from 0 to {len(x) - 1}", value=text[:40]
            )
    rows = tuple(int(text) for text in texts)
    if len(set(rows)) < len(rows):
        twice = next(row for row in rows if rows.count(row) > 1)
        raise InputError(f"{path} names the index {twice} twice.", hint="Remove one line.")
    return rows
