"""Array-likes (lists, DataFrames, tensors) as NumPy arrays of numbers or text."""

from __future__ import annotations

from typing import Any

import numpy as np

from headstart.errors import ABSENT, InputError


def to_array(values: Any, key: str) -> np.ndarray:
    """Convert an array-like, without turning numbers into text or missing values into labels.

    Args:
        values: whatever NumPy makes an array of; or a DataFrame whose columns all hold numbers, or of one
            column of targets.
        key: the name of the argument, for errors; "y" and "y_test" are targets.

    Returns:
        An array of numbers or text; a NumPy array comes back as it is.

    Raises:
        InputError: it has masked values, ragged rows, objects that are neither numbers nor text, or both.
    """
    if hasattr(values, "columns") and hasattr(values, "to_numpy"):
        if not key.startswith("y") or len(values.columns) != 1:
            return _from_frame(values, key)
        values = np.asarray(values.to_numpy())[:, 0]
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise InputError("has masked values", argument=key, hint="Fill them or leave them out.")
    try:
        array = np.asarray(values)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"must be an array, every example of one shape ({error})", argument=key
        ) from None
    if array.dtype.kind == "U" and not isinstance(values, np.ndarray):
        # NumPy writes the numbers of a mixed list as text: only what was text already may be text.
        array = np.asarray(values, dtype=object)
    return _from_objects(array, key) if array.dtype.kind in "OT" else array


def _from_frame(frame: Any, key: str) -> np.ndarray:
    """Return a DataFrame's values. Raises InputError that names the first column without numbers."""
    array = np.asarray(frame.to_numpy())
    if array.dtype.kind in "buif":
        return array
    for place, name in enumerate(frame.columns):
        column = array[:, place]
        wrong = [v for v in column.tolist() if not isinstance(v, bool | int | float | np.number)]
        if wrong:
            raise InputError(
                f"has a column {name!r} that does not hold numbers only",
                argument=key,
                value=wrong[0],
                hint="Encode it as numbers or leave it out.",
            )
    return _from_objects(array, key)


def _from_objects(array: np.ndarray, key: str) -> np.ndarray:
    """Return an array of Python objects as one of numbers or of text."""
    flat = array.ravel().tolist()
    numbers = (bool, int, float, np.bool_, np.number)
    kind = str if any(isinstance(value, str) for value in flat) else numbers
    wrong = [value for value in flat if not isinstance(value, kind)]
    if not wrong:
        array = np.array(array.tolist())
    if wrong or array.dtype.kind == "O":
        first = wrong[0] if wrong else flat[0]
        raise InputError(
            f"must hold numbers or text, and holds {type(first).__name__}",
            argument=key,
            value=first if isinstance(first, bool | int | float | type(None)) else ABSENT,
            hint="Replace missing values, or leave these examples out.",
        )
    return array
