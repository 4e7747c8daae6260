"""An unlabelled pool at transfer time: what of it may be used, and how it reaches the encoder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from headstart.errors import InputError, suggest
from tasks.dataset import Dataset
from tasks.duplicates.exact import overlap
from tasks.duplicates.fingerprints import Fingerprints
from tasks.splits import generator
from tasks.task import TargetTask
from transfer.data.input_adapter import InputAdapter

SIZE = 5000
METHODS = ("auto", "self-training", "spreading")


@dataclass(frozen=True, kw_only=True, eq=False)
class Pool:
    """Examples without labels, and what to do with them.

    x: raw (P, ...), as ``inputs`` expects them.
    examples: how many the set had; left_out: why some of them are not in x, by number.
    method: one of METHODS; auto chooses on validation, the plain transfer being among the choices.
    temperature: of the teacher's soft labels in self-training.
    """

    name: str
    x: np.ndarray
    inputs: InputAdapter
    examples: int
    left_out: dict[str, int]
    method: str = "auto"
    temperature: float = 1.0

    @classmethod
    def make(
        cls,
        dataset: Dataset,
        task: TargetTask,
        rows: np.ndarray,
        encoder: dict[str, Any],
        preprocessing: dict[str, Any],
        *,
        seed: int = 0,
        size: int = SIZE,
        method: str = "auto",
        temperature: float = 1.0,
    ) -> Pool:
        """Draw at most ``size`` examples, and no test example and none of the labelled ``rows``.

        Labels that the data set may have are not looked at. Near duplicates of test examples are looked
        for among those drawn. Raises InputError.
        """
        if method not in METHODS:
            raise InputError(
                f"--pool-method must be {', '.join(METHODS)}. Got {method!r}.{suggest(method, METHODS)}"
            )
        if size < 1 or not temperature > 0:
            raise InputError(
                f"--pool-size must be 1 or more and --pool-temperature above 0. "
                f"Got {size} and {temperature:g}."
            )
        inputs = InputAdapter.of(dataset, encoder["input_shape"], preprocessing)
        keep = np.ones(len(dataset.x), bool)
        tested = overlap(task.x_test, dataset.x)
        keep[tested] = False
        labelled = overlap(task.x[rows], dataset.x)
        labelled = labelled[keep[labelled]]
        keep[labelled] = False
        left = np.flatnonzero(keep)
        drawn = np.sort(generator(seed).permutation(left)[:size])
        _, near = (
            Fingerprints.of(task.x_test, task.value_range).find(
                dataset.x[drawn], dataset.value_range
            )
            if len(drawn)
            else (None, None)
        )
        near_count = 0 if near is None else int(near.sum())
        if near is not None:
            drawn = drawn[~near]
        if not len(drawn):
            raise InputError(
                f"--pool {dataset.name} has no example that is neither a test nor a labelled one. "
                f"Give other examples, or leave --pool out."
            )
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
            method=method,
            temperature=temperature,
        )

    def tell(self) -> str:
        """Return a line about what is used and what was left out."""
        out = self.left_out
        return (
            f"Pool: {self.name}, {len(self.x):,} of {self.examples:,} examples; left out: "
            f"{out['test']:,} test examples, {out['nearly_test']:,} of the drawn that nearly are, "
            f"{out['labelled']:,} labelled ones; {out['not_drawn']:,} not drawn"
        )

    def to_json(self) -> dict[str, Any]:
        """Return the facts for the result."""
        return {"name": self.name, "examples": len(self.x), "left_out": self.left_out}

    def using(self, method: str) -> Pool:
        """Return the same pool with another method."""
        return replace(self, method=method)
