"""Examples as an encoder takes them, and what its pretrained blocks make of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import copy
from typing import Any

import numpy as np


class FeatureCache:
    """Examples (N, ...) float32 that went through the model of ``transfer.data.input_adapter``, or some
    rows of such.

    Outputs of the lowest blocks are kept, up to ``most_bytes`` of them, each depth of all rows at once. So
    runs that freeze the same blocks of one encoder, on whichever rows, compute them once between them.
    """

    def __init__(self, x: np.ndarray, *, most_bytes: int = 0) -> None:
        self._x = x
        self._rows: np.ndarray | None = None
        self._depths = _Depths(x, most_bytes)

    @property
    def x(self) -> np.ndarray:
        """The examples themselves."""
        return self._x if self._rows is None else self._x[self._rows]

    def __len__(self) -> int:
        return len(self._x if self._rows is None else self._rows)

    def take(self, rows: np.ndarray) -> FeatureCache:
        """Return some of the examples, int (M,); what was computed is shared with them."""
        part = copy(self)
        part._rows = rows if self._rows is None else self._rows[rows]
        return part

    def above(self, blocks: Sequence[Any]) -> np.ndarray:
        """Return the output of ``blocks``, Keras models, the encoder's lowest with their pretrained weights.

        Every call for these examples must mean the same encoder.
        """
        from transfer.inference import predict_batched

        whole = self._depths.at(blocks)
        if whole is not None:
            return whole if self._rows is None else whole[self._rows]
        x = self.x
        for block in blocks:
            x = predict_batched(block, x)
        return x


class _Depths:
    """Outputs of the lowest blocks by their number, for all examples; 0 are the examples themselves."""

    def __init__(self, x: np.ndarray, most_bytes: int) -> None:
        self.known, self.left = {0: x}, most_bytes

    def at(self, blocks: Sequence[Any]) -> np.ndarray | None:
        """Return (N, ...), computed from the nearest depth that is known; None where it has no room."""
        from transfer.inference import predict_batched

        depth = len(blocks)
        if depth not in self.known:
            count = len(self.known[0])
            size = 4 * count * math.prod(n or 1 for n in blocks[-1].output_shape[1:])
            if size > self.left:
                return None
            nearest = max(k for k in self.known if k < depth)
            x = self.known[nearest]
            for block in blocks[nearest:]:
                x = predict_batched(block, x)
            self.known[depth] = x
            self.left -= size
        return self.known[depth]
