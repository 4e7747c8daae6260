"""Outputs of Keras models, computed batch by batch within a bound of memory, and kept where used again."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Any

import numpy as np

from headstart.lazy import tf

# Values in the widest layer's output for one batch: a quarter of a gigabyte of float32.
MAX_VALUES = 1 << 26


def predict_batched(
    models: Any | Sequence[Any],
    x: np.ndarray | Mapping[str, np.ndarray],
    batch: int = 1024,
    then: Callable[[np.ndarray], np.ndarray] | None = None,
) -> np.ndarray:
    """Return the outputs (N, ...) of a Keras model, or of several in a row.

    Args:
        models: one model or layer, or a sequence of them. Outputs inside a sequence, such as images at the
            encoder's size, are in memory for one batch at a time.
        x: (N, ...), or the columns (N, 1) of a table by name.
        batch: the largest number of examples at once; fewer where a layer is wide.
        then: applied to each batch of the last model's outputs.
    """
    if not isinstance(models, Sequence):
        batch = max(1, min(batch, MAX_VALUES // max(1, _widest(models))))
    parts = []
    count = len(next(iter(x.values()))) if isinstance(x, Mapping) else len(x)
    for i in range(0, count, batch):
        part: Any = _rows(x, i, i + batch)
        if isinstance(models, Sequence):
            for model in models:
                part = predict_batched(model, part)
        else:
            part = np.asarray(models(part, training=False))
        parts.append(part if then is None else then(part))
    return np.concatenate(parts)


def _rows(x: np.ndarray | Mapping[str, np.ndarray], start: int, stop: int) -> Any:
    """Return some rows; columns as tensors, for Keras takes no mixture of text and arrays."""
    if not isinstance(x, Mapping):
        return x[start:stop]
    parts = {name: column[start:stop] for name, column in x.items()}
    return {n: tf.constant(c.astype(str) if c.dtype == object else c) for n, c in parts.items()}


def _widest(model: Any) -> int:
    """Return the number of values in the widest output of a layer inside a model, for one example."""
    inner = getattr(model, "layers", ())
    sizes = [math.prod(n or 1 for n in layer.output.shape[1:]) for layer in inner]
    return max([*sizes, *map(_widest, inner)], default=0)


class FeatureCache:
    """Examples (N, ...) float32 that went through the model of ``InputAdapter``, or some rows of such.

    Outputs of the lowest blocks are kept, up to ``most_bytes`` of them, each depth of all rows at once. So
    runs that freeze the same blocks of one encoder, on whichever rows, compute them once between them.
    """

    def __init__(self, x: np.ndarray, *, most_bytes: int = 0) -> None:
        self._rows: np.ndarray | None = None
        self._most_bytes = most_bytes
        # By the number of blocks; 0 are the examples themselves.
        self._outputs = {0: x}

    @property
    def x(self) -> np.ndarray:
        """The examples themselves."""
        return self._taken(0)

    def __len__(self) -> int:
        return len(self._outputs[0] if self._rows is None else self._rows)

    def take(self, rows: np.ndarray) -> FeatureCache:
        """Return some of the examples, int (M,); what was computed is shared with them."""
        part = copy(self)
        part._rows = rows if self._rows is None else self._rows[rows]
        return part

    def above(self, blocks: Sequence[Any]) -> np.ndarray:
        """Return the output of ``blocks``, Keras models, the encoder's lowest with their pretrained weights.

        Every call for these examples must mean the same encoder.
        """
        known, depth = self._outputs, len(blocks)
        if depth not in known:
            used = sum(outputs.nbytes for k, outputs in known.items() if k)
            size = 4 * len(known[0]) * math.prod(n or 1 for n in blocks[-1].output_shape[1:])
            room = used + size <= self._most_bytes
            below = max(k for k in known if k < depth) if room else 0
            x = known[below] if room else self.x
            for block in blocks[below:]:
                x = predict_batched(block, x)
            if not room:
                return x
            known[depth] = x
        return self._taken(depth)

    def _taken(self, depth: int) -> np.ndarray:
        outputs = self._outputs[depth]
        return outputs if self._rows is None else outputs[self._rows]
