"""The order of examples and the learning rate: pure functions, so there is no iterator to save."""

from __future__ import annotations

import numpy as np


def permutation(size: int, seed: int, stage: int, epoch: int) -> np.ndarray:
    """Return the order of ``size`` examples in an epoch, int32 (size,)."""
    return np.random.default_rng([seed, stage, epoch]).permutation(size).astype(np.int32)


def learning_rates(
    peak: float, schedule: str, epoch: int, steps: int, updates: int, warmup: float = 0.0
) -> np.ndarray:
    """Return the learning rate of each step of one epoch, float32 (steps,).

    epoch, steps: the number of the epoch, and the steps of a whole one.
    updates: the steps of all epochs.

    warmup: the part of all steps in which the rate first rises in equal parts, from one part to ``peak``
        (Goyal et al. 2017, "Accurate, Large Minibatch SGD", section 2.2).
    "cosine" then falls from ``peak`` to zero at the end of the last epoch (Loshchilov & Hutter 2017,
    "SGDR", equation 5 without restarts).
    """
    if schedule not in ("constant", "cosine"):
        raise ValueError(f"schedule must be 'constant' or 'cosine'. Got {schedule!r}.")
    step = epoch * steps + np.arange(steps)
    rising = round(warmup * updates)
    rates = np.full(steps, peak, np.float64)
    if schedule == "cosine":
        done = np.maximum(0, step - rising) / max(1, updates - rising)
        rates = peak * 0.5 * (1 + np.cos(np.pi * done))
    if rising:
        rates = np.where(step < rising, peak * (step + 1) / rising, rates)
    return rates.astype(np.float32)
