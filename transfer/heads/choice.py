"""The parameter of a solved head, chosen by cross-validation inside the labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.splits import generator

if TYPE_CHECKING:
    from transfer.heads.base import SolvedHead
    from transfer.targets.base import Target

# More labels than this do not change the choice, and are left out of it.
MAX_LABELS = 5000
# Fewer than this cannot be divided.
MIN_LABELS = 4


def choose(
    head: SolvedHead,
    features: np.ndarray,
    y: np.ndarray,
    target: Target,
    weights: np.ndarray | None,
    seed: int,
) -> dict[str, Any]:
    """Return as JSON the value that validates best, and the table of all that were tried.

    Args:
        head: its ``trial`` makes the table, its ``rank`` decides.
        features: (N, D) float32.
        y: encoded by ``target``.
        target: divides the labels into folds and judges each example.
        weights: float32 (N,) or None; they count in the judgement too.
        seed: of the folds.

    Returns:
        The parameter's name and value, folds, examples (judged ones), tried, and the head's ``about``. The
        only example of a class is trained on, and not judged.
    """
    name = head.parameter
    unchosen = {name: head.unchosen, "folds": 0, "examples": 0, "tried": [], **head.about}
    if len(y) < MIN_LABELS:
        return unchosen
    rows = np.sort(generator(seed).permutation(len(y))[:MAX_LABELS])
    features, y = features[rows], y[rows]
    weights = None if weights is None else weights[rows]
    parts = target.folds(y, seed)
    judged = np.sort(np.concatenate([held for _, held in parts])) if parts else rows[:0]
    if len(judged) < MIN_LABELS:
        return unchosen
    seen: dict[float, dict[str, np.ndarray]] = {}
    for train, held in parts:
        own = None if weights is None else weights[train]
        trial = head.trial(features[train], y[train], target, own, features[held])
        for value, said in trial.items():
            for measure, each in target.judge(said, y[held]).items():
                kept = seen.setdefault(value, {}).setdefault(measure, np.full(len(y), np.nan))
                kept[held] = each
    # A k that the smallest fold did not have was not tried on all.
    weights = None if weights is None else weights[judged]
    means = {
        value: {m: float(np.average(e[judged], weights=weights)) for m, e in measures.items()}
        for value, measures in seen.items()
        if not any(np.isnan(e[judged]).any() for e in measures.values())
    }
    return {
        name: min(means, key=lambda value: head.rank(means[value])),
        "folds": len(parts),
        "examples": len(judged),
        "tried": [{name: value, **measures} for value, measures in means.items()],
        **head.about,
    }
