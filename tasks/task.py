"""The target task: what is to be learnt from few labels, and the test part that judges it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headstart.errors import InputError
from tasks.dataset import Dataset
from tasks.splits import stratified_order, stratified_split
from tasks.targets import strata, target_kind

__all__ = ["TargetTask", "stratified_split"]


@dataclass(frozen=True, kw_only=True, eq=False)
class TargetTask:
    """A task with a training pool, from which budgets of labels are drawn.

    x, y: (N, ...) uint8 or float32 examples; and (N,) int64 labels 0..K-1, every class present, or
        (N,) float64 numbers, or (N, K) uint8 labels of 0 and 1, each of them present.
    x_test, y_test: the test part, alike; to be touched once, by the final evaluation.
    test_origin: where the test part came from, in words.
    kind: what the examples show, as in Dataset.
    files: for a folder of images, the path of each example of x in it; else None.
    The rest is as in Dataset, but for class_names, which are always there; numbers have none.
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
        or must be split and has a class of one example; and when all numbers are equal.
        """
        y = dataset.y
        if y is None:
            raise InputError(
                f"Data set {dataset.name!r} has no labels, and a target task needs them. Give "
                "labelled data: a .npz file with y, or a folder with one subfolder a class."
            )
        names = _names(dataset, y)
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
    def target(self) -> str:
        """The kind of y, a name in tasks.targets.KINDS."""
        return target_kind(self.y)

    @property
    def n_classes(self) -> int:
        """K, the number of classes or of labels; 0 of numbers."""
        return len(self.class_names)

    def absent(self, rows: np.ndarray) -> list[str]:
        """Return the classes or labels that no example of ``x[rows]`` has."""
        y = self.y[rows]
        if self.target == "numbers":
            return []
        has = np.isin(np.arange(self.n_classes), y) if y.ndim == 1 else y.any(axis=0)
        return [name for name, there in zip(self.class_names, has, strict=True) if not there]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one example: (H, W, C) or (D,)."""
        return tuple(self.x.shape[1:])

    def labels(self, n: int, seed: int) -> np.ndarray:
        """Return (n,) int64 indices into x of a budget of n labels: stratified, at least one each.

        Strata: the classes, or the groups of tasks.targets.strata.
        Budgets of one seed are nested: ``labels(50, s)`` is ``labels(200, s)[:50]``.
        Raises InputError unless K <= n <= len(x), K being the number of strata.
        """
        groups = strata(self.y)
        least = self.n_classes if self.target == "classes" else int(groups.max()) + 1
        if n < least:
            raise InputError(
                f"A budget of {n} labels is too small for {self.name!r}: it has "
                + {
                    "classes": f"{least} classes and needs at least one label a class.",
                    "numbers": f"numbers, of which each of {least} stretches needs one label.",
                    "multi-label": f"several labels an example, and needs {least} or more, so that "
                    "each label can be seen once.",
                }[self.target]
            )
        if n > len(self.x):
            raise InputError(
                f"A budget of {n} labels is more than {self.name!r} has: {len(self.x)} training "
                f"examples ({self.test_origin} is kept for the test)."
            )
        return stratified_order(groups, n, seed)


def _names(dataset: Dataset, y: np.ndarray) -> tuple[str, ...]:
    """Return the names of the classes or labels. Raises InputError when there is nothing to learn."""
    kind = target_kind(y)
    if kind == "numbers":
        if y.min() == y.max():
            raise InputError(
                f"y of data set {dataset.name!r} is {float(y[0]):g} for every training example: there is "
                "nothing to predict."
            )
        # What a model gives is float32. A hundredth of the spread is what rounding may cost.
        step = float(np.finfo(np.float32).eps * np.abs(y).max())
        if step > y.std() / 100:
            raise InputError(
                f"y of data set {dataset.name!r} lies around {float(y.mean()):g} and varies by only "
                f"{y.std():g}: a model gives float32, whose numbers are {step:g} apart there. Subtract what "
                f"they have in common, such as their mean, from y and y_test."
            )
        return ()
    count = y.shape[1] if kind == "multi-label" else dataset.n_classes
    names = dataset.class_names or tuple(str(k) for k in range(count))
    if len(names) < 2:
        raise InputError(
            f"Data set {dataset.name!r} has one class only, {names[0]!r}: there is nothing to "
            "tell apart. A target task needs two classes or more."
        )
    counts = y.sum(axis=0) if kind == "multi-label" else np.bincount(y, minlength=len(names))
    if not counts.all():
        missing = [repr(names[k]) for k in np.flatnonzero(counts == 0)[:5]]
        raise InputError(
            f"Data set {dataset.name!r} has no training example of class {', '.join(missing)}."
        )
    return names


def _split(
    name: str, y: np.ndarray, names: tuple[str, ...], fraction: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    if not 0 < fraction < 1:
        raise InputError(f"The test part must be above 0 and below 1. Got {fraction}.")
    if target_kind(y) != "classes":
        return stratified_split(strata(y), len(y), fraction, seed)
    single = np.flatnonzero(np.bincount(y) < 2)
    if len(single):
        raise InputError(
            f"Data set {name!r} has no test part, and its class {names[single[0]]!r} has a single "
            "example: one cannot be split. Give each class two examples or more, or add a test "
            "part (x_test and y_test in a .npz file, train/ and test/ in a folder). If y are numbers "
            "to be predicted, add y_kind='numbers' to the file."
        )
    return stratified_split(y, len(y), fraction, seed, each_class=True)
