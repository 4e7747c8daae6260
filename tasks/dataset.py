"""A data set held in memory: examples, perhaps labels, perhaps a test part, and a fingerprint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from headstart.errors import require
from tasks.arrays import to_array, to_examples
from tasks.tables.schema import Schema
from tasks.targets import KINDS, check_targets, target_kind, to_targets


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """Examples of one shape, checked when it is made.

    ``Dataset.from_arrays`` makes one of arrays of any type; the constructor takes the types below only.

    Attributes:
        name: as the user spelled it; for a path the base name; with the class filter, if any.
        x: (N, H, W, C) images or (N, D) vectors; uint8 or float32, C-contiguous, N >= 1.
        y: (N,) int64 class indices 0..K-1; or (N,) float64 numbers to predict; or (N, K) uint8, 1 where the
            example has the label, K >= 2; or None when unlabelled. ``target`` says which.
        x_test: the set's own test part, shaped like x; None when it has none.
        y_test: its targets, like y. A labelled set has both or neither, an unlabelled one has no y_test.
        class_names: names of the K classes or labels, or None when there are none or they are just numbers.
        value_range: the (low, high) that values of x are meant to span, low < high.
        source: one line that says where the data came from.
        files: for a folder of images, the path of each example of x in it; else None.
        kind: the things that the examples show, as far as the source knows: "objects", "digits", "photos",
            "faces" or "vectors". It decides which augmentations leave an example recognisable. None: unknown.
        schema: of a table with named columns, a column of x each, with NaN for gaps (tasks.tables.schema);
            None of arrays.
        notes: lines for a person about the data, warnings among them.

    Raises:
        InputError: a field breaks its rule; its argument is the field's name.
    """

    name: str
    x: np.ndarray
    y: np.ndarray | None = None
    x_test: np.ndarray | None = None
    y_test: np.ndarray | None = None
    class_names: tuple[str, ...] | None = None
    value_range: tuple[float, float]
    source: str
    files: tuple[str, ...] | None = None
    kind: str | None = None
    schema: Schema | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self._settle("x", _examples("x", self.x))
        if self.schema is not None:
            fits = self.x.dtype == np.float32 and self.x.shape[1:] == (len(self.schema.columns),)
            require(fits, "x", "must be float32 with a column for each of the schema's")
        if self.x_test is not None:
            self._settle("x_test", _examples("x_test", self.x_test))
            same = self.x_test.dtype == self.x.dtype and self.x_test.shape[1:] == self.x.shape[1:]
            rule = f"must have examples like those of x: {_described(self.x)}"
            require(same, "x_test", rule, hint=f"Its are {_described(self.x_test)}.")
        if self.y is None:
            require(self.y_test is None, "y_test", "must be left out where there is no y")
            require(self.class_names is None, "class_names", "must be left out without y")
        else:
            self._settle("y", _targets("y", self.y, len(self.x)))
            both = (self.x_test is None) == (self.y_test is None)
            require(both, "y_test", "must be given together with x_test, or neither")
        if self.y is not None and self.y_test is not None and self.x_test is not None:
            self._settle("y_test", _targets("y_test", self.y_test, len(self.x_test)))
            alike = target_kind(self.y_test) == self.target
            alike = alike and self.y_test.shape[1:] == self.y.shape[1:]
            require(alike, "y_test", "must be of the kind of y")
            most = int(self.y_test.max()) if self.target == "classes" else -1
            known = most < max(self.n_classes, 1)
            require(known, "y_test", f"has classes that y has not: {most}")
        if self.class_names is not None and self.y is not None:
            self._settle("class_names", tuple(str(name) for name in self.class_names))
            _check_names(self.class_names, self.y)
        low, high = (float(bound) for bound in self.value_range)
        require(low < high, "value_range", "must be two rising numbers", value=(low, high))
        self._settle("value_range", (low, high))

    @classmethod
    def from_arrays(
        cls,
        x: Any,
        y: Any = None,
        *,
        x_test: Any = None,
        y_test: Any = None,
        class_names: Sequence[str] | None = None,
        y_kind: str | None = None,
        name: str = "arrays",
        source: str = "arrays in memory",
        kind: str | None = None,
    ) -> Dataset:
        """Make a data set of arrays of any type, by the rules of .npz files.

        The same arrays saved in a .npz file give the same fingerprint.

        Args:
            x: (N, D) vectors, or (N, H, W) or (N, H, W, C) images with 1 to 4 channels: an array, nested
                lists, or a DataFrame of numbers. Integers within 0..255 are kept as bytes, all other numbers
                as float32.
            y: (N,) whole numbers or text, which are classes; (N,) numbers with a fraction, to predict; or
                (N, K) zeros and ones, labels of which an example can have several. None: unlabelled.
            x_test, y_test: test examples and their targets, like x and y.
            class_names: names of the classes 0..K-1, or of the K labels.
            y_kind: "classes", "numbers" or "multi-label", where y looks like another kind.
            name, source, kind: as in ``Dataset``.

        Returns:
            The data set; it holds copies.

        Raises:
            InputError: an argument breaks its rule.

        Example:
            >>> Dataset.from_arrays([[0, 1], [2, 3]], ["cat", "dog"]).class_names
            ('cat', 'dog')
        """
        there = {"y": y, "x_test": x_test, "y_test": y_test}
        there |= {"class_names": class_names, "y_kind": y_kind}
        whole = y is None or x_test is None or y_test is not None
        rule = "is missing: there are y and x_test"
        require(whole, "y_test", rule, hint="Add y_test or drop x_test.")
        # (an argument, the one that it makes no sense without)
        needs = (("y_test", "x_test"), ("y_test", "y"), ("class_names", "y"), ("y_kind", "y"))
        for key, needed in needs:
            rule, hint = f"is missing: there is {key}", f"Add {needed} or drop {key}."
            require(there[key] is None or there[needed] is not None, needed, rule, hint=hint)
        examples, tested, value_range = to_examples(
            to_array(x, "x"), None if x_test is None else to_array(x_test, "x_test")
        )
        if class_names is not None:
            listed = np.ndim(class_names) == 1 and all(isinstance(n, str) for n in class_names)
            require(listed, "class_names", "must be a list of names, as text", value=class_names)
        targets = test_targets = names = None
        if y is not None:
            targets, test_targets, names = to_targets(
                to_array(y, "y"),
                None if y_test is None else to_array(y_test, "y_test"),
                len(examples),
                0 if tested is None else len(tested),
                kind=y_kind,
                names=None if class_names is None else tuple(map(str, class_names)),
            )
        return cls(
            name=name,
            x=examples,
            y=targets,
            x_test=tested,
            y_test=test_targets,
            class_names=names,
            value_range=value_range,
            source=source,
            kind=kind,
        )

    def _settle(self, field: str, value: object) -> None:
        object.__setattr__(self, field, value)

    @property
    def target(self) -> str | None:
        """The kind of y, a name in tasks.targets.KINDS; None when unlabelled."""
        return None if self.y is None else target_kind(self.y)

    @property
    def classes(self) -> np.ndarray | None:
        """Y, where it is classes; None where it is something else, or there is none."""
        return self.y if self.target == "classes" else None

    @property
    def n_classes(self) -> int:
        """K, the number of classes; 0 when y is not classes."""
        if self.classes is None:
            return 0
        return len(self.class_names) if self.class_names else int(self.classes.max()) + 1

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one example: (H, W, C) or (D,)."""
        return tuple(self.x.shape[1:])

    @cached_property
    def fingerprint(self) -> str:
        """Sha256 (hex) over shapes, dtypes and bytes of the four arrays, class names and schema."""
        digest = hashlib.sha256()
        for field in ("x", "y", "x_test", "y_test"):
            array = getattr(self, field)
            header = [field] if array is None else [field, array.dtype.str, list(array.shape)]
            digest.update(json.dumps(header).encode() + b"\n")
            if array is not None:
                digest.update(memoryview(array).cast("B"))
        digest.update(json.dumps(self.class_names).encode())
        if self.schema is not None:
            digest.update(json.dumps(self.schema.to_json(), sort_keys=True).encode())
        return digest.hexdigest()

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.input_shape))
        shape += " columns" if self.schema is not None else ""
        test = "" if self.x_test is None else f" + {len(self.x_test):,} for the test"
        labels = f"; y is {KINDS[self.target]}" if self.target else "; unlabelled"
        classes = f", {self.n_classes} classes" if self.n_classes else ""
        return f"<Dataset {self.name!r}: {len(self.x):,} examples{test}, {shape}{labels}{classes}>"


