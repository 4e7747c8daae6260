"""What an encoder makes of examples, as NumPy, for everything that looks at a run from outside."""

from __future__ import annotations

from typing import Any

import numpy as np

from pretrain.preprocessing import Preprocessing

BATCH = 256


def features(encoder: Any, preprocess: Preprocessing, x: np.ndarray) -> np.ndarray:
    """Return the features (N, D) float32 of raw examples (N, ...), computed as after training.

    encoder: a ``pretrain.encoder.Encoder``. Batches are of one size but for the last, so the same
    examples and weights always give the same bits.
    """
    parts = [
        np.asarray(encoder(preprocess(x[i : i + BATCH]), False)) for i in range(0, len(x), BATCH)
    ]
    return np.concatenate(parts)


def sample(count: int, *pools: np.ndarray) -> np.ndarray:
    """Return ``count`` examples, evenly spaced, of the first pool; of the next what it lacks.

    Evenly spaced rather than the first ones: examples often lie sorted by class.
    """
    parts = []
    for pool in pools:
        taken = min(count, len(pool))
        parts.append(pool[np.arange(taken) * len(pool) // max(1, taken)])
        count -= taken
    return np.concatenate(parts)
