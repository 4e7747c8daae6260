"""The straight line of weights between a frozen encoder and a fine-tuned one.

Wortsman et al. 2022, "Robust fine-tuning of zero-shot models" (WiSE-FT), equation 1: with the weights w0
from which fine-tuning began and w1 at which it ended, the network has (1 - alpha) w0 + alpha w1. Here w0
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
    from transfer.model.network import TransferNetwork

# C of the head that is solved at the beginning of the line.
ANCHOR = 0.1


class WeightInterpolation:
    """The weights between ``start`` and ``end``, each as ``TransferNetwork.values`` returns them.

    loss: computes the loss on what was trained on, at the network's present weights.
    alpha: the share of the way at which the network is; at first 0.
    """

    def __init__(
        self,
        network: TransferNetwork,
        start: Sequence[np.ndarray],
        end: Sequence[np.ndarray],
        loss: Callable[[], float],
    ) -> None:
        self.network, self.start, self.end, self.loss = network, start, end, loss
        self.alpha = 0.0

    def apply(self, alpha: float) -> None:
        """Give the network the weights at ``alpha`` of the way, from 0 to 1; at 1 exactly those of the end.

        Where a barrier lies there, it is given those of the end, and ``alpha`` is 1.
        """
        first, last = self._ends if 0 < alpha < 1 else (0.0, 0.0)
        self._put(alpha)
        if 0 < alpha < 1 and not self.loss() <= (1 - alpha) * first + alpha * last:
            self._put(1.0)

    @cached_property
    def _ends(self) -> tuple[float, float]:
        """The losses at both ends."""
        found = []
        for alpha in (0.0, 1.0):
            self._put(alpha)
            found.append(self.loss())
        return found[0], found[1]

    def _put(self, alpha: float) -> None:
        self.alpha = alpha
        self.network.put(
            [
                (1 - alpha) * first + alpha * last if first.dtype.kind == "f" else last
                for first, last in zip(self.start, self.end, strict=True)
            ]
        )
