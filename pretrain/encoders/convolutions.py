"""Parts that convolutional encoders and their decoders share: normalisation, convolutions, options.

Wu & He 2018, "Group Normalization": each example is normalised by itself, over its positions and the
channels of one group. There are no statistics of the pool to drift, to freeze by mistake or to carry to
other data, and a frozen block computes the same in training and in use, in any batch. (Batch normalisation
does none of this, which is why it is not offered in encoders.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from headstart.errors import InputError
from headstart.lazy import keras
from pretrain.encoders.base import Option, Shapes, choice

GROUPS = 8
ACTIVATIONS = ("relu", "leaky_relu", "gelu", "silu")
ACTIVATION = Option("relu", ", ".join(ACTIVATIONS), choice(*ACTIVATIONS))
NORMALISATIONS = ("none", "group")


def check_images(name: str, input_shape: tuple[int, ...]) -> None:
    """Raise InputError unless the encoder ``name`` gets images."""
    if len(input_shape) != 3:
        raise InputError(
            f"The encoder {name!r} needs images of shape (height, width, channels), and examples have shape "
            f"{tuple(input_shape)}.",
            hint="For vectors use the encoder 'mlp'.",
        )


def normalised(hidden: Any, kind: str, name: str) -> Any:
    """Return the feature maps (B, H, W, C) normalised by ``kind``, "none" or "group"."""
    if kind == "none":
        return hidden
    return keras.layers.GroupNormalization(groups=groups(int(hidden.shape[-1])), name=name)(hidden)


def groups(channels: int) -> int:
    """Return how many groups ``channels`` are cut into: 8, or the most that divide both."""
    return math.gcd(GROUPS, channels)


def scales(kind: str, path: str, channels: int) -> Shapes:
    """Return the shapes of the weights that ``normalised`` adds, by path."""
    if kind == "none":
        return {}
    return {f"{path}/gamma": (channels,), f"{path}/beta": (channels,)}


def convolved(hidden: Any, filters: int, size: int, stride: int, name: str) -> Any:
    """Return maps (B, H, W, C) after a padded convolution without activation."""
    return keras.layers.Conv2D(
        filters, size, strides=stride, padding="same", kernel_initializer="he_normal", name=name
    )(hidden)


def smallest_map(features: Any, size: Sequence[int], filters: int) -> Any:
    """Return the maps (B, *``size``, ``filters``) with which a decoder begins, of features (B, D)."""
    hidden = keras.layers.Dense(
        math.prod(size) * filters, activation="relu", kernel_initializer="he_normal", name="dense"
    )(features)
    return keras.layers.Reshape((*size, filters), name="reshape")(hidden)


def doubled(hidden: Any, filters: int, name: str, activation: str | None = "relu") -> Any:
    """Return maps of twice the height and width, by a transposed convolution."""
    return keras.layers.Conv2DTranspose(
        filters,
        3,
        strides=2,
        padding="same",
        activation=activation,
        kernel_initializer="he_normal",
        name=name,
    )(hidden)


def cropped(hidden: Any, size: Sequence[int], name: str) -> Any:
    """Return maps without what doubling a size that was rounded up on the way down makes too much."""
    extra = tuple((0, int(here) - n) for here, n in zip(hidden.shape[1:3], size, strict=True))
    if not any(end for _, end in extra):
        return hidden
    return keras.layers.Cropping2D(extra, name=name)(hidden)
