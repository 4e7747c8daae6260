"""A data set held in memory: examples, perhaps labels, perhaps a test part, and a fingerprint."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from headstart.errors import InputError
from tasks.targets import KINDS, target_kind


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """Examples of one shape, checked when it is made; InputError says what does not fit.

    name: as the user spelled it; for a path the base name; with the view, if any.
    x: (N, H, W, C) images or (N, D) vectors; uint8 or float32, C-contiguous, N >= 1.
    y: (N,) int64 class indices 0..K-1; or (N,) float64 numbers to predict; or (N, K) uint8, 1 where the
        example has the label, K >= 2; or None when unlabelled. ``target`` says which.
    x_test, y_test: the set's own test part, shaped like x and y; None when it has none. A labelled
        set has both or neither, an unlabelled one has no y_test.
    class_names: names of the K classes or labels, or None when there are none or they are just numbers.
    value_range: the (low, high) that values of x are meant to span, low < high.
    source: one line that says where the data came from.
    files: for a folder of images, the path of each example of x in it; else None.
    kind: what the examples show, as far as the source knows: "objects", "digits", "photos", "faces"
        or "vectors". It decides which random changes leave an example what it is. None: unknown.
    """

    name: str
    x: np.ndarray
    y: np.ndarray | None
    x_test: np.ndarray | None
    y_test: np.ndarray | None
    class_names: tuple[str, ...] | None
    value_range: tuple[float, float]
    source: str
    files: tuple[str, ...] | None = None
    kind: str | None = None

    def __post_init__(self) -> None:
        try:
            self._settle("x", _examples(self.x))
            if self.x_test is not None:
                self._settle("x_test", _examples(self.x_test))
                _require(
                    self.x_test.dtype == self.x.dtype and self.x_test.shape[1:] == self.x.shape[1:],
                    f"examples of x_test are {_kind(self.x_test)}, those of x {_kind(self.x)}",
                )
            if self.y is None:
                _require(self.y_test is None, "it has y_test without y")
                _require(self.class_names is None, "it has class names without y")
            else:
                self._settle("y", _answers("y", self.y, len(self.x)))
                _require(
                    (self.x_test is None) == (self.y_test is None),
                    "a labelled set has both x_test and y_test, or neither",
                )
            if self.y is not None and self.y_test is not None and self.x_test is not None:
                self._settle("y_test", _answers("y_test", self.y_test, len(self.x_test)))
                _require(
                    target_kind(self.y_test) == self.target
                    and self.y_test.shape[1:] == self.y.shape[1:],
                    "y and y_test are not of one kind",
                )
                _require(
                    self.target != "classes" or int(self.y_test.max()) < self.n_classes,
                    "y_test has classes that y has not",
                )
            if self.class_names is not None and self.y is not None:
                self._settle("class_names", tuple(str(name) for name in self.class_names))
                _check_names(self.class_names, self.y)
            low, high = (float(bound) for bound in self.value_range)
            _require(low < high, f"value_range ({low}, {high}) has no width")
            self._settle("value_range", (low, high))
        except ValueError as error:
            raise InputError(f"Data set {self.name!r} cannot be used: {error}.") from None

    def _settle(self, field: str, value: object) -> None:
        object.__setattr__(self, field, value)

    @property
    def target(self) -> str | None:
        """What y is, a name in tasks.targets.KINDS; None when unlabelled."""
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
        """Sha256 (hex) over shapes, dtypes and bytes of the four arrays and the class names."""
        digest = hashlib.sha256()
        for field in ("x", "y", "x_test", "y_test"):
            array = getattr(self, field)
            header = [field] if array is None else [field, array.dtype.str, list(array.shape)]
            digest.update(json.dumps(header).encode() + b"\n")
            if array is not None:
                digest.update(memoryview(array).cast("B"))
        digest.update(json.dumps(self.class_names).encode())
        return digest.hexdigest()


OVERSHOOT = 0.1


def natural_range(x: np.ndarray) -> tuple[float, float]:
    """Return the range that values of ``x`` (any shape, not empty) are taken to span.

    (0, 255) for uint8; for floats (0, 1) or (-1, 1) when all lie within, else minimum and maximum. Images of
    0..1 that were resized by a spline lie a little outside, and are not taken for others.
    """
    if x.dtype == np.uint8:
        return (0.0, 255.0)
    low, high = float(x.min()), float(x.max())
    if low >= 0 and high <= 1:
        return (0.0, 1.0)
    if low >= -OVERSHOOT and 0.5 < high <= 1 + OVERSHOOT:
        return (0.0, 1.0)
    if low >= -1 and high <= 1:
        return (-1.0, 1.0)
    # A constant still needs a width to be divided by.
    return (low, high) if low < high else (low, low + max(1.0, abs(low)))


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)


def _kind(x: np.ndarray) -> str:
    return f"{x.dtype} of shape {tuple(x.shape[1:])}"


def _examples(x: np.ndarray) -> np.ndarray:
    _require(isinstance(x, np.ndarray), "its examples are not a NumPy array")
    _require(x.ndim in (2, 4), f"examples must be (N, D) or (N, H, W, C), not {x.shape}")
    _require(x.size > 0, f"it is empty: shape {x.shape}")
    _require(x.dtype in (np.uint8, np.float32), f"examples must be uint8 or float32, not {x.dtype}")
    return np.ascontiguousarray(x)


def _answers(field: str, y: np.ndarray, n: int) -> np.ndarray:
    """Return y, of whichever kind, in its one type."""
    _require(isinstance(y, np.ndarray) and y.ndim in (1, 2), f"{field} is no array (N,) or (N, K)")
    _require(len(y) == n, f"{field} must be {n} labels, one an example, and has {len(y)}")
    kind = target_kind(y)
    if kind == "numbers":
        _require(bool(np.isfinite(y).all()), f"{field} has numbers that are NaN or infinite")
        return np.ascontiguousarray(y, dtype=np.float64)
    _require(y.dtype.kind in "iu" or y.ndim == 2, f"{field} must be {n} integers, one an example")
    if kind == "multi-label":
        _require(y.shape[1] > 1, f"{field} of shape {y.shape} must have two labels or more")
        _require(bool(np.isin(y, (0, 1)).all()), f"{field} of shape {y.shape} must be of 0 and 1")
        return np.ascontiguousarray(y, dtype=np.uint8)
    _require(int(y.min()) >= 0, f"{field} has the negative class index {int(y.min())}")
    return np.ascontiguousarray(y, dtype=np.int64)


def _check_names(names: tuple[str, ...], y: np.ndarray) -> None:
    kind = target_kind(y)
    _require(kind != "numbers", f"its y is {KINDS[kind]}, and numbers have no class names")
    if kind == "multi-label":
        _require(
            len(names) == y.shape[1],
            f"y has {y.shape[1]} labels and there are {len(names)} class names",
        )
    else:
        _require(
            int(y.max()) < len(names),
            f"y has class {int(y.max())} and there are only {len(names)} class names",
        )
    _require(len(set(names)) == len(names), "two classes have the same name")
