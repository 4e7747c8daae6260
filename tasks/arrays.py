"""Arrays as users save them -> the examples and labels of a Dataset."""

from __future__ import annotations

import numpy as np

from tasks.dataset import natural_range
from tasks.errors import InputError


def to_examples(
    x: np.ndarray, x_test: np.ndarray | None, where: str
) -> tuple[np.ndarray, np.ndarray | None, tuple[float, float]]:
    """Return (x, x_test, value_range) as Dataset wants them: uint8 or float32, vectors or images.

    x: (N, D), (N, H, W) or (N, H, W, C) of any real type. uint8 stays; bool becomes uint8 0 and 1;
    integers within 0..255 become uint8, all other numbers float32.
    where: the file, for messages. Raises InputError for shapes and values that cannot be used.
    """
    x = _shaped(x, "x", where)
    parts = {"x": x}
    if x_test is not None:
        parts["x_test"] = x_test = _shaped(x_test, "x_test", where)
        if x_test.shape[1:] != x.shape[1:]:
            raise InputError(
                f"{where}: examples of x_test have shape {x_test.shape[1:]}, those of x "
                f"{x.shape[1:]}. They must be alike."
            )
        families = [part.dtype.kind.replace("i", "u") for part in (x, x_test)]
        if families[0] != families[1]:
            raise InputError(
                f"{where}: x is {x.dtype} and x_test is {x_test.dtype}, so their scales may "
                "differ. Save both with one type."
            )
    for key, part in parts.items():
        check_finite(part, key, where)
    integers = x.dtype.kind in "bui"
    small = integers and all(part.min() >= 0 and part.max() <= 255 for part in parts.values())
    dtype = np.uint8 if small else np.float32
    for key, part in parts.items():
        with np.errstate(over="ignore"):
            parts[key] = part.astype(dtype)
        if not small and not np.isfinite(parts[key]).all():
            raise InputError(f"{where}: {key} has values too large for float32 (above 3.4e38).")
    span = (0.0, 1.0) if x.dtype.kind == "b" else natural_range(parts["x"])
    return parts["x"], parts.get("x_test"), span


def _shaped(x: np.ndarray, key: str, where: str) -> np.ndarray:
    if x.dtype.kind not in "buif":
        raise InputError(f"{where}: {key} must hold numbers. Its type is {x.dtype}.")
    if x.ndim not in (2, 3, 4):
        hint = f" For one number an example, reshape it to ({len(x)}, 1)." if x.ndim == 1 else ""
        raise InputError(
            f"{where}: {key} must be vectors (N, D) or images (N, H, W) or (N, H, W, C). Its shape "
            f"is {x.shape}.{hint}"
        )
    if x.size == 0:
        raise InputError(f"{where}: {key} is empty: its shape is {x.shape}.")
    if x.ndim == 3:
        return x[..., np.newaxis]
    if x.ndim == 4 and x.shape[3] > 4:
        first = x.shape[1] <= 4
        hint = " Its channels seem to come first: save numpy.moveaxis(x, 1, -1)." if first else ""
        raise InputError(
            f"{where}: {key} has shape {x.shape}, which means images of {x.shape[3]} channels. "
            f"Images have 1 to 4 channels, and the channels come last.{hint}"
        )
    return x


def check_finite(x: np.ndarray, key: str, where: str) -> None:
    """Raise InputError when ``x``, called ``key``, is floating point and has NaN or infinity."""
    if x.dtype.kind != "f":
        return
    bad = ~np.isfinite(x)
    count = int(bad.sum())
    if count:
        first = tuple(int(i) for i in np.unravel_index(int(bad.argmax()), x.shape))
        raise InputError(
            f"{where}: {key} has {count} values that are NaN or infinite, the first "
            f"({x[first]}) at index {first}. Replace them or leave these examples out."
        )


def to_labels(
    y: np.ndarray, y_test: np.ndarray | None, n: int, n_test: int, where: str
) -> tuple[np.ndarray, np.ndarray | None, tuple[str, ...] | None]:
    """Return (y, y_test, class_names): int64 class indices 0..K-1 and the labels as they were.

    y, y_test: (n,) and (n_test,) integers, booleans, integral floats or strings. Labels other than
    0..K-1 become the index of the label in sorted order, and class_names the labels as text;
    labels that are 0..K-1 already have no class names (None).
    where: the file, for messages. Raises InputError for what cannot be a label, and for labels of
    y_test that y has not.
    """
    labels = checked(y, "y", n, where)
    classes, indices = np.unique(labels, return_inverse=True)
    indices = indices.astype(np.int64)
    tested = None
    if y_test is not None:
        test_labels = checked(y_test, "y_test", n_test, where)
        if (labels.dtype.kind == "U") != (test_labels.dtype.kind == "U"):
            raise InputError(f"{where}: of y and y_test, one holds text and the other numbers.")
        extra = np.setdiff1d(test_labels, classes)
        if len(extra):
            shown = ", ".join(repr(label) for label in extra[:5].tolist())
            raise InputError(
                f"{where}: y_test has {len(extra)} classes that y has not: {shown}. A class "
                "without training examples cannot be learnt."
            )
        tested = np.searchsorted(classes, test_labels).astype(np.int64)
    plain = y.dtype.kind != "b" and classes.dtype.kind != "U"
    if plain and np.array_equal(classes, np.arange(len(classes))):
        return indices, tested, None
    if y.dtype.kind == "b":
        return indices, tested, tuple(str(bool(label)) for label in classes)
    return indices, tested, tuple(str(label) for label in classes.tolist())


def checked(y: np.ndarray, key: str, n: int, where: str) -> np.ndarray:
    """Return labels ``y`` (n,), called ``key``, as int64 or text, or raise InputError."""
    if y.ndim == 2 and y.shape[0] == n and y.shape[1] > 1:
        raise InputError(
            f"{where}: {key} has shape {y.shape}, which looks one-hot. Classes are one number or "
            f"name an example: save {key}=numpy.argmax({key}, axis=1). If an example can have several "
            f"labels, {key} must hold 0 and 1; add y_kind='multi-label' if each has one all the same."
        )
    if y.ndim != 1:
        raise InputError(
            f"{where}: {key} must have shape ({n},), one label an example. Its shape is {y.shape}; "
            f"if it is a column, save {key}.ravel()."
        )
    if len(y) != n:
        raise InputError(f"{where}: {key} has {len(y)} labels for {n} examples.")
    if y.dtype.kind == "S":
        try:
            return np.char.decode(y, "utf-8")
        except UnicodeDecodeError:
            raise InputError(f"{where}: {key} holds bytes that are not UTF-8 text.") from None
    if y.dtype.kind == "U":
        return y
    if y.dtype.kind == "f":
        check_finite(y, key, where)
        broken = np.flatnonzero((y != np.trunc(y)) | (np.abs(y) > 2**53))
        if len(broken):
            raise InputError(
                f"{where}: {key} must hold classes, and value {y[broken[0]]} at index "
                f"{broken[0]} is not a whole number. To predict numbers, add y_kind='numbers'."
            )
    elif y.dtype.kind not in "bui":
        raise InputError(f"{where}: {key} must hold whole numbers or text, not {y.dtype}.")
    if y.dtype.kind == "u" and y.max() > np.iinfo(np.int64).max:
        raise InputError(f"{where}: {key} has the label {y.max()}, too large for a 64-bit integer.")
    return y.astype(np.int64)
