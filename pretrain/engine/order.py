"""The order of examples and the learning rate: pure functions, so there is no iterator to save."""

from __future__ import annotations

import numpy as np


def permutation(size: int, seed: int, stage: int, epoch: int) -> np.ndarray:
    """Return the order of ``size`` examples in an epoch, int32 (size,)."""
    return np.random.default_rng([seed, stage, epoch]).permutation(size).astype(np.int32)


def learning_rates(peak: float, schedule: str, epoch: int, steps: int, epochs: int) -> np.ndarray:
    """Return the learning rate of each step of one epoch, float32 (steps,).

    "cosine" falls from ``peak`` to zero at the end of the last epoch (Loshchilov & Hutter 2017,
    "SGDR", equation 5 without restarts).
    """
    if schedule == "constant":
        return np.full(steps, peak, np.float32)
    if schedule != "cosine":
        raise ValueError(f"schedule must be 'constant' or 'cosine'. Got {schedule!r}.")
    step = epoch * steps + np.arange(steps)
    return (peak * 0.5 * (1 + np.cos(np.pi * step / (epochs * steps)))).astype(np.float32)
