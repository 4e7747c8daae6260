"""Outputs of Keras models, computed batch by batch within a bound of memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np


def apply(model: Any, x: np.ndarray, batch: int = 1024) -> np.ndarray:
    """Return ``model`` of ``x`` (N, ...), computed batch by batch and without a gradient.

    batch: at most so many at once; fewer where a layer makes more than a quarter of a gigabyte of them.
    """
    batch = max(1, min(batch, MOST_VALUES // max(1, _widest(model))))
    parts = [np.asarray(model(x[i : i + batch], training=False)) for i in range(0, len(x), batch)]
    return np.concatenate(parts)


def through(models: Sequence[Any], x: np.ndarray, batch: int = 1024) -> np.ndarray:
    """Return what ``models``, one behind the other, make of ``x`` (N, ...).

    So many at once: what lies between the models, such as images at the encoder's size, is never whole in
    memory.
    """
    parts = []
    for i in range(0, len(x), batch):
        part = x[i : i + batch]
        for model in models:
            part = apply(model, part)
        parts.append(part)
    return np.concatenate(parts)


MOST_VALUES = 1 << 26


def _widest(model: Any) -> int:
    """Return how many values the widest layer inside a model makes of one example."""
    inner = getattr(model, "layers", ())
    sizes = [math.prod(n or 1 for n in layer.output.shape[1:]) for layer in inner]
    return max([*sizes, *map(_widest, inner)], default=0)
