"""The small net between features and a self-supervised loss, which is thrown away afterwards.

Chen et al. 2020, "A Simple Framework for Contrastive Learning", section 4.2: the layer below the
projector is the better representation, since the loss may throw away there what it does not need.
"""

from __future__ import annotations

from typing import Any


def projector(inputs: int, sizes: list[int]) -> Any:
    """Return a Keras model (B, inputs) -> (B, sizes[-1]): dense, batch-normalised, ReLU; the last linear.

    Batch normalisation is innocent here: nothing of the projector is exported, and Barlow Twins, VICReg
    and SimCLR all have it.
    """
    import keras

    hidden = source = keras.Input((inputs,))
    for i, size in enumerate(sizes, start=1):
        last = i == len(sizes)
        hidden = keras.layers.Dense(
            size, use_bias=last, kernel_initializer="he_normal", name=f"project{i}"
        )(hidden)
        if not last:
            hidden = keras.layers.BatchNormalization(momentum=0.9, name=f"normalise{i}")(hidden)
            hidden = keras.layers.ReLU(name=f"relu{i}")(hidden)
    return keras.Model(source, hidden, name="projector")
