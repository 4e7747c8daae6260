"""Outputs of Keras models, computed batch by batch within a bound of memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

# Values in the widest layer's output for one batch: a quarter of a gigabyte of float32.
MAX_VALUES = 1 << 26


def predict_batched(
    models: Any | Sequence[Any],
    x: np.ndarray,
    batch: int = 1024,
    then: Callable[[np.ndarray], np.ndarray] | None = None,
) -> np.ndarray:
    """Return the outputs (N, ...) of a Keras model, or of several in a row.

    Args:
        models: one model or layer, or a sequence of them. Outputs inside a sequence, such as images at the
            encoder's size, are in memory for one batch at a time.
        x: (N, ...).
        batch: the largest number of examples at once; fewer where a layer is wide.
        then: applied to each batch of the last model's outputs.
    """
    if not isinstance(models, Sequence):
        batch = max(1, min(batch, MAX_VALUES // max(1, _widest(models))))
    parts = []
    for i in range(0, len(x), batch):
        part = x[i : i + batch]
        if isinstance(models, Sequence):
            for model in models:
                part = predict_batched(model, part)
        else:
            part = np.asarray(models(part, training=False))
        parts.append(part if then is None else then(part))
    return np.concatenate(parts)


def _widest(model: Any) -> int:
    """Return the number of values in the widest output of a layer inside a model, for one example."""
    inner = getattr(model, "layers", ())
    sizes = [math.prod(n or 1 for n in layer.output.shape[1:]) for layer in inner]
    return max([*sizes, *map(_widest, inner)], default=0)
