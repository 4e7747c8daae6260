"""The columns of a table inside a compiled step: hidden and reconstructed as a whole.

The design of a table (tasks.tables.schema) has several numbers for a column of levels or of gaps. Hiding
some of them would show the rest, so a column is hidden with all of its numbers: a number becomes the median,
1/2, and levels and gaps 0. Its loss is of its kind: with logits l and r = sigmoid(l), numbers, truth values
and their gaps have the squared error or the Bernoulli cross-entropy of r, averaged over the column's numbers;
levels have the cross-entropy of softmax(l) over the column. Every column weighs the same.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from typing import Any

import numpy as np

from headstart.lazy import tf
from tasks.tables.schema import VALUE, Schema

MEDIAN = 0.5


class Columns:
    """A table's columns, D of them, with E numbers in its design."""

    def __init__(self, schema: Schema) -> None:
        """Lay out the columns of a schema."""
        self.kinds = [column.kind for column in schema.columns]
        self.widths = schema.widths
        self.column_of = np.repeat(np.arange(len(self.widths)), self.widths).astype(np.int32)
        self.blank = np.where(schema.layout.role == VALUE, MEDIAN, 0.0).astype(np.float32)

    def spread(self, columns: Any) -> Any:
        """Return what is said of columns, (B, D), for each of their numbers: (B, E)."""
        return tf.gather(columns, self.column_of, axis=1)

    def hide(self, x: Any, hidden: Any) -> Any:
        """Return the design ``x`` (B, E) without the columns that ``hidden``, bool (B, D), says."""
        return tf.where(self.spread(hidden), tf.constant(self.blank)[None], x)

    def losses(self, x: Any, logits: Any, each: Callable[[Any, Any], Any]) -> Any:
        """Return the loss of every column, float32 (B, D).

        x, logits: (B, E). each: of numbers, (x, logits) -> losses of the same shape.
        """
        found = []
        starts = [0, *accumulate(self.widths)]
        for kind, start, width in zip(self.kinds, starts, self.widths, strict=False):
            true, said = x[:, start : start + width], logits[:, start : start + width]
            if kind == "categorical":
                # An unseen level is 0 everywhere: it has no loss.
                loss = -tf.reduce_sum(true * tf.nn.log_softmax(said), axis=1)
            else:
                loss = tf.reduce_mean(each(true, said), axis=1)
            found.append(loss)
        return tf.stack(found, axis=1)
