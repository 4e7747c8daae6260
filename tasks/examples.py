"""Examples as users save them (numbers of any type and layout), brought to the types of a Dataset."""

from __future__ import annotations

import numpy as np

from headstart.errors import InputError
from tasks.targets import check_finite

# Images of 0..1 that were resized by a spline lie a little outside, and are not taken for others.
OVERSHOOT = 0.1
MAX_CHANNELS = 4


def natural_range(x: np.ndarray) -> tuple[float, float]:
    """Return the range that values are taken to span.

    Args:
        x: array of any shape, not empty.

    Returns:
        (0, 255) for uint8; for floats (0, 1) or (-1, 1) when all values lie within (with a tolerance of
        ``OVERSHOOT`` around (0, 1)), else minimum and maximum.
    """
    if x.dtype == np.uint8:
        return (0.0, 255.0)
    low, high = float(x.min()), float(x.max())
    resized = low >= -OVERSHOOT and 0.5 < high <= 1 + OVERSHOOT
    if resized or (low >= 0 and high <= 1):
        return (0.0, 1.0)
    if low >= -1 and high <= 1:
        return (-1.0, 1.0)
    # A constant still needs a width to be divided by.
    return (low, high) if low < high else (low, low + max(1.0, abs(low)))


def to_examples(
    x: np.ndarray, x_test: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray | None, tuple[float, float]]:
    """Convert examples to the types of a Dataset.

    uint8 stays as it is; bool becomes uint8 0 and 1; integers within 0..255 become uint8 and all other
    numbers float32, both parts alike. Images without a channel axis get one.

    Args:
        x: (N, D) vectors or (N, H, W) or (N, H, W, C) images of any real type.
        x_test: the test part, of the same shape and family of types; or None.

    Returns:
        x and x_test, uint8 or float32, (N, D) or (N, H, W, C); and the range that values of x span.

    Raises:
        InputError: shapes or values cannot be used; its argument is "x" or "x_test".
    """
    x = _shaped(x, "x")
    parts = {"x": x}
    if x_test is not None:
        parts["x_test"] = x_test = _shaped(x_test, "x_test")
        if x_test.shape[1:] != x.shape[1:]:
            raise InputError(
                f"must have examples of the shape of those of x, {x.shape[1:]}",
                argument="x_test",
                value=x_test.shape[1:],
            )
        families = [part.dtype.kind.replace("i", "u") for part in (x, x_test)]
        if families[0] != families[1]:
            raise InputError(
                f"must have the type of x, {x.dtype}, or their scales may differ",
                argument="x_test",
                value=str(x_test.dtype),
                hint="Give both with one type.",
            )
    integers = x.dtype.kind in "bui"
    small = integers and all(part.min() >= 0 and part.max() <= 255 for part in parts.values())
    dtype = np.uint8 if small else np.float32
    for key, part in parts.items():
        with np.errstate(over="ignore"):
            parts[key] = part.astype(dtype)
        if not small and not np.isfinite(parts[key]).all():
            raise InputError("has values too large for float32 (above 3.4e38)", argument=key)
    span = (0.0, 1.0) if x.dtype.kind == "b" else natural_range(parts["x"])
    return parts["x"], parts.get("x_test"), span


def _shaped(x: np.ndarray, key: str) -> np.ndarray:
    """Return examples, checked, with a channel axis if they are images."""
    if x.dtype.kind not in "buif":
        raise InputError("must hold numbers", argument=key, value=str(x.dtype))
    if x.ndim not in (2, 3, 4):
        raise InputError(
            "must be vectors (N, D) or images (N, H, W) or (N, H, W, C)",
            argument=key,
            value=x.shape,
            hint=f"For one number an example, reshape it to ({len(x)}, 1)." if x.ndim == 1 else "",
        )
    if x.size == 0:
        raise InputError("is empty", argument=key, value=x.shape)
    if x.ndim == 4 and x.shape[3] > MAX_CHANNELS:
        first = x.shape[1] <= MAX_CHANNELS
        raise InputError(
            f"must have the channels last, 1 to {MAX_CHANNELS} of them",
            argument=key,
            value=x.shape,
            hint="Its channels seem to come first: give numpy.moveaxis(x, 1, -1)." if first else "",
        )
    check_finite(x, key)
    return x[..., np.newaxis] if x.ndim == 3 else x
