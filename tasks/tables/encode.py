"""A table as the matrix x of a schema, and what is different about it from the pool's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from headstart.errors import InputError, arg, suggest
from tasks.tables.cells import Cells
from tasks.tables.infer import robust_scale
from tasks.tables.schema import Column, Schema

# Rows from which the range of a column says something about its unit, and how far its spread or its middle
# may lie off the pool's.
ENOUGH, TIMES = 10, 8.0
MOSTLY_UNSEEN = 0.5


def encode(
    table: Mapping[str, Cells], schema: Schema, *, others: Sequence[str] = (), compare: bool = True
) -> tuple[np.ndarray, list[str]]:
    """Return x and lines about what is unlike the pool.

    Args:
        table: cells by name, of the columns that the schema has.
        schema: of the pool.
        others: names of the table's other columns, among which a missing one may be.
        compare: False for the pool itself.

    Returns:
        float32 (N, D), and warnings: another unit by its range, unseen levels, gaps where the pool had none.

    Raises:
        InputError: a column of the schema is missing or of another kind.
    """
    for name in schema.names:
        if name not in table:
            raise InputError(
                f"The table has no column {name!r}, which the pretraining learnt from.",
                hint=f"{suggest(name, others)} Give the column that name, or pretrain without it.",
            )
    notes = []
    x = np.empty((len(table[schema.names[0]].data), len(schema.columns)), np.float32)
    for index, column in enumerate(schema.columns):
        x[:, index], said = _encoded(table[column.name], column)
        notes += said if compare else []
    return x, notes


def _encoded(cells: Cells, column: Column) -> tuple[np.ndarray, list[str]]:
    there, notes = cells.there, []
    rows = int(there.sum())
    if rows < len(there) and not column.gaps:
        gaps = len(there) - rows
        notes.append(
            f"Warning: column {column.name!r} has {gaps:,} gaps, and had none in the pretraining"
        )
    if column.kind == "categorical":
        place = {level: float(code) for code, level in enumerate(column.levels)}
        codes, texts = cells.factored()
        places = [place.get(text, float(len(column.levels))) for text in texts]
        found = np.array([*places, np.nan], np.float32)[codes]
        unseen = int((found == len(column.levels)).sum())
        if rows and unseen == rows and not column.rare and rows >= ENOUGH:
            raise _other_kind(column, f"none of its levels, such as {cells.first!r}")
        if unseen > MOSTLY_UNSEEN * rows:
            notes.append(
                f"Warning: column {column.name!r} has levels that the pretraining did not see in {unseen:,} "
                f"of {rows:,} rows"
            )
        return found, notes
    wanted = "date" if column.kind == "date" else "number"
    if rows and cells.kind != wanted:
        raise _other_kind(column, f"{cells.first!r}")
    values = np.full(len(there), np.nan) if not rows else cells.numbers
    if column.kind == "boolean":
        wrong = values[there & ~np.isin(values, (0.0, 1.0))]
        if len(wrong):
            raise _other_kind(column, f"{wrong[0]:g}")
        return values.astype(np.float32), notes
    if rows >= ENOUGH:
        notes += _other_unit(column, values[there])
    with np.errstate(over="ignore"):
        scaled = ((values - column.center) / column.scale).astype(np.float32)
    # Beyond float32 it is far out all the same: the design squashes it.
    return np.clip(scaled, -1e18, 1e18), notes


def _other_kind(column: Column, holds: str) -> InputError:
    rule = (
        f"Column {column.name!r} was {column.kind} in the pretraining, and here it holds {holds}."
    )
    hint = f"Give the column as it was, or pretrain again with {arg.column:NAME=KIND}."
    return InputError(rule, hint=hint)


def _other_unit(column: Column, values: np.ndarray) -> list[str]:
    """Return a warning where the middle or the spread of values lies far off the pool's."""
    center, spread = robust_scale(values)
    far = abs(center - column.center) > TIMES * column.scale
    outside = not column.low <= center <= column.high
    several = values.min() < values.max()
    wide = several and not 1 / TIMES <= spread / column.scale <= TIMES
    if not (outside and (far or wide)):
        return []
    return [
        f"Warning: column {column.name!r} holds {values.min():g} to {values.max():g}, and in the pretraining "
        f"{column.low:g} to {column.high:g}: is it in another unit?"
    ]
