"""Comparison of an exported model's outputs with the model's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from headstart.errors import HeadstartError

# A reloaded model runs the same operations; only their fusion may differ.
TOLERANCE = 1e-5


def allowed(expected: np.ndarray) -> np.ndarray:
    """Return the greatest difference (K,) from outputs (N, K) that counts as equal.

    1e-5; that part of the spread of numbers that vary by more than 1; plus the rounding of float32.
    """
    values = expected.astype(np.float64)
    varies = np.abs(values - values.mean(axis=0)).max(axis=0)
    rounding = 4 * np.finfo(np.float32).eps * np.abs(values).max(axis=0)
    limit: np.ndarray = TOLERANCE * np.maximum(1.0, varies) + rounding
    return limit


def difference(expected: np.ndarray, got: np.ndarray, path: Path) -> float:
    """Return the greatest difference between the outputs of a model and of a file made from it.

    Args:
        expected: (N, K) float, of the model.
        got: the outputs of the file.
        path: the file that is to be written, for the message.

    Raises:
        HeadstartError: they differ by more than ``allowed``, in shape, or are not finite.
    """
    same = expected.shape == got.shape
    off = float(np.abs(expected - got).max()) if same else float("inf")
    limit = allowed(expected)
    if not same or not np.allclose(expected, got, rtol=0, atol=limit):
        raise HeadstartError(
            f"The exported file predicts differently from the model (by up to {off:.2g}, and "
            f"{limit.max():.2g} is allowed); {path} was not written."
        )
    return off
