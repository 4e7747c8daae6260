"""Kinds of target (classes, numbers, several labels): recognise, check, encode and stratify y."""

from __future__ import annotations

from functools import partial

import numpy as np

from headstart.errors import InputError, require, suggest
from tasks.arrays import check_finite

KINDS = {
    "classes": "one class an example",
    "numbers": "one number an example",
    "multi-label": "any of several labels an example",
}
# Numbers are stratified by quantile: this many bins, fewer where a bin would have fewer examples.
MAX_BINS, MIN_PER_BIN = 10, 5


def target_kind(y: np.ndarray) -> str:
    """Return the name in KINDS of y: (N,) integers, (N,) floating point, or (N, K) of 0 and 1."""
    if y.ndim == 2:
        return "multi-label"
    return "numbers" if y.dtype.kind == "f" else "classes"


def strata(y: np.ndarray) -> np.ndarray:
    """Return the groups to stratify y by.

    Args:
        y: (N,) class indices, (N,) numbers or (N, K) labels of 0 and 1.

    Returns:
        (N,) int64 group numbers 0..S-1. Classes are their own groups; numbers are grouped by quantile, ten
        bins of five examples or more; several labels by the rarest of an example, with a group for examples
        without any, so that rare labels are spread evenly and common ones nearly.
    """
    kind = target_kind(y)
    if kind == "classes":
        return y.astype(np.int64)
    if kind == "numbers":
        count = max(1, min(MAX_BINS, len(y) // MIN_PER_BIN))
        rank = np.empty(len(y), np.int64)
        rank[np.argsort(y, kind="stable")] = np.arange(len(y))
        return rank * count // len(y)
    has = y > 0.5
    order = np.argsort(has.sum(axis=0), kind="stable")
    rarest = np.where(has.any(axis=1), has[:, order].argmax(axis=1), has.shape[1])
    groups: np.ndarray = np.unique(rarest, return_inverse=True)[1].astype(np.int64)
    return groups


def to_targets(
    y: np.ndarray,
    y_test: np.ndarray | None,
    n: int,
    n_test: int,
    *,
    kind: str | None = None,
    names: tuple[str, ...] | None = None,
) -> tuple[np.ndarray, np.ndarray | None, tuple[str, ...] | None]:
    """Convert targets to the types of a Dataset: classes, numbers or several labels.

    Args:
        y, y_test: of n examples and n_test test examples, as users save them; y_test may be None.
        n, n_test: numbers of examples.
        kind: a name in KINDS; or None to recognise it: floating point with a fraction somewhere is numbers;
            zeros and ones (n, K) are several labels an example, unless each row has a single one; all else
            is classes, as ``to_labels`` takes them.
        names: of the K labels, or of the classes 0..K-1.

    Returns:
        y, y_test and class_names: (n,) int64 classes, (n,) float64 numbers or (n, K) uint8 labels.

    Raises:
        InputError: they cannot be used; its argument is "y", "y_test", "y_kind" or "class_names".
    """
    known, rule = kind is None or kind in tuple(KINDS), f"must be one of {', '.join(KINDS)}"
    require(known, "y_kind", rule, value=kind, hint=suggest(str(kind), KINDS))
    kind = kind or _recognise(y, y_test)
    rule = "must be left out: y is numbers, which have none"
    require(kind != "numbers" or names is None, "class_names", rule)
    if kind == "classes" and names is None:
        return to_labels(y, y_test, n, n_test)
    convert = _CONVERSIONS.get(kind) or partial(_indices, names=names or ())
    tested = None if y_test is None else convert(y_test, "y_test", n_test)
    return convert(y, "y", n), tested, names


def check_targets(y: np.ndarray, key: str, n: int) -> np.ndarray:
    """Return y, of whichever kind, in its one type. Raises InputError about ``key``."""
    kind = target_kind(y)
    if kind != "classes":
        return _CONVERSIONS[kind](y, key, n)
    rule = f"must be {n} integers, one an example"
    require(y.dtype.kind in "iu", key, rule, value=str(y.dtype))
    classes = checked(y, key, n)
    require(classes.min() >= 0, key, "must not be negative", value=int(classes.min()))
    return classes


def _indices(y: np.ndarray, key: str, n: int, names: tuple[str, ...]) -> np.ndarray:
    """Return class indices (n,) int64 into ``names``."""
    found = checked(y, key, n)
    require(
        found.dtype.kind != "U" and found.min() >= 0 and found.max() < len(names),
        key,
        f"must hold the numbers 0 to {len(names) - 1}, as there are {len(names)} class_names",
        hint="Leave class_names out to have the labels themselves as names.",
    )
    return found


def _recognise(y: np.ndarray, y_test: np.ndarray | None) -> str:
    """Return the kind that y and y_test look like."""
    parts = [part for part in (y, y_test) if part is not None]
    if all(part.ndim == 1 and part.dtype.kind in "buif" for part in parts):
        fractions = [part.dtype.kind == "f" and (part != np.trunc(part)).any() for part in parts]
        # A value that is not finite is no fraction: it is refused later, by its own name.
        finite = all(np.isfinite(part).all() for part in parts)
        return "numbers" if any(fractions) and finite else "classes"
    if y.ndim == 2 and y.shape[1] > 1 and y.dtype.kind in "buif" and np.isin(y, (0, 1)).all():
        return "classes" if (y.sum(axis=1) == 1).all() else "multi-label"
    return "classes"


def _numbers(y: np.ndarray, key: str, n: int) -> np.ndarray:
    good, rule = y.shape == (n,) and y.dtype.kind in "buif", f"must be {n} numbers, one an example"
    require(good, key, rule, hint=f"It is {y.dtype} of shape {y.shape}.")
    check_finite(y, key)
    # A model gives float32, but digits of y beyond that, such as of seconds since 1970, serve training.
    numbers = y.astype(np.float64)
    small = np.abs(numbers).max(initial=0) <= np.finfo(np.float32).max
    require(small, key, "has values too large for float32 (above 3.4e38)")
    return numbers


def _several(y: np.ndarray, key: str, n: int) -> np.ndarray:
    good = y.ndim == 2 and len(y) == n and y.shape[1] >= 2 and y.dtype.kind in "buif"
    rule = f"must have shape ({n}, K), a column a label and two or more of them"
    require(good, key, rule, hint=f"It is {y.dtype} of shape {y.shape}.")
    rule = "of several labels an example must hold 0 and 1 only"
    require(bool(np.isin(y, (0, 1)).all()), key, rule)
    return y.astype(np.uint8)


_CONVERSIONS = {"numbers": _numbers, "multi-label": _several}


def to_labels(
    y: np.ndarray, y_test: np.ndarray | None, n: int, n_test: int
) -> tuple[np.ndarray, np.ndarray | None, tuple[str, ...] | None]:
    """Convert classes (n,) and (n_test,), integers, booleans, integral floats or text, to indices.

    Returns:
        y and y_test as int64 class indices 0..K-1, and the names of the classes. Labels other than 0..K-1
        become their places in sorted order and their text the names; labels that are 0..K-1 already have
        no names (None).

    Raises:
        InputError: they cannot be labels, or y_test has labels that y has not.
    """
    labels = checked(y, "y", n)
    classes, indices = np.unique(labels, return_inverse=True)
    indices = indices.astype(np.int64)
    tested = None
    if y_test is not None:
        test_labels = checked(y_test, "y_test", n_test)
        rule = "must have the type of y: one holds text and the other numbers"
        require((labels.dtype.kind == "U") == (test_labels.dtype.kind == "U"), "y_test", rule)
        extra = np.setdiff1d(test_labels, classes)
        shown = ", ".join(map(repr, extra[:5].tolist()))
        many = "a class" if len(extra) == 1 else f"{len(extra)} classes"
        hint = "A class without training examples cannot be learnt."
        require(not len(extra), "y_test", f"has {many} that y has not: {shown}", hint=hint)
        tested = np.searchsorted(classes, test_labels).astype(np.int64)
    if y.dtype.kind == "b":
        classes = classes.astype(bool)
    elif classes.dtype.kind != "U" and np.array_equal(classes, np.arange(len(classes))):
        return indices, tested, None
    return indices, tested, tuple(map(str, classes.tolist()))


def checked(y: np.ndarray, key: str, n: int) -> np.ndarray:
    """Return labels ``y`` (n,), called ``key``, as int64 or text, or raise InputError."""
    require(
        y.ndim != 2 or len(y) != n or y.shape[1] < 2,
        key,
        f"of shape {y.shape} looks one-hot, and classes are one number or name an example",
        hint=f"Give numpy.argmax({key}, axis=1). If an example can have several labels, {key} must hold "
        f"0 and 1; add y_kind='multi-label' if each has one all the same.",
    )
    rule, hint = (
        f"must have shape ({n},), one label an example",
        f"If a column, give {key}.ravel().",
    )
    require(y.ndim == 1, key, rule, value=y.shape, hint=hint)
    require(len(y) == n, key, f"must be one label an example, {n:,} in all", value=len(y))
    if y.dtype.kind == "S":
        try:
            return np.char.decode(y, "utf-8")
        except UnicodeDecodeError:
            raise InputError("holds bytes that are not UTF-8 text", argument=key) from None
    if y.dtype.kind == "U":
        return y
    if y.dtype.kind == "f":
        check_finite(y, key)
        broken = np.flatnonzero((y != np.trunc(y)) | (np.abs(y) > 2**53))
        if len(broken):
            raise InputError(
                f"must hold classes, and value {y[broken[0]]} at index {broken[0]} is not a whole number",
                argument=key,
                hint="To predict numbers, add y_kind='numbers'.",
            )
    elif y.dtype.kind not in "bui":
        raise InputError("must hold whole numbers or text", argument=key, value=str(y.dtype))
    if y.dtype.kind == "u" and y.max() > np.iinfo(np.int64).max:
        raise InputError(f"has the label {y.max()}, too large for a 64-bit integer", argument=key)
    return y.astype(np.int64)
