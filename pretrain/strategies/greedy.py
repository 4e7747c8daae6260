"""``greedy-autoencoder``: one block after the other, each to give back what it is given.

Bengio et al. 2007, "Greedy Layer-Wise Training of Deep Networks"; Hinton & Salakhutdinov 2006, "Reducing
the Dimensionality of Data with Neural Networks", with autoencoders for machines. One stage a block, with
the block's name. Block k is given h (B, ...), what the frozen blocks below make of the input, and a linear
decoder of one layer turns its output into r, of the shape of h:

- first block: h = x in [0, 1], and the loss is the autoencoder's, r = sigmoid(logits), "bce" or "mse";
- blocks above: h has no bounds, so r = m + sqrt(v) decoder(...) and the loss is mean((h - r)^2) / v, with m
  (...) the mean of h over examples and v its variance, averaged over the values of h. So the loss is the part
  of the variance that is lost, whatever the scale of h: 1 is as good as always answering m.

Every stage has the recipe's epochs. Its steps train one block only, and are as much cheaper: all stages
together take one to two times as long as the same epochs of ``autoencoder``.

h is computed once a stage and kept, as long as all stages' together fit into ``CACHE_BYTES``; what does not
fit is computed in each step. A block whose output is larger than its input, or one with a shortcut
(``resnet``), can give its input back without learning anything of the data: low losses say little there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from headstart.lazy import keras, tf
from pretrain.engine.stage import Batch, Objective, Stage
from pretrain.strategies.autoencoder import LOSS, reconstruction_loss
from pretrain.strategies.base import Loss, Recipe, Setup, Strategy, in_parts

# For all stages together: compiled steps hold their stage's arrays until the run is over.
CACHE_BYTES = 1 << 29
ROWS = 256  # examples at a time where a whole array goes through blocks
SAMPLE = 1024  # examples, evenly spaced, that mean and variance are measured on
RAW = "x"  # the array of raw examples; the others are named after the block whose output they are

Represent = Callable[[Any], Any]
"""From rows of a stage's array to h (B, ...) float32, what the block in training is given."""


def stages(setup: Setup) -> Iterator[Stage]:
    """Yield a stage for each block, lowest first; those below it are trained and stay as they are."""
    blocks = setup.encoder.blocks
    # All of them first: initial weights must not depend on what happens while a stage is trained.
    decoders = [one_layer_decoder(block, f"{name}_decoder") for name, block in blocks]
    arrays = {RAW: setup.arrays["x"]}
    validation = setup.validation and {RAW: setup.validation["x"]}
    between: list[Any] = []  # the frozen blocks between the array and the block in training
    room = CACHE_BYTES
    for (name, block), decoder in zip(blocks, decoders, strict=True):
        (source,) = arrays
        represent = _represent(setup, source, tuple(between))
        first = source == RAW and not between
        moments = () if first else _moments(represent, arrays[source], name)
        frozen = [v for below in between for v in below.variables]
        yield setup.stage(
            name,
            Objective(
                name="reconstruct",
                loss=_loss(source, represent, block, decoder, moments, setup.options["loss"]),
                variables=[*block.trainable_variables, *decoder.trainable_variables],
                state=[
                    *frozen,
                    *block.non_trainable_variables,
                    *decoder.non_trainable_variables,
                    *moments,
                ],
                optimizer=setup.recipe.optimizer,
            ),
            arrays=arrays,
            validation=validation,
        )
        between.append(block)
        rows = len(arrays[source]) + len(validation[source] if validation else ())
        size = 4 * rows * math.prod(block.output_shape[1:])
        if size <= room and block is not blocks[-1][1]:
            room -= size
            represent = _represent(setup, source, tuple(between))
            arrays = {name: in_parts(represent, arrays[source], ROWS)}
            validation = validation and {name: in_parts(represent, validation[source], ROWS)}
            between = []


