"""Between a frozen encoder and a fine-tuned one: the straight line of their weights.

Wortsman et al. 2022, "Robust fine-tuning of zero-shot models" (WiSE-FT), equation 1: with the weights w0
from which fine-tuning began and w1 at which it ended, the network has (1 - share) w0 + share w1. Here w0
is the pretrained encoder with a logistic regression as its head. Few labels move the encoder too far as
easily as not far enough; part of the way is then better than either end.

That holds as long as no barrier lies between the two: Frankle et al. 2020, "Linear mode connectivity and
the lottery ticket hypothesis", section 2. Now and then fine-tuning jumps to weights of another valley, and
what lies half way is worse than both. The labels that were trained on show it: there the loss on the line
is above the straight line of the losses, where it is far below otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from transfer.model.network import Body

# C of the head that is solved at the beginning of the line.
ANCHOR = 0.1


class Line:
    """The weights between ``start`` and ``end``, each as ``Body.values`` returns them.

    loss: computes the loss on what was trained on, at the body's present weights.
    share: of the way at which the body is; at first it is at the start.
    """

    def __init__(
        self,
        body: Body,
        start: Sequence[np.ndarray],
        end: Sequence[np.ndarray],
        loss: Callable[[], float],
    ) -> None:
        self.body, self.start, self.end, self.loss = body, start, end, loss
        self.share = 0.0

    def go(self, share: float) -> None:
        """Give the body the weights at ``share`` of the way, from 0 to 1; at 1 exactly those of the end.

        Where a barrier lies there, it is given those of the end, and ``share`` is 1.
        """
        first, last = self._ends if 0 < share < 1 else (0.0, 0.0)
        self._put(share)
        if 0 < share < 1 and not self.loss() <= (1 - share) * first + share * last:
            self._put(1.0)

    @cached_property
    def _ends(self) -> tuple[float, float]:
        """The losses at both ends."""
        found = []
        for share in (0.0, 1.0):
            self._put(share)
            found.append(self.loss())
        return found[0], found[1]

    def _put(self, share: float) -> None:
        self.share = share
        self.body.put(
            [
                (1 - share) * first + share * last if first.dtype.kind == "f" else last
                for first, last in zip(self.start, self.end, strict=True)
            ]
        )
