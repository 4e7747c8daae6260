"""y as users save it -> y of a Dataset: classes, numbers, or several labels an example."""

from __future__ import annotations

import numpy as np

from tasks.arrays import check_finite, checked, to_labels
from tasks.errors import InputError, suggest
from tasks.kinds import KINDS


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

    kind: a name in tasks.kinds.KINDS, or None to see it in y: floating point with a fraction somewhere is
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
