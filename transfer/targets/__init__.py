"""The table of targets: one row a kind of y. Which kind a y is, ``tasks.targets`` says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from transfer.targets.base import Target
from transfer.targets.classification import Classification
from transfer.targets.multi_label import MultiLabel
from transfer.targets.regression import Regression

if TYPE_CHECKING:
    from tasks.task import TargetTask

TARGETS: dict[str, type[Target]] = {
    row.name: row for row in (Classification, Regression, MultiLabel)
}


def target_of(task: TargetTask, rows: np.ndarray) -> Target:
    """Return a task's target, learnt from the labels at ``rows`` (n,) and no others."""
    return TARGETS[task.target].of(task.y[rows], task.class_names)


def target_of_result(result: Mapping[str, Any]) -> Target:
    """Return the target of a result's JSON, or of a model file's: "target" and "classes"."""
    return TARGETS[result.get("target", "classes")](names=tuple(map(str, result["classes"])))
