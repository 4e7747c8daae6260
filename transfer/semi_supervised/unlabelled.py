"""The unlabelled set of a transfer: the examples that may be used, and their way to the encoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.errors import InputError, arg, check_known
from pretrain.augment.recipes import Augmentation
from pretrain.encoders import ARCHITECTURES
from tasks.dataset import Dataset
from tasks.duplicates.exact import overlap
from tasks.duplicates.fingerprints import Fingerprints
from tasks.splits import generator
from tasks.task import TargetTask
from transfer.data.input_adapter import InputAdapter
from transfer.selection.views import usual_views
from transfer.training.fit import FitPlan

SIZE = 5000
METHODS = ("auto", "self-training", "spreading", "consistency")


@dataclass(frozen=True, kw_only=True, eq=False)
class UnlabelledSet:
    """Examples without labels, and what to do with them.

    x: raw (P, ...), as ``inputs`` expects them.
    examples: how many the set had; left_out: why some of them are not in x, by number.
    method: one of METHODS; auto chooses on validation, the plain transfer being among the choices.
    temperature: of the teacher's soft labels in self-training.
    augmentation: of the views in consistency training; None where none can be made.
    guessed: whether it is by the shape alone: nobody said what the examples show.
    """

    name: str
    x: np.ndarray
    inputs: InputAdapter
    examples: int
    left_out: dict[str, int]
    fingerprint: str = ""
    method: str = "auto"
    temperature: float = 1.0
    augmentation: Augmentation | None = None
    guessed: bool = False

    @classmethod
    def make(
        cls,
        dataset: Dataset,
        task: TargetTask,
        rows: np.ndarray,
        fit: FitPlan,
        *,
        size: int = SIZE,
        method: str = "auto",
        temperature: float = 1.0,
    ) -> UnlabelledSet:
        """Draw at most ``size`` examples, and no test example and none of the labelled ``rows``.

        Labels that the data set may have are not looked at. Near duplicates of test examples are looked
        for among those drawn. Raises InputError.
        """
        check_known(method, METHODS, "unlabelled_method")
        source, augmentation = fit.source, _views(task, fit)
        if method == "consistency" and (rule := no_consistency(fit, augmentation)):
            hint = f"Choose another {arg.unlabelled_method}."
            raise InputError(rule, argument="unlabelled_method", value=method, hint=hint)
        inputs = InputAdapter.of(dataset, source.encoder["input_shape"], source.preprocessing)
        keep = np.ones(len(dataset.x), bool)
        tested = overlap(task.x_test, dataset.x)
        keep[tested] = False
        labelled = overlap(task.x[rows], dataset.x)
        labelled = labelled[keep[labelled]]
        keep[labelled] = False
        left = np.flatnonzero(keep)
        drawn = np.sort(generator(fit.seed).permutation(left)[:size])
        near = None
        if len(drawn):
            tests = Fingerprints.of(task.x_test, task.value_range)
            _, near = tests.find(dataset.x[drawn], dataset.value_range)
        near_count = 0 if near is None else int(near.sum())
        if near is not None:
            drawn = drawn[~near]
        if not len(drawn):
            rule = f"{dataset.name} has no example that is neither a test nor a labelled one"
            hint = f"Give other examples, or leave {arg.unlabelled} out."
            raise InputError(rule, argument="unlabelled", hint=hint)
        return cls(
            name=dataset.name,
            x=dataset.x[drawn],
            inputs=inputs,
            examples=len(dataset.x),
            left_out={
                "test": len(tested),
                "nearly_test": near_count,
                "labelled": len(labelled),
                "not_drawn": max(0, len(left) - size),
            },
            fingerprint=dataset.fingerprint,
            method=method,
            temperature=temperature,
            augmentation=augmentation,
            guessed=task.kind is None and fit.recipe.augment == "none",
        )

    def describe(self) -> str:
        """Return a line about what is used and what was left out."""
        out = self.left_out
        return (
            f"Unlabelled: {self.name}, {len(self.x):,} of {self.examples:,} examples; left out: "
            f"{out['test']:,} test examples, {out['nearly_test']:,} of the drawn that nearly are, "
            f"{out['labelled']:,} labelled ones; {out['not_drawn']:,} not drawn"
        )

    def to_json(self) -> dict[str, Any]:
        """Return the facts for the result."""
        return {"name": self.name, "examples": len(self.x), "left_out": self.left_out}


def _views(task: TargetTask, fit: FitPlan) -> Augmentation | None:
    """Return the augmentation of consistency training; None where none fits the encoder."""
    encoder = fit.source.encoder
    shape = tuple(encoder["input_shape"])
    if ARCHITECTURES[encoder["architecture"]].imported:
        return None
    name = fit.recipe.augment
    return Augmentation.of(usual_views(task, shape) if name == "none" else name, shape)


def no_consistency(fit: FitPlan, augmentation: Augmentation | None) -> str:
    """Return why a training cannot go on with consistency; "" where it can."""
    if augmentation is None:
        return (
            "makes views of values from 0 to 1, and a model that was trained elsewhere has others"
        )
    if fit.recipe.untuned:
        return f"trains the encoder, and nothing would be fine-tuned: {fit.recipe.untuned}"
    if fit.recipe.interpolate < 1:
        return f"goes on from fine-tuned weights, and {arg.interpolate} would take them back"
    return ""
