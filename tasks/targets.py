"""Kinds of target (classes, numbers, several labels): recognise, check, encode and stratify y."""

from __future__ import annotations

import numpy as np

from headstart.errors import InputError, suggest

KINDS = {
    "classes": "one class an example",
    "numbers": "one number an example",
    "multi-label": "any of several labels an example",
}
# Numbers are spread evenly over so many stretches, where there are enough examples for each.
STRETCHES, LEAST = 10, 5


def target_kind(y: np.ndarray) -> str:
    """Return the name in KINDS of y: (N,) integers, (N,) floating point, or (N, K) of 0 and 1."""
    if y.ndim == 2:
        return "multi-label"
    return "numbers" if y.dtype.kind == "f" else "classes"


def strata(y: np.ndarray) -> np.ndarray:
    """Return (N,) int64, the numbers 0..S-1 of the groups to stratify y by; classes are their own.

    Numbers: tenths of the sorted examples (fewer and larger parts below 50 examples). Several labels: the
    rarest label that an example has, and one group for those that have none; so rare labels are
    spread evenly, and common ones nearly.
    """
    kind = target_kind(y)
    if kind == "classes":
        return y.astype(np.int64)
    if kind == "numbers":
        count = max(1, min(STRETCHES, len(y) // LEAST))
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
    where: str,
    *,
    kind: str | None = None,
    names: tuple[str, ...] | None = None,
) -> tuple[np.ndarray, np.ndarray | None, tuple[str, ...] | None]:
    """Return (y, y_test, class_names) as Dataset wants them: classes, numbers or several labels.

    kind: a name in tasks.targets.KINDS, or None to see it in y: floating point with a fraction somewhere is
        numbers; zeros and ones (n, K) are several labels an example, unless each row has a single
        one; all else is classes, as ``to_labels`` takes them.
    names: of the K labels, or of the classes 0..K-1. where: the file, for messages.
    Raises InputError for what cannot be used.
    """
    if kind is not None and kind not in KINDS:
        raise InputError(
            f"{where}: y_kind must be one of {', '.join(KINDS)}. Got {kind!r}.{suggest(kind, KINDS)}"
        )
    kind = kind or _seen(y, y_test)
    if kind == "numbers":
        if names is not None:
            raise InputError(f"{where}: y is numbers, which have no class_names. Leave them out.")
        tested = None if y_test is None else _numbers(y_test, "y_test", n_test, where)
        return _numbers(y, "y", n, where), tested, None
    if kind == "multi-label":
        tested = None if y_test is None else _several(y_test, "y_test", n_test, where)
        return _several(y, "y", n, where), tested, names
    if names is None:
        return to_labels(y, y_test, n, n_test, where)
    parts: list[np.ndarray | None] = []
    for key, labels, count in (("y", y, n), ("y_test", y_test, n_test)):
        if labels is None:
            parts.append(None)
            continue
        found = checked(labels, key, count, where)
        if found.dtype.kind == "U" or found.min() < 0 or found.max() >= len(names):
            raise InputError(
                f"{where}: with {len(names)} class_names, {key} must hold the numbers 0 to "
                f"{len(names) - 1}. Leave class_names out to have the labels themselves as names."
            )
        parts.append(found)
    indices, tested = parts
    assert indices is not None
    return indices, tested, names


def _seen(y: np.ndarray, y_test: np.ndarray | None) -> str:
    """Return what y, and y_test, look like."""
    parts = [part for part in (y, y_test) if part is not None]
    if all(part.ndim == 1 and part.dtype.kind in "buif" for part in parts):
        fractions = [part.dtype.kind == "f" and (part != np.trunc(part)).any() for part in parts]
        # What is not finite is no fraction: it is refused later, by its own name.
        finite = all(np.isfinite(part).all() for part in parts)
        return "numbers" if any(fractions) and finite else "classes"
    if y.ndim == 2 and y.shape[1] > 1 and y.dtype.kind in "buif" and np.isin(y, (0, 1)).all():
        return "classes" if (y.sum(axis=1) == 1).all() else "multi-label"
    return "classes"


def _numbers(y: np.ndarray, key: str, n: int, where: str) -> np.ndarray:
    """Return numbers (n,) float64, or raise InputError."""
    if y.shape != (n,) or y.dtype.kind not in "buif":
        raise InputError(
            f"{where}: {key} must be {n} numbers, one an example. It is {y.dtype} of shape {y.shape}."
        )
    check_finite(y, key, where)
    # A model gives float32, but what y tells beyond that, such as seconds since 1970, is kept to learn from.
    numbers = y.astype(np.float64)
    if np.abs(numbers).max(initial=0) > np.finfo(np.float32).max:
        raise InputError(f"{where}: {key} has values too large for float32 (above 3.4e38).")
    return numbers


def _several(y: np.ndarray, key: str, n: int, where: str) -> np.ndarray:
    """Return labels (n, K) uint8 of 0 and 1, or raise InputError."""
    if y.ndim != 2 or len(y) != n or y.shape[1] < 2 or y.dtype.kind not in "buif":
        raise InputError(
            f"{where}: {key} must have shape ({n}, K), a column a label and two or more of them. It is "
            f"{y.dtype} of shape {y.shape}."
        )
    if not np.isin(y, (0, 1)).all():
        raise InputError(
            f"{where}: {key} of several labels an example must hold 0 and 1 only, and holds others."
        )
    return y.astype(np.uint8)


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
