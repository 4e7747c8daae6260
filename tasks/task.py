"""The target task: labelled examples to draw few labels of, and the test part for evaluation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headstart.errors import InputError, require
from tasks.dataset import Dataset
from tasks.splits import stratified_order, stratified_split
from tasks.tables.schema import Schema
from tasks.targets import strata, target_kind


@dataclass(frozen=True, kw_only=True, eq=False)
class TargetTask:
    """A labelled training set, from which budgets of labels are drawn, and a test part.

    Attributes:
        name, value_range, source, kind, schema, notes: as in Dataset.
        x: (N, ...) uint8 or float32 training examples.
        y: (N,) int64 labels 0..K-1, every class present, or (N,) float64 numbers, or (N, K) uint8 labels of 0
            and 1, each of them present.
        x_test: test examples like x, to be used once, by the final evaluation.
        y_test: their labels, like y.
        class_names: names of the classes or labels; () for numbers.
        test_origin: one line that says where the test part came from.
        files: for a folder of images, the path of each example of x in it; else None.
        fingerprint: of the data set that it was made of.
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
    fingerprint: str = ""
    schema: Schema | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def from_dataset(
        cls, dataset: Dataset, *, seed: int = 0, test_fraction: float = 0.2
    ) -> TargetTask:
        """Make a task of a labelled set; when it has no test part, split one off, stratified.

        Args:
            dataset: a labelled set.
            seed: of the split, 0 or more; without effect when the set has its own test part.
            test_fraction: the part of the examples to hold out for the test, likewise.

        Raises:
            InputError: the set is unlabelled, has one class or a class without examples, or must be split
                and has a class of one example; or all its numbers are equal.
        """
        y = dataset.y
        if y is None:
            raise InputError(
                f"Data set {dataset.name!r} has no labels, and a target task needs them.",
                hint="Give labelled data: a .npz file with y, or a folder with one subfolder a class.",
            )
        kind = target_kind(y)
        names = _names(dataset, y, kind)
        files = dataset.files
        if dataset.x_test is not None and dataset.y_test is not None:
            parts = (dataset.x, y, dataset.x_test, dataset.y_test)
            origin = "the set's own test part"
        else:
            kept, held_out = _split(dataset.name, y, names, test_fraction, seed, kind)
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
            fingerprint=dataset.fingerprint,
            schema=dataset.schema,
            notes=dataset.notes,
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
        """Draw a budget of labels, stratified, with at least one of each stratum.

        Strata are the classes, or the groups of tasks.targets.strata. Budgets of one seed are nested:
        ``labels(50, s)`` is ``labels(200, s)[:50]``.

        Args:
            n: number of labels, from the number of strata to len(x).
            seed: 0 or more.

        Returns:
            (n,) int64 indices into x.

        Raises:
            InputError: the budget is too small or too large.
        """
        groups = strata(self.y)
        least = self.n_classes if self.target == "classes" else int(groups.max()) + 1
        reason = "so that each label is seen once"
        if self.target != "multi-label":
            group = "a class" if self.target == "classes" else f"in each of {least} quantile bins"
            reason = f"one {group}"
        rule = f"must be {least} or more for {self.name!r}, {reason}"
        require(n >= least, "labels", rule, value=n)
        require(
            n <= len(self.x),
            "labels",
            f"must be {len(self.x)} or less, the training examples of {self.name!r} "
            f"({self.test_origin} is kept for the test)",
            value=n,
        )
        return stratified_order(groups, n, seed)


def _names(dataset: Dataset, y: np.ndarray, kind: str) -> tuple[str, ...]:
    """Return the names of the classes or labels. Raises InputError when there is nothing to learn."""
    if kind == "numbers":
        owner = f"y of data set {dataset.name!r}"
        if y.min() == y.max():
            raise InputError(
                f"{owner} is {float(y[0]):g} for every training example: there is nothing to predict."
            )
        # A model gives float32: rounding may cost a hundredth of the spread at most.
        step = float(np.finfo(np.float32).eps * np.abs(y).max())
        if step > y.std() / 100:
            raise InputError(
                f"{owner} lies around {float(y.mean()):g} and varies by only {y.std():g}: a model gives "
                f"float32, whose numbers are {step:g} apart there.",
                hint="Subtract a constant from y and y_test, such as their mean.",
            )
        return ()
    owner = f"Data set {dataset.name!r}"
    count = y.shape[1] if kind == "multi-label" else dataset.n_classes
    names = dataset.class_names or tuple(map(str, range(count)))
    if len(names) < 2:
        raise InputError(f"{owner} has one class only, {names[0]!r}; a target task needs two.")
    counts = y.sum(axis=0) if kind == "multi-label" else np.bincount(y, minlength=len(names))
    if not counts.all():
        missing = ", ".join(repr(names[k]) for k in np.flatnonzero(counts == 0)[:5])
        raise InputError(f"{owner} has no training example of class {missing}.")
    return names


def _split(
    name: str, y: np.ndarray, names: tuple[str, ...], fraction: float, seed: int, kind: str
) -> tuple[np.ndarray, np.ndarray]:
    require(0 < fraction < 1, "test_part", "must be above 0 and below 1", value=fraction)
    if kind != "classes":
        return stratified_split(strata(y), len(y), fraction, seed)
    single = np.flatnonzero(np.bincount(y) < 2)
    if len(single):
        raise InputError(
            f"Data set {name!r} has no test part, and its class {names[single[0]]!r} has a single example, "
            f"which cannot be split.",
            hint="Give each class two examples or more, or add a test part (x_test and y_test in a .npz "
            "file, train/ and test/ in a folder). If y are numbers to be predicted, add y_kind='numbers'.",
        )
    return stratified_split(y, len(y), fraction, seed, each_class=True)
