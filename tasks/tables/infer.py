"""Kinds of columns, as far as their cells tell; and the schema of a pool."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from headstart.errors import InputError, arg, suggest
from tasks.tables.cells import Cells
from tasks.tables.schema import KINDS, MAX_COLUMNS, MAX_LEVELS, MAX_NAME, Column, Schema

IGNORE = "ignore"
# A level that occurs once teaches nothing: it shares its number with the unseen ones.
LEAST = 2
# Text with more different values than this part of the rows names or describes each row.
MOSTLY_DIFFERENT, FEW = 0.5, 20
WORDS = 3
ID = re.compile(r"(^|[_\s.])(id|uuid|guid|key|index|idx)$|[a-z]I[dD]$", re.IGNORECASE)


def check_columns(
    names: Sequence[str], kinds: Mapping[str, str], ignored: Sequence[str], target: str | None
) -> None:
    """Refuse options about columns that are not there, kinds that do not exist, and contradictions.

    Raises:
        InputError: of the argument ``target``, ``column`` or ``ignore``.
    """
    asked = [("target", [target] if target else []), ("column", kinds), ("ignore", ignored)]
    for argument, wanted in asked:
        for name in wanted:
            if name not in names:
                hint = f"{suggest(str(name), names)} Columns: {_listed(names)}."
                rule = "must name a column of the table"
                raise InputError(rule, argument=argument, value=name, hint=hint.strip())
    for name, kind in kinds.items():
        if kind not in (*KINDS, IGNORE):
            rule = f"must give a kind that is one of {', '.join((*KINDS, IGNORE))}"
            hint = suggest(kind, (*KINDS, IGNORE)).strip()
            raise InputError(rule, argument="column", value=f"{name}={kind}", hint=hint)
        if name in ignored and kind != IGNORE:
            rule = "must not name a column that is given a kind"
            raise InputError(rule, argument="ignore", value=name)
    if target in ignored:
        rule = "must not be ignored"
        raise InputError(rule, argument="target", value=target)


def infer(
    table: Mapping[str, Cells],
    kinds: Mapping[str, str],
    ignored: Sequence[str],
    target: str | None,
) -> tuple[Schema, list[str]]:
    """Return the schema of a pool, and lines about columns that were passed over.

    Args:
        table: cells by name, of all columns but ``target``; those ignored may be left out.
        kinds: by name, given by the user: they hold.
        ignored: names of columns not to learn from.
        target: the column to predict.

    Raises:
        InputError: a column cannot be of the kind given, or none is left to learn from.
    """
    columns, out, notes = [], list(ignored), []
    for name in sorted(table):
        if name in ignored:
            continue
        cells, kind = table[name], kinds.get(name)
        if kind is None:
            kind, why = _kind(name, cells)
            if why:
                notes.append(why)
        if kind == IGNORE:
            out.append(name)
            continue
        if len(name) > MAX_NAME:
            raise InputError(f"A column's name is longer than {MAX_NAME} characters.")
        columns.append(_column(name, cells, kind))
    if not columns:
        raise InputError(
            "No column of the table is left to learn from.",
            hint=f"Give a column a kind yourself: {arg.column:NAME=KIND}.",
        )
    if len(columns) > MAX_COLUMNS:
        raise InputError(f"The table has {len(columns):,} columns, more than {MAX_COLUMNS:,}.")
    return Schema(columns=tuple(columns), target=target, ignored=tuple(sorted(set(out)))), notes


def _kind(name: str, cells: Cells) -> tuple[str, str]:
    """Return a column's kind, and of one that is passed over a line that says why."""
    use = f"to use it, give {format(arg.column, f'{name}=KIND')}"
    there, different = cells.there, cells.different()
    rows = int(there.sum())
    if different == 0:
        return IGNORE, f"Column {name!r} is not used: it is empty"
    if different == 1 and there.all():
        return IGNORE, f"Column {name!r} is not used: it has one value, {cells.first!r}"
    if cells.kind == "date":
        return "date", ""
    if cells.kind == "number":
        values = cells.numbers
        if different <= 2 and np.isin(values[there], (0.0, 1.0)).all():
            return "boolean", ""
        steps = np.diff(values)
        if rows == len(values) > FEW and (steps == 1.0).all():
            return IGNORE, (
                f"Warning: column {name!r} is not used: it counts the rows, so it would predict by their "
                f"order; {use}"
            )
        whole = rows > FEW and bool((values[there] == np.trunc(values[there])).all())
        if whole and different == rows and ID.search(name):
            return IGNORE, f"Warning: column {name!r} is not used: it names the rows; {use}"
        return "numeric", ""
    if different > max(FEW, MOSTLY_DIFFERENT * rows):
        words = np.mean([len(text.split()) for text in cells.levels])
        what = "holds free text" if words >= WORDS else "names the rows"
        return IGNORE, f"Warning: column {name!r} is not used: it {what}; {use}"
    return "categorical", ""


def _column(name: str, cells: Cells, kind: str) -> Column:
    gaps = not cells.there.all()
    if kind == "categorical":
        codes, texts = cells.factored()
        counts = np.bincount(codes[codes >= 0], minlength=len(texts))
        order = sorted(range(len(texts)), key=lambda i: (-counts[i], texts[i]))
        kept = [texts[i] for i in order if counts[i] >= LEAST and len(texts[i]) <= MAX_NAME]
        kept, every = kept[:MAX_LEVELS], int((counts > 0).sum())
        return Column(name=name, kind=kind, levels=tuple(kept), rare=every > len(kept), gaps=gaps)
    wanted = "date" if kind == "date" else "number"
    if cells.kind != wanted:
        holds = f"it holds {'text' if cells.kind == 'text' else cells.kind + 's'}, such as {cells.first!r}"
        raise InputError(
            f"must fit the column, and {name!r} cannot be {kind}: {holds}",
            argument="column",
            value=f"{name}={kind}",
        )
    values = cells.numbers
    values = values[~np.isnan(values)]
    if kind == "boolean":
        if not np.isin(values, (0.0, 1.0)).all():
            other = values[~np.isin(values, (0.0, 1.0))][0]
            rule = f"must fit the column, and {name!r} cannot be boolean: it holds {other:g}"
            raise InputError(rule, argument="column", value=f"{name}=boolean")
        return Column(name=name, kind=kind, gaps=gaps)
    if not len(values):
        rule = f"must fit the column, and {name!r} is empty"
        raise InputError(rule, argument="column", value=f"{name}={kind}")
    center, scale = robust_scale(values)
    low, high = float(values.min()), float(values.max())
    return Column(name=name, kind=kind, center=center, scale=scale, low=low, high=high, gaps=gaps)


def robust_scale(values: np.ndarray) -> tuple[float, float]:
    """Return the median and the spread of numbers, float64 (N,) without gaps, N >= 1.

    The spread is the interquartile range over that of the standard normal distribution; where it is 0,
    the standard deviation; where that is 0 too, 1.
    """
    from sklearn.preprocessing import RobustScaler

    fitted = RobustScaler(unit_variance=True).fit(values[:, None])
    spread = float(fitted.scale_[0])
    if np.subtract(*np.percentile(values, (75, 25))) == 0:
        deviation = float(values.std())
        spread = deviation if deviation > 0 else 1.0
    return float(fitted.center_[0]), spread


def _listed(names: Sequence[str], most: int = 20) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
