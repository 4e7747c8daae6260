"""Normalisation that survives freezing, and the activations that convolutional encoders can have.

Wu & He 2018, "Group Normalization": each example is normalised by itself, over its positions and the
channels of one group. There are no statistics of the pool to drift, to freeze by mistake or to carry to
other data, and a frozen block computes the same in training and in use, in any batch. (Batch normalisation
does none of this, which is why it is not offered in encoders.)
"""

from __future__ import annotations

import math
from typing import Any

GROUPS = 8
ACTIVATIONS = ("relu", "leaky_relu", "gelu", "silu")
NORMALISATIONS = ("none", "group")


def normalised(hidden: Any, kind: str, name: str) -> Any:
    """Return the feature maps (B, H, W, C) normalised by ``kind``, "none" or "group"."""
    import keras

    if kind == "none":
        return hidden
    return keras.layers.GroupNormalization(groups=groups(int(hidden.shape[-1])), name=name)(hidden)


def groups(channels: int) -> int:
    """Return how many groups ``channels`` are cut into: 8, or the most that divide both."""
    return math.gcd(GROUPS, channels)


def scales(kind: str, path: str, channels: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the weights that ``normalised`` adds, by path."""
    if kind == "none":
        return {}
    return {f"{path}/gamma": (channels,), f"{path}/beta": (channels,)}
