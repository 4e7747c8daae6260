"""The random views that a training sees, if any, chosen by repeated cross-validation inside the labels.

Views help most where little was learnt before: a network from scratch gains up to 24 points, a pretrained
one up to five, and loses three where images are so small that a shift by a pixel is much. So the labels
decide, and a flip is innocent where the recipe with it is better than the recipe without.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pretrain.augment.recipes import usual_kind
from transfer.data.folds import folds
from transfer.inference import FeatureCache, predict_batched
from transfer.metrics.temperature import fit_temperature, losses
from transfer.selection.decision import paired_error
from transfer.selection.search import NOT_VALIDATED
from transfer.training.fit import fit

if TYPE_CHECKING:
    from pretrain.engine.session import Session
    from tasks.task import TargetTask
    from transfer.training.fit import FitPlan

NONE = "none"
# Chosen on held-out training images (docs/transfer.md).
FOLDS, REPEATS = 3, 2
# Standard errors by which the loss with views must be below that without them.
MIN_LEAD = 1.0
# No probability counts as lower than this.
LEAST = 1e-3
NOTHING: dict[str, Any] = {"chosen": NONE, "tried": [], "folds": 0, "repeats": 0, "seconds": 0.0}


def usual_views(task: TargetTask, input_shape: Sequence[int]) -> str:
    """Return the recipe for what a task's examples show, as an encoder of ``input_shape`` takes them."""
    # Images may have become the encoder's vectors on their way.
    same = task.kind is not None and len(task.input_shape) == len(input_shape)
    return str(task.kind) if same else usual_kind(tuple(input_shape))


def views_to_try(task: TargetTask, input_shape: Sequence[int]) -> tuple[str, ...]:
    """Return the recipes to choose among, the plain examples first.

    Where nobody said what images show, the usual recipe flips them, and a second one does not.
    """
    usual = usual_views(task, input_shape)
    unknown = task.kind is None and len(input_shape) == 3
    return tuple(dict.fromkeys((NONE, usual, *(["digits"] if unknown else []))))


def choose_views(
    x: np.ndarray, y: np.ndarray, plan: FitPlan, session: Session, names: Sequence[str]
) -> dict[str, Any]:
    """Return the recipe to train with, as ``chosen``, and how each validated, as JSON.

    Args:
        x: raw labelled examples (N, ...); nothing else is looked at.
        y: their classes, int32 (N,).
        plan: of the training, whatever its recipe says of views.
        session: keeps compiled steps.
        names: of ``views_to_try``.
    """
    began, session = time.monotonic(), session.aside()
    prepared, network = predict_batched(plan.inputs.model(), x), plan.network()
    runs = [folds(y, plan.seed + repeat, most=FOLDS) for repeat in range(REPEATS)]
    if not runs[0]:
        return {**NOTHING, "reason": NOT_VALIDATED}
    said: dict[str, list[np.ndarray]] = {}
    for name in names:
        own = replace(plan, recipe=replace(plan.recipe, augment=name))
        for parts in runs:
            found = np.full((len(y), len(plan.target.names)), np.nan)
            for train, held in parts:
                cache = FeatureCache(prepared[train])
                fitted = fit(cache, y[train], own, session, network=network)
                outputs = fitted.outputs(FeatureCache(prepared[held]))
                found[held] = plan.target.probabilities(outputs)
            said.setdefault(name, []).append(found)
    seen = ~np.isnan(said[NONE][0][:, 0])
    chosen, reason, tried = best_views(
        {name: np.stack(each)[:, seen] for name, each in said.items()}, y[seen]
    )
    seconds = round(time.monotonic() - began, 3)
    about = {"chosen": chosen, "reason": reason, "tried": tried}
    return {**about, "folds": len(runs[0]), "repeats": REPEATS, "seconds": seconds}


def best_views(
    said: Mapping[str, np.ndarray], y: np.ndarray
) -> tuple[str, str, list[dict[str, Any]]]:
    """Return which views are taken, why, and a row of each.

    Those with the lowest loss, each repeat's probabilities being calibrated by one temperature, if the mean
    over the repeats is below that of the plain examples by MIN_LEAD standard errors of the paired
    difference, and they are not right less often; else the plain examples.

    Args:
        said: distributions (R, N, K) of held-out labels in R repeats, by recipe, NONE first.
        y: int (N,), their classes.
    """
    right, lost = {}, {}
    for name, repeats in said.items():
        clipped = np.clip(repeats.astype(np.float64), LEAST, 1)
        right[name] = (clipped.argmax(axis=2) == y).mean(axis=0)
        each = [losses(p, y, fit_temperature(p, y)) for p in clipped]
        lost[name] = np.mean(each, axis=0)
    tried: list[dict[str, Any]] = [
        {
            "views": name,
            "accuracy": float(right[name].mean()),
            "loss": float(lost[name].mean()),
            "below_plain": float((lost[NONE] - lost[name]).mean()),
            "loss_standard_error": paired_error(lost[NONE] - lost[name]),
        }
        for name in said
    ]
    best = min(tried, key=lambda row: row["loss"])
    if best["views"] == NONE:
        return NONE, "no views have a lower loss than the examples as they are", tried
    lead = f"a loss {best['below_plain']:.2f} below that of the examples as they are"
    ahead = best["below_plain"] > MIN_LEAD * best["loss_standard_error"]
    if ahead and best["accuracy"] >= tried[0]["accuracy"]:
        return best["views"], lead, tried
    return NONE, f"{best['views']} has {lead}, which is not enough", tried