def one_layer_decoder(block: Any, name: str) -> Any:
    """Return a linear keras.Model of one layer from the block's output back to its input's shape.

    Maps (h, w, c) to (H, W, C) by a transposed convolution with strides ceil(H / h) and ceil(W / w), cut to
    size; any other shapes by a dense layer.
    """
    below, above = tuple(block.input_shape[1:]), tuple(block.output_shape[1:])
    hidden = inputs = keras.Input(above)
    if len(below) == len(above) == 3:
        strides = [math.ceil(below[i] / above[i]) for i in range(2)]
        hidden = keras.layers.Conv2DTranspose(
            below[-1],
            [max(3, stride) for stride in strides],
            strides=strides,
            padding="same",
            name="deconv",
        )(hidden)
        extra = [(0, above[i] * strides[i] - below[i]) for i in range(2)]
        if any(end for _, end in extra):
            hidden = keras.layers.Cropping2D(extra, name="crop")(hidden)
    else:
        if len(above) > 1:
            hidden = keras.layers.Flatten(name="flatten")(hidden)
        hidden = keras.layers.Dense(math.prod(below), name="dense")(hidden)
        hidden = keras.layers.Reshape(below, name="reshape")(hidden)
    return keras.Model(inputs, hidden, name=name)


def mean_and_variance(represent: Represent, x: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the mean over examples of h = ``represent(x)``, float64 (...), and its variance.

    The variance is averaged over the values of h, and is 1 when it would be 0. Measured on ``SAMPLE`` of the
    examples x (N, ...).
    """
    x = x[:: math.ceil(len(x) / SAMPLE)]
    total: Any = 0.0
    squares: Any = 0.0
    for start in range(0, len(x), ROWS):
        hidden = np.asarray(represent(x[start : start + ROWS]), np.float64)
        total = total + hidden.sum(axis=0)
        squares = squares + np.square(hidden).sum(axis=0)
    mean = total / len(x)
    variance = float(np.mean(squares / len(x) - np.square(mean)))
    # Units that are all dead, or a single example: there is nothing to measure losses against.
    return mean, variance if variance > 1e-12 else 1.0


def _loss(
    source: str, represent: Represent, block: Any, decoder: Any, moments: tuple[Any, ...], kind: str
) -> Loss:
    """Return the loss of one block; ``moments``: the variables m and v, or none for the first block."""

    def loss(batch: Batch) -> Mapping[str, Any]:
        below = represent(batch.arrays[source])
        found = decoder(block(below, training=batch.training), training=batch.training)
        if not moments:
            return {"loss": reconstruction_loss(below, found, kind)}
        mean, variance = (moment.value for moment in moments)
        return {"loss": tf.reduce_mean(tf.square((below - mean) / tf.sqrt(variance) - found))}

    return loss


def _represent(setup: Setup, source: str, between: tuple[Any, ...]) -> Represent:
    """Return what turns rows of the array ``source`` into the output of the last block ``between``."""

    def represent(rows: Any) -> Any:
        hidden = setup.preprocess(rows) if source == RAW else rows
        for block in between:
            hidden = block(hidden, training=False)
        return hidden

    return represent


def _moments(represent: Represent, x: np.ndarray, name: str) -> tuple[Any, ...]:
    """Return m and v as variables: as numbers they would tie the compiled step to this run's data."""
    return tuple(
        keras.Variable(value, trainable=False, dtype="float32", name=f"{name}_{moment}")
        for moment, value in zip(("mean", "variance"), mean_and_variance(represent, x), strict=True)
    )


ROW = Strategy(
    name="greedy-autoencoder",
    summary="reconstruct block by block, the blocks below frozen; needs no labels",
    stages=stages,
    # At 3e-3 all units of a block of ReLUs died in one of five runs: maps above the first have no bounds.
    recipe=Recipe(epochs=10, batch_size=128, learning_rate=1e-3, schedule="cosine"),
    options={"loss": replace(LOSS, help=f"of the first block: {LOSS.help}")},
)
