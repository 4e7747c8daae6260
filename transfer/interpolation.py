"""Between a frozen encoder and a fine-tuned one: the straight line of their weights.

Wortsman et al. 2022, "Robust fine-tuning of zero-shot models" (WiSE-FT), equation 1: with the weights w0
from which fine-tuning began and w1 at which it ended, the network has (1 - share) w0 + share w1. Here w0
is the pretrained encoder with a logistic regression as its head. Few labels move the encoder too far as
easily as not far enough; part of the way is then better than either end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from transfer.body import Body

# C of the head that is solved at the beginning of the line.
ANCHOR = 0.1


class Line:
    """The weights between ``start`` and ``end``, each as ``Body.values`` returns them."""

    def __init__(self, body: Body, start: Sequence[np.ndarray], end: Sequence[np.ndarray]) -> None:
        self.body, self.start, self.end = body, start, end

    def go(self, share: float) -> None:
        """Give the body the weights at ``share`` of the way, from 0 to 1; at 1 exactly those of the end."""
        self.body.put(
            [
                (1 - share) * first + share * last if first.dtype.kind == "f" else last
                for first, last in zip(self.start, self.end, strict=True)
            ]
        )