def _described(x: np.ndarray) -> str:
    return f"{x.dtype} of shape {tuple(x.shape[1:])}"


def _examples(key: str, x: np.ndarray) -> np.ndarray:
    require(isinstance(x, np.ndarray), key, "must be a NumPy array")
    require(x.ndim in (2, 4), key, "must have shape (N, D) or (N, H, W, C)", value=x.shape)
    require(x.size > 0, key, "is empty", value=x.shape)
    require(x.dtype in (np.uint8, np.float32), key, "must be uint8 or float32", value=str(x.dtype))
    return np.ascontiguousarray(x)


def _targets(key: str, y: np.ndarray, n: int) -> np.ndarray:
    require(isinstance(y, np.ndarray), key, "must be a NumPy array (N,) or (N, K)")
    return np.ascontiguousarray(check_targets(y, key, n))


def _check_names(names: tuple[str, ...], y: np.ndarray) -> None:
    kind, key = target_kind(y), "class_names"
    require(kind != "numbers", key, "must be left out: y is numbers, which have no class names")
    if kind == "multi-label":
        good, rule = len(names) == y.shape[1], f"must be as many as y has labels, {y.shape[1]}"
    else:
        most = int(y.max())
        good, rule = len(names) > most, f"must be {most + 1} or more, as y has class {most}"
    require(good, key, rule, value=len(names))
    require(len(set(names)) == len(names), key, "must differ: two classes have the same name")
