"""The target task: what is to be learnt from few labels, and the test part that judges it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tasks.dataset import Dataset
from tasks.errors import InputError
from tasks.splits import stratified_order, stratified_split

__all__ = ["TargetTask", "stratified_split"]


@dataclass(frozen=True, kw_only=True, eq=False)
class TargetTask:
    """A classification task with a training pool, from which budgets of labels are drawn.

    x, y: (N, ...) uint8 or float32 examples and (N,) int64 labels 0..K-1, every class present.
    x_test, y_test: the test part, alike; to be touched once, by the final evaluation.
    test_origin: where the test part came from, in words.
    kind: what the examples show, as in Dataset.
    files: for a folder of images, the path of each example of x in it; else None.
    The rest is as in Dataset, but for class_names, which are always there.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    class_names: tuple[str, ...]
    value_range: tuple[float, float]
    source: str
    test_origin: str
    kind: str | None = None
    files: tuple[str, ...] | None = None

    @classmethod
    def from_dataset(
        cls, dataset: Dataset, *, seed: int = 0, test_fraction: float = 0.2
    ) -> TargetTask:
        """Make a task of a labelled set; when it has no test part, split one off, stratified.

        seed, test_fraction: of that split; they change nothing when the set has its own test part.
        Raises InputError when the set is unlabelled, has one class or a class without examples,
        or must be split and has a class of one example.
        """
        y = dataset.y
        if y is None:
            raise InputError(
                f"Data set {dataset.name!r} has no labels, and a target task needs them. Give "
                "labelled data: a .npz file with y, or a folder with one subfolder a class."
            )
        names = dataset.class_names or tuple(str(k) for k in range(dataset.n_classes))
        counts = np.bincount(y, minlength=len(names))
        if len(names) < 2:
            raise InputError(
                f"Data set {dataset.name!r} has one class only, {names[0]!r}: there is nothing to "
                "tell apart. A target task needs two classes or more."
            )
        if not counts.all():
            missing = [repr(names[k]) for k in np.flatnonzero(counts == 0)[:5]]
            raise InputError(
                f"Data set {dataset.name!r} has no training example of class {', '.join(missing)}."
            )
        files = dataset.files
        if dataset.x_test is not None and dataset.y_test is not None:
            parts = (dataset.x, y, dataset.x_test, dataset.y_test)
            origin = "the set's own test part"
        else:
            kept, held_out = _split(dataset.name, y, names, test_fraction, seed)
            parts = (dataset.x[kept], y[kept], dataset.x[held_out], y[held_out])
            files = None if files is None else tuple(files[i] for i in kept)
            part = "fifth" if test_fraction == 0.2 else f"{100 * test_fraction:g} %"
            origin = f"a stratified {part}, split with seed {seed}"
        return cls(
            name=dataset.name,
            x=parts[0],
            y=parts[1],
            x_test=parts[2],
            y_test=parts[3],
            class_names=names,
            value_range=dataset.value_range,
            source=dataset.source,
            test_origin=origin,
            kind=dataset.kind,
            files=files,
        )

    @property
    def n_classes(self) -> int:
        """K, the number of classes."""
        return len(self.class_names)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one example: (H, W, C) or (D,)."""
        return tuple(self.x.shape[1:])

    def labels(self, n: int, seed: int) -> np.ndarray:
        """Return (n,) int64 indices into x of a budget of n labels: stratified, at least one each.

        Budgets of one seed are nested: ``labels(50, s)`` is ``labels(200, s)[:50]``.
        Raises InputError unless K <= n <= len(x).
        """
        if n < self.n_classes:
            raise InputError(
                f"A budget of {n} labels is too small for {self.name!r}: it has {self.n_classes} "
                "classes and needs at least one label a class."
            )
        if n > len(self.x):
            raise InputError(
                f"A budget of {n} labels is more than {self.name!r} has: {len(self.x)} training "
                f"examples ({self.test_origin} is kept for the test)."
            )
        return stratified_order(self.y, n, seed)


def _split(
    name: str, y: np.ndarray, names: tuple[str, ...], fraction: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    if not 0 < fraction < 1:
        raise InputError(f"The test part must be above 0 and below 1. Got {fraction}.")
    single = np.flatnonzero(np.bincount(y) < 2)
    if len(single):
        raise InputError(
            f"Data set {name!r} has no test part, and its class {names[single[0]]!r} has a single "
            "example: one cannot be split. Give each class two examples or more, or add a test "
            "part (x_test and y_test in a .npz file, train/ and test/ in a folder)."
        )
    return stratified_split(y, len(y), fraction, seed, each_class=True)
