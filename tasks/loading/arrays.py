"""Turn arrays as users save them into the examples of a Dataset."""

from __future__ import annotations

import numpy as np

from headstart.errors import InputError
from tasks.dataset import natural_range
from tasks.targets import check_finite


def to_examples(
    x: np.ndarray, x_test: np.ndarray | None, where: str
) -> tuple[np.ndarray, np.ndarray | None, tuple[float, float]]:
    """Return (x, x_test, value_range) as Dataset wants them: uint8 or float32, vectors or images.

    x: (N, D), (N, H, W) or (N, H, W, C) of any real type. uint8 stays; bool becomes uint8 0 and 1;
    integers within 0..255 become uint8, all other numbers float32.
    where: the file, for messages. Raises InputError for shapes and values that cannot be used.
    """
    x = _shaped(x, "x", where)
    parts = {"x": x}
    if x_test is not None:
        parts["x_test"] = x_test = _shaped(x_test, "x_test", where)
        if x_test.shape[1:] != x.shape[1:]:
            raise InputError(
                f"{where}: examples of x_test have shape {x_test.shape[1:]}, those of x "
                f"{x.shape[1:]}. They must be alike."
            )
        families = [part.dtype.kind.replace("i", "u") for part in (x, x_test)]
        if families[0] != families[1]:
            raise InputError(
                f"{where}: x is {x.dtype} and x_test is {x_test.dtype}, so their scales may "
                "differ. Save both with one type."
            )
    for key, part in parts.items():
        check_finite(part, key, where)
    integers = x.dtype.kind in "bui"
    small = integers and all(part.min() >= 0 and part.max() <= 255 for part in parts.values())
    dtype = np.uint8 if small else np.float32
    for key, part in parts.items():
        with np.errstate(over="ignore"):
            parts[key] = part.astype(dtype)
        if not small and not np.isfinite(parts[key]).all():
            raise InputError(f"{where}: {key} has values too large for float32 (above 3.4e38).")
    span = (0.0, 1.0) if x.dtype.kind == "b" else natural_range(parts["x"])
    return parts["x"], parts.get("x_test"), span


def _shaped(x: np.ndarray, key: str, where: str) -> np.ndarray:
    if x.dtype.kind not in "buif":
        raise InputError(f"{where}: {key} must hold numbers. Its type is {x.dtype}.")
    if x.ndim not in (2, 3, 4):
        hint = f" For one number an example, reshape it to ({len(x)}, 1)." if x.ndim == 1 else ""
        raise InputError(
            f"{where}: {key} must be vectors (N, D) or images (N, H, W) or (N, H, W, C). Its shape "
            f"is {x.shape}.{hint}"
        )
    if x.size == 0:
        raise InputError(f"{where}: {key} is empty: its shape is {x.shape}.")
    if x.ndim == 3:
        return x[..., np.newaxis]
    if x.ndim == 4 and x.shape[3] > 4:
        first = x.shape[1] <= 4
        hint = " Its channels seem to come first: save numpy.moveaxis(x, 1, -1)." if first else ""
        raise InputError(
            f"{where}: {key} has shape {x.shape}, which means images of {x.shape[3]} channels. "
            f"Images have 1 to 4 channels, and the channels come last.{hint}"
        )
    return x
