"""``hidden``: a hidden layer and one layer, both trained."""

from __future__ import annotations

from typing import Any

from headstart.lazy import keras
from transfer.heads.base import Head

UNITS = 128


class Hidden(Head):
    """A hidden layer of ReLUs, and one Dense layer."""

    name = "hidden"
    summary = f"a hidden layer of {UNITS} ReLUs, then one layer"
    words = ", hidden layer"
    adds_layers = True

    def blocks(self, shape: tuple[int, ...]) -> list[tuple[str, Any]]:
        """Return the hidden layer."""
        return [dense_block("hidden", shape, UNITS)]


def dense_block(name: str, shape: tuple[int, ...], units: int) -> tuple[str, Any]:
    """Return a block of one Dense layer with ReLU on features of ``shape``."""
    inputs = keras.Input(shape)
    layer = keras.layers.Dense(
        units, activation="relu", kernel_initializer="he_normal", name="dense"
    )
    return name, keras.Model(inputs, layer(inputs), name=name)


ROW = Hidden()
