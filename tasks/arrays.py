"""Array-likes as NumPy arrays, and examples of any type and layout as a Dataset has them."""

from __future__ import annotations

from typing import Any

import numpy as np

from headstart.errors import ABSENT, InputError, require

# Images of 0..1 that were resized by a spline lie a little outside, and are not taken for others.
OVERSHOOT = 0.1
MAX_CHANNELS = 4


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
    masked = isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values)
    require(not masked, key, "has masked values", hint="Fill them or leave them out.")
    try:
        array = np.asarray(values)
    except (TypeError, ValueError) as error:
        rule = f"must be an array, every example of one shape ({error})"
        raise InputError(rule, argument=key) from None
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
            rule = f"has a column {name!r} that does not hold numbers only"
            hint = "Encode it as numbers or leave it out."
            raise InputError(rule, argument=key, value=wrong[0], hint=hint)
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


def check_finite(x: np.ndarray, key: str) -> None:
    """Raise InputError about ``key`` when ``x`` is floating point and has NaN or infinity."""
    if x.dtype.kind != "f":
        return
    bad = ~np.isfinite(x)
    count = int(bad.sum())
    if count:
        first = tuple(int(i) for i in np.unravel_index(int(bad.argmax()), x.shape))
        raise InputError(
            f"has NaN or infinity in {count:,} of its {x.size:,} values, the first ({x[first]}) at "
            f"index {first}",
            argument=key,
            hint="Replace them or leave these examples out.",
        )


def natural_range(x: np.ndarray) -> tuple[float, float]:
    """Return the range that values of ``x``, not empty, are taken to span: of uint8 (0, 255).

    Of floats (0, 1), with a tolerance of ``OVERSHOOT``, or (-1, 1) when all values lie within, else minimum
    and maximum.
    """
    if x.dtype == np.uint8:
        return (0.0, 255.0)
    low, high = float(x.min()), float(x.max())
    resized = low >= -OVERSHOOT and 0.5 < high <= 1 + OVERSHOOT
    if resized or (low >= 0 and high <= 1):
        return (0.0, 1.0)
    if low >= -1 and high <= 1:
        return (-1.0, 1.0)
    # A constant still needs a width to be divided by.
    return (low, high) if low < high else (low, low + max(1.0, abs(low)))


def to_examples(
    x: np.ndarray, x_test: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray | None, tuple[float, float]]:
    """Convert examples to the types of a Dataset.

    Vectors become float32: the columns of a table mean the same as whole numbers, floats and booleans. Of
    images uint8 stays as it is, bool becomes uint8 0 and 1, integers within 0..255 become uint8 and all
    other numbers float32, both parts alike. Images without a channel axis get one.

    Args:
        x: (N, D) vectors or (N, H, W) or (N, H, W, C) images of any real type.
        x_test: the test part, of the same shape and family of types; or None.

    Returns:
        x and x_test, uint8 or float32, (N, D) or (N, H, W, C); and the range that values of x span.

    Raises:
        InputError: shapes or values cannot be used; its argument is "x" or "x_test".
    """
    x = _shaped(x, "x")
    parts = {"x": x}
    if x_test is not None:
        parts["x_test"] = x_test = _shaped(x_test, "x_test")
        rule = f"must have examples of the shape of those of x, {x.shape[1:]}"
        require(x_test.shape[1:] == x.shape[1:], "x_test", rule, value=x_test.shape[1:])
        one, other = (part.dtype.kind.replace("i", "u") for part in (x, x_test))
        rule = f"must have the type of x, {x.dtype}, or their scales may differ"
        hint = "Give both with one type."
        alike = one == other or x.ndim == 2
        require(alike, "x_test", rule, value=str(x_test.dtype), hint=hint)
    integers = x.dtype.kind in "bui" and x.ndim == 4
    if x.ndim == 2:
        _check_digits(x)
    small = integers and all(part.min() >= 0 and part.max() <= 255 for part in parts.values())
    dtype = np.uint8 if small else np.float32
    for key, part in parts.items():
        with np.errstate(over="ignore"):
            parts[key] = part.astype(dtype)
        rule = "has values too large for float32 (above 3.4e38)"
        require(small or bool(np.isfinite(parts[key]).all()), key, rule)
    span = (0.0, 1.0) if x.dtype.kind == "b" else natural_range(parts["x"])
    return parts["x"], parts.get("x_test"), span


def _check_digits(x: np.ndarray) -> None:
    """Refuse vectors (N, D) of which a column loses its differences in float32. Raises InputError."""
    if x.dtype.kind == "b":
        return
    low, high = x.min(axis=0).astype(np.float64), x.max(axis=0).astype(np.float64)
    step = np.finfo(np.float32).eps * np.maximum(np.abs(low), np.abs(high))
    wrong = np.flatnonzero((high > low) & (step > (high - low) / 100))
    if len(wrong):
        column = int(wrong[0])
        raise InputError(
            f"has a column, {column}, from {low[column]:.17g} to {high[column]:.17g}: float32, which is "
            f"computed in, has numbers {step[column]:g} apart there",
            argument="x",
            hint="Subtract a constant from the column, such as its mean; a .csv file is scaled by itself.",
        )


def _shaped(x: np.ndarray, key: str) -> np.ndarray:
    """Return examples, checked, with a channel axis if they are images."""
    require(x.dtype.kind in "buif", key, "must hold numbers", value=str(x.dtype))
    rule = "must be vectors (N, D) or images (N, H, W) or (N, H, W, C)"
    hint = f"For one number an example, reshape it to ({x.size}, 1)." if x.ndim == 1 else ""
    require(x.ndim in (2, 3, 4), key, rule, value=x.shape, hint=hint)
    require(x.size > 0, key, "is empty", value=x.shape)
    if x.ndim == 4:
        rule, first = f"must have the channels last, 1 to {MAX_CHANNELS} of them", x.shape[1]
        hint = "Its channels seem to come first: give numpy.moveaxis(x, 1, -1)."
        hint = hint if first <= MAX_CHANNELS else ""
        require(x.shape[3] <= MAX_CHANNELS, key, rule, value=x.shape, hint=hint)
    check_finite(x, key)
    return x[..., np.newaxis] if x.ndim == 3 else x
