"""Turn scikit-learn's X into the examples that an encoder takes."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.errors import InputError
from transfer.numerics import mean_and_spread

# Images whose values span a smaller part of the expected range than this were scaled differently.
MIN_SPAN = 0.02


def flat(X: Any) -> tuple[Any, tuple[int, ...] | None]:
    """Return an array X (N, H, W[, C]) as (N, features), and the shape of one example.

    Anything else, such as a table, is returned as it is, with None.
    """
    if getattr(X, "ndim", 2) <= 2:
        return X, None
    X = np.asarray(X)
    shape = X.shape[1:]
    return X.reshape(len(X), math.prod(shape)), shape


@dataclass(frozen=True, kw_only=True, eq=False)
class Examples:
    """The way of a checked X (N, features) to raw examples (N, *shape) float32.

    Attributes:
        shape: of one raw example.
        center, spread: float64 (features,), mean and standard deviation; None with a pretrained encoder,
            whose own preprocessing comes later.
    """

    shape: tuple[int, ...]
    center: np.ndarray | None = None
    spread: np.ndarray | None = None

    @classmethod
    def standardised(cls, X: np.ndarray) -> Examples:
        """Learn mean and standard deviation of every feature of X (N, features) float64."""
        # A constant feature, but for the rounding of its mean, stays as it is.
        center, spread = mean_and_spread(X, tolerance=1e-12, relative_to="values", constant=1.0)
        return cls(shape=X.shape[1:], center=center, spread=spread)

    @classmethod
    def fitting(
        cls, given: tuple[int, ...] | None, features: int, encoder_shape: tuple[int, ...]
    ) -> Examples:
        """Choose the raw shape.

        Args:
            given: the shape of one example of X; None of a flat one.
            features: the number of values of one example.
            encoder_shape: of an example as the encoder takes it.

        Raises:
            InputError: a flat example has another number of values than the encoder's.
        """
        if given is None:
            if features == math.prod(encoder_shape):
                return cls(shape=encoder_shape)
            if len(encoder_shape) > 1:
                raise InputError(
                    f"has {features} features, and the encoder takes images of shape {encoder_shape}, which "
                    f"are {math.prod(encoder_shape)} values when flattened",
                    argument="X",
                    hint="Give images of that size, or an array (N, height, width, channels), which is "
                    "resized.",
                )
            raise InputError(
                f"has {features} features, and the encoder takes {encoder_shape[0]}",
                argument="X",
                hint="Give the columns that it was pretrained on.",
            )
        # A grey image may come without its channel.
        return cls(shape=(*given, 1) if len(given) == 2 and len(encoder_shape) == 3 else given)

    @property
    def dtype(self) -> type:
        """The dtype of a checked X."""
        return np.float32 if self.center is None else np.float64

    def check(self, given: tuple[int, ...] | None) -> None:
        """Raise InputError when examples of X had another shape in ``fit``; None is a flat one."""
        if given is not None and given not in (self.shape, self.shape[:-1]):
            # The values of a network without a weights file were always flat.
            if self.center is not None and math.prod(given) == self.shape[0]:
                return
            raise InputError(
                f"has examples of shape {given}, and those of fit had {self.shape}",
                argument="X",
                hint="Give examples of that shape.",
            )

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Return the raw examples (N, *shape) float32 of a checked X (N, features)."""
        if self.center is not None:
            X = (X - self.center) / self.spread
        return X.reshape(len(X), *self.shape).astype(np.float32, copy=False)


def check_range(value: Any) -> tuple[float, float]:
    """Return the argument ``value_range`` as (low, high). Raises InputError."""
    try:
        low, high = (float(number) for number in value)
        good = math.isfinite(low) and math.isfinite(high) and low < high
    except (TypeError, ValueError):
        good = False
    if not good:
        raise InputError(
            "must be two rising numbers, the lowest and the highest value that X can have, or None for the "
            "encoder's",
            argument="value_range",
            value=value,
        )
    return low, high


def warn_of_range(X: np.ndarray, value_range: tuple[float, float]) -> None:
    """Warn when X (N, features) was plainly scaled otherwise than ``value_range`` says."""
    low, high = value_range
    least, most = float(X.min()), float(X.max())
    width = high - low
    if least < low - width or most > high + width or most - least < MIN_SPAN * width:
        warnings.warn(
            f"X holds values from {least:g} to {most:g}, and values from {low:g} to {high:g} were "
            f"expected, so the features will mean little. Give value_range=(low, high), the range "
            f"of X, or X as the pretraining had it.",
            UserWarning,
            stacklevel=4,
        )
