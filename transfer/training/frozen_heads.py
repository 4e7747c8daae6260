"""Heads that are solved on frozen features: a logistic regression, or the nearest neighbours.

Nothing is trained by gradient steps. The one number that each has, C or k, is chosen by cross-validation
inside the labels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.errors import InputError
from tasks.splits import generator
from tasks.targets import strata

if TYPE_CHECKING:
    from transfer.model.network import Body

# The inverse strength of the logistic regression's penalty, from strong to weak.
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
# Odd, so that two classes cannot draw.
COUNTS = (1, 3, 5, 7, 9, 15, 25)
# More labels than this do not change the choice, and are left out of it.
MOST = 5000
# Fewer than this cannot be divided; then these are taken.
LEAST = 4
UNCHOSEN: Mapping[str, float] = {"logistic": 1e-1, "knn": 1}
CHOSEN: Mapping[str, str] = {"logistic": "C", "knn": "k"}
# Measured against the Euclidean distance, and against features as they are: docs/transfer.md.
DISTANCE = "cosine of standardised features"

Told = dict[float, np.ndarray]
"""C or k -> what the head then says of M examples, (M, K) float: chances, or numbers."""


def solve_head(
    body: Body,
    x: np.ndarray,
    y: np.ndarray,
    target: str,
    weights: np.ndarray | None,
    seed: int,
) -> dict[str, Any]:
    """Give ``body`` its head, and return as plain data what was chosen, and from which table.

    x: prepared examples (N, ...) float32. y, target: as in transfer.training.fit. weights: float32 (N,) or
    None. Of k the highest accuracy is chosen, of equals the lowest loss; of C the lowest loss; for numbers
    and for several labels an example the lowest mean squared error. The weights count there too. The only
    example of a class is trained on, and not judged.
    """
    from transfer.inference import apply

    name, outputs = body.arrangement.head, body.outputs
    assert outputs is not None
    if name == "knn" and weights is not None:
        raise InputError(
            "--head knn counts every neighbour alike, so it takes no weights of examples or classes: "
            "leave them out, or take --head logistic."
        )
    if name == "logistic" and target == "classes" and y.ndim == 2:
        y = y.argmax(axis=1)
    features = apply(body.model, x)
    trial = _neighbours if name == "knn" else _regressions
    found = _choose(name, trial, features, y, target, outputs, weights, seed)
    value = found[CHOSEN[name]]
    if name == "knn":
        body.remember(features, _answers(y, target, outputs), int(value))
    else:
        kernel, bias = _solved(features, y, target, outputs, value, weights)
        body.head.kernel.assign(kernel)
        body.head.bias.assign(bias)
    return found


def _choose(
    name: str,
    trial: Callable[..., Told],
    features: np.ndarray,
    y: np.ndarray,
    target: str,
    outputs: int,
    weights: np.ndarray | None,
    seed: int,
) -> dict[str, Any]:
    from transfer.data.folds import folds

    about: dict[str, Any] = {"distance": DISTANCE} if name == "knn" else {}
    unchosen = {CHOSEN[name]: UNCHOSEN[name], "folds": 0, "examples": 0, "tried": [], **about}
    if len(y) < LEAST:
        return unchosen
    rows = np.sort(generator(seed).permutation(len(y))[:MOST])
    features, y = features[rows], y[rows]
    weights = None if weights is None else weights[rows]
    parts = folds(_hard(y), seed) if target == "classes" else folds(strata(y), seed, classes=False)
    judged = np.sort(np.concatenate([held for _, held in parts])) if parts else rows[:0]
    if len(judged) < LEAST:
        return unchosen
    seen: dict[float, dict[str, np.ndarray]] = {}
    for train, held in parts:
        own = None if weights is None else weights[train]
        told = trial(features[train], y[train], target, outputs, own, features[held])
        for value, said in told.items():
            for measure, each in _judged(said, y[held], target).items():
                kept = seen.setdefault(value, {}).setdefault(measure, np.full(len(y), np.nan))
                kept[held] = each
    # A k that the smallest fold did not have was not tried on all.
    weights = None if weights is None else weights[judged]
    means = {
        value: {m: float(np.average(e[judged], weights=weights)) for m, e in measures.items()}
        for value, measures in seen.items()
        if not any(np.isnan(e[judged]).any() for e in measures.values())
    }
    best = min(means, key=lambda value: _rank(name, means[value]))
    return {
        CHOSEN[name]: best,
        "folds": len(parts),
        "examples": len(judged),
        "tried": [{CHOSEN[name]: value, **measures} for value, measures in means.items()],
        **about,
    }


def _rank(head: str, means: Mapping[str, float]) -> tuple[float, ...]:
    """Return what is lowest for the best. The shares of few neighbours make a poor loss."""
    if "loss" not in means:
        return (means["mean_squared_error"],)
    return (-means["accuracy"], means["loss"]) if head == "knn" else (means["loss"],)


def _judged(said: np.ndarray, y: np.ndarray, target: str) -> dict[str, np.ndarray]:
    """Return measures (M,) of what was said (M, K) of examples with y."""
    if target != "classes":
        return {"mean_squared_error": np.square(said - y.reshape(said.shape)).mean(axis=1)}
    y = _hard(y)
    true = np.clip(said[np.arange(len(y)), y].astype(np.float64), 1e-7, 1)
    right = (said.argmax(axis=1) == y).astype(np.float64)
    return {"accuracy": right, "loss": -np.log(true)}


def _hard(y: np.ndarray) -> np.ndarray:
    return y if y.ndim == 1 else y.argmax(axis=1)


def _regressions(
    features: np.ndarray,
    y: np.ndarray,
    target: str,
    outputs: int,
    weights: np.ndarray | None,
    new: np.ndarray,
) -> Told:
    from transfer.model.target import predictions

    told = {}
    for c in STRENGTHS:
        kernel, bias = _solved(features, y, target, outputs, c, weights)
        told[c] = predictions(new @ kernel + bias, target)
    return told


def _solved(
    features: np.ndarray,
    y: np.ndarray,
    target: str,
    outputs: int,
    c: float,
    weights: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    from transfer.model.linear import solve_classes, solve_labels, solve_numbers

    if target == "numbers":
        return solve_numbers(features, y, c, weights)
    if target == "multi-label":
        return solve_labels(features, y, c, weights)
    return solve_classes(features, y, outputs, c, weights)


def _neighbours(
    features: np.ndarray,
    y: np.ndarray,
    target: str,
    outputs: int,
    weights: np.ndarray | None,
    new: np.ndarray,
) -> Told:
    from transfer.model.knn import nearest

    counts = [k for k in COUNTS if k <= len(features)]
    found = nearest(features, new, counts[-1])
    known = _answers(y, target, outputs)
    if target == "classes" and outputs == 1:
        known = np.hstack([1 - known, known])
    return {k: known[found[:, :k]].mean(axis=1) for k in counts}


def _answers(y: np.ndarray, target: str, outputs: int) -> np.ndarray:
    """Return (N, outputs) float32: what each example answers when it is a neighbour."""
    if target == "classes" and y.ndim == 1:
        y = np.eye(max(2, outputs), dtype=np.float32)[y]
    if target == "classes" and outputs == 1:
        y = y[:, 1]
    return y.reshape(len(y), outputs).astype(np.float32)
