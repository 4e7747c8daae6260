"""Cross-validation folds inside a label budget."""

from __future__ import annotations

import numpy as np

from headstart.errors import InputError, arg
from tasks.splits import generator

# Large budgets need fewer folds for the same precision, and each fold costs a training.
FOLDS, FEW_FOLDS, MANY_LABELS = 5, 3, 150
# A class whose share differs by a smaller part than this is not weighted.
MIN_IMBALANCE = 0.1


def folds(
    y: np.ndarray, seed: int, *, classes: bool = True, most: int = FOLDS
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return stratified folds in which every row is validated once.

    A class with fewer examples than there are folds has at most one in each, so that every training part
    holds every class.

    Args:
        y: (N,) integers, classes or groups.
        seed: decides which rows share a fold.
        classes: whether y are classes. The only example of a class is then trained on in every fold and
            never validated, because without it the class could not be learnt. False: y are groups to
            stratify by.
        most: the largest number of folds.

    Returns:
        [(rows to train on, rows to validate on)], int64. Empty where every class has one example only.

    Raises:
        InputError: there are fewer than two examples.

    Example:
        >>> [held.tolist() for _, held in folds(np.array([0, 0, 1, 1]), seed=0)]
        [[0, 2], [1, 3]]
    """
    if len(y) < 2:
        rule = "Cross-validation needs at least two labelled examples"
        hint = f"Choose {arg.reuse} and {arg.unlabelled_method} yourself."
        raise InputError(rule, value=len(y), hint=hint)
    rng = generator(seed)
    # Dealt out class by class without starting anew, so that the folds differ in size by one at most.
    dealt = [rng.permutation(np.flatnonzero(y == k)) for k in np.unique(y)]
    order = np.concatenate(
        [rows for rows in dealt if len(rows) > 1 or not classes] or [dealt[0][:0]]
    )
    if not len(order):
        return []
    count = FOLDS if len(y) < MANY_LABELS else FEW_FOLDS
    count = max(2, min(count, most, len(order) // 2))
    fold = np.full(len(y), -1)
    fold[order] = np.arange(len(order)) % count
    return [(np.flatnonzero(fold != i), np.flatnonzero(fold == i)) for i in range(count)]


def restore_class_proportions(y: np.ndarray, train: np.ndarray) -> np.ndarray | None:
    """Return weights that restore the overall class proportions in a training fold.

    Without them a class with two labels is halved in the fold that validates it, which penalises candidates
    sensitive to class priors.

    Args:
        y: (N,) integers, the classes of all labelled examples.
        train: (M,) integers, the rows of the training fold.

    Returns:
        float32 (M,) with mean 1; None where no share differs by a tenth.
    """
    overall, fold = (np.bincount(rows, minlength=int(y.max()) + 1) for rows in (y, y[train]))
    weights = (overall / np.maximum(fold, 1))[y[train]]
    weights /= weights.mean()
    return None if np.abs(weights - 1).max() < MIN_IMBALANCE else weights.astype(np.float32)
