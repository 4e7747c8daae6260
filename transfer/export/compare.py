"""Comparing the outputs of an exported model with the model's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from headstart.errors import HeadstartError

# A reloaded model runs the same operations; only their fusion may differ.
TOLERANCE = 1e-5


def allowed(expected: np.ndarray) -> np.ndarray:
    """Return (K,), by how much outputs (N, K) may differ from ``expected`` to be called the same.

    1e-5; of numbers that vary by more than 1, that part of their spread; and what float32 cannot tell.
    """
    values = expected.astype(np.float64)
    varies = np.abs(values - values.mean(axis=0)).max(axis=0)
    rounding = 4 * np.finfo(np.float32).eps * np.abs(values).max(axis=0)
    found: np.ndarray = TOLERANCE * np.maximum(1.0, varies) + rounding
    return found


def difference(expected: np.ndarray, got: np.ndarray, path: Path) -> float:
    """Return the greatest difference of two outputs (N, K). Raises HeadstartError when it is too much.

    See ``transfer.export.keras_file.allowed``; of nothing else than numbers it is always too much.
    """
    same = expected.shape == got.shape
    off = float(np.abs(expected - got).max()) if same else float("inf")
    most = allowed(expected)
    if not same or not np.allclose(expected, got, rtol=0, atol=most):
        raise HeadstartError(
            f"What was made predicts differently from the .keras model (by up to {off:.2g}, and "
            f"{most.max():.2g} is allowed); {path} was not written."
        )
    return off
