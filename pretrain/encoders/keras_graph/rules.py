"""Rules for the options of stock Keras layers: each returns the value as it is stored, or ValueError."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pretrain.encoders.base import choice, integer, number

Rule = Callable[[Any], Any]

ACTIVATIONS = (
    *("linear", "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "swish"),
    *("mish", "tanh", "hard_tanh", "sigmoid", "hard_sigmoid", "log_sigmoid", "hard_silu"),
    *("hard_swish", "softplus", "softsign", "squareplus", "exponential", "softmax", "log_softmax"),
)
LARGEST = 1e12
MOST_VALUES = 1 << 16

activation = choice(*ACTIVATIONS)
padding = choice("valid", "same")
interpolation = choice("bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5")
count = integer(1, 1 << 20)
real = number(-LARGEST, LARGEST)
positive = number(1e-12, LARGEST)
fraction = number(0, 1)


def flag(value: Any) -> bool:
    """Rule: true or false."""
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def pair(low: int, high: int) -> Rule:
    """Rule: two integers from ``low`` to ``high``; one stands for both."""
    part = integer(low, high)

    def parse(value: Any) -> list[int]:
        values = [value, value] if isinstance(value, int) else value
        if not isinstance(values, list | tuple) or len(values) != 2:
            raise ValueError(f"must be two integers from {low} to {high}")
        return [part(one) for one in values]

    return parse


def margins(value: Any) -> list[list[int]]:
    """Rule: [[top, bottom], [left, right]] in pixels, each 0 to 4096."""
    values = [value, value] if isinstance(value, int) else value
    if not isinstance(values, list | tuple) or len(values) != 2:
        raise ValueError("must be [[top, bottom], [left, right]]")
    return [pair(0, 4096)(side) for side in values]


def whole_shape(value: Any) -> list[int]:
    """Rule: 1 to 4 positive sizes, one of which may be -1, whatever is left."""
    if not isinstance(value, list | tuple) or not 1 <= len(value) <= 4:
        raise ValueError("must be 1 to 4 sizes")
    sizes = [integer(-1, 1 << 24)(one) for one in value]
    if 0 in sizes or sizes.count(-1) > 1:
        raise ValueError("must be positive sizes, at most one of them -1")
    return sizes


def numbers(value: Any) -> list[float]:
    """Rule: a list of 1 to 65,536 numbers."""
    if not isinstance(value, list | tuple) or not 1 <= len(value) <= MOST_VALUES:
        raise ValueError(f"must be a list of 1 to {MOST_VALUES:,} numbers")
    return [real(one) for one in value]


def one_or_more(value: Any) -> Any:
    """Rule: a number, or a list of numbers."""
    return numbers(value) if isinstance(value, list | tuple) else real(value)


def optional(rule: Rule) -> Rule:
    """Rule: nothing, or what ``rule`` says."""

    def parse(value: Any) -> Any:
        return None if value is None else rule(value)

    return parse


def axes(value: Any) -> list[int]:
    """Rule: a list of at most 4 axes, counted from 1 because 0 is the batch; none is an empty list."""
    values = [] if value is None else [value] if isinstance(value, int) else value
    if not isinstance(values, list | tuple) or len(values) > 4:
        raise ValueError("must be a list of axes")
    return [integer(1, 4)(one) for one in values]
