"""Folds of a label budget, on which a search, a pool and a solved head validate."""

from __future__ import annotations

import numpy as np

from headstart.errors import InputError

# Large budgets need fewer folds for the same precision, and can afford fewer.
FOLDS, FEW_FOLDS, LARGE = 5, 3, 150
# Shares of classes that differ by less are taken for equal.
MOST_UNEQUAL = 0.1


def folds(y: np.ndarray, seed: int, *, classes: bool = True) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return [(rows to train on, rows to validate on)]: every row is validated on once.

    Stratified: a class with fewer examples than there are folds has at most one in each, so that what is
    trained on holds every class. classes: whether y are classes; the only example of one is then trained on
    in every fold and never validated, for nothing could be told of a class without an example. Of classes
    with one example each there is no fold. False: y only says what to stratify by.

    Raises InputError for fewer than two examples.
    """
    from tasks.splits import generator

    if len(y) < 2:
        raise InputError(
            f"What is best is found out by training on some labels and looking at the others, which takes "
            f"two or more. Got {len(y)}: leave --reuse auto out, and choose the method of a --pool yourself "
            f"(--pool-method)."
        )
    rng = generator(seed)
    # Dealt out class by class without starting anew, so that the folds are of one size, give or take one.
    dealt = [rng.permutation(np.flatnonzero(y == k)) for k in np.unique(y)]
    order = np.concatenate(
        [rows for rows in dealt if len(rows) > 1 or not classes] or [dealt[0][:0]]
    )
    if not len(order):
        return []
    count = FOLDS if len(y) < LARGE else FEW_FOLDS
    count = max(2, min(count, len(order) // 2))
    fold = np.full(len(y), -1)
    fold[order] = np.arange(len(order)) % count
    return [(np.flatnonzero(fold != i), np.flatnonzero(fold == i)) for i in range(count)]


def restore_class_proportions(y: np.ndarray, train: np.ndarray) -> np.ndarray | None:
    """Return weights (M,) of the rows ``train`` that give each class the share that it has in y, int (N,).

    Of a class with two labels a fold trains on one, beside classes of which it has both; and it is the one's
    class that is then asked for. What learns shares readily would look worse than it is on all labels.
    None where the shares differ by less than a tenth.
    """
    whole, part = (np.bincount(rows, minlength=int(y.max()) + 1) for rows in (y, y[train]))
    times = (whole / np.maximum(part, 1))[y[train]]
    times /= times.mean()
    return None if np.abs(times - 1).max() < MOST_UNEQUAL else times.astype(np.float32)
