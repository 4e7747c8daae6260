"""``autoencoder``: reconstruct the input from the encoder's features, the whole net in one go.

Hinton & Salakhutdinov 2006, "Reducing the Dimensionality of Data with Neural Networks", trained
directly instead of layer by layer. With inputs x in [0, 1] of shape (B, ...) and the decoder's
reconstruction r = sigmoid(logits), the loss is the mean over examples and values of (x - r)^2
("mse") or of the Bernoulli cross-entropy -x log r - (1 - x) log(1 - r) ("bce"). Of a table it is the mean
over columns, and columns of levels have a cross-entropy of their own (pretrain.strategies.columns).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from headstart.lazy import tf
from pretrain.encoders.base import Option, choice
from pretrain.engine.stage import Batch, Stage, StageSnapshot
from pretrain.monitoring.image_grid import drawable, tile
from pretrain.strategies.base import Recipe, Setup, Strategy
from pretrain.strategies.columns import Columns

SHOWN = 10
LOSS = Option(
    default="bce", help="bce (Bernoulli cross-entropy) or mse", parse=choice("bce", "mse")
)
Spoil = Callable[[Any, Batch], tuple[Any, ...]]
"""From x in [0, 1] (B, ...) to what the encoder is given instead, and what the loss has to know of that."""


def reconstruction_loss(x: Any, logits: Any, kind: str) -> Any:
    """Return the scalar loss between ``x`` in [0, 1] and the sigmoid of ``logits``, both (B, ...)."""
    return tf.reduce_mean(value_losses(x, logits, kind))


def value_losses(x: Any, logits: Any, kind: str) -> Any:
    """Return the loss of each value, (B, ...); else as ``reconstruction_loss``."""
    if kind == "bce":
        return tf.nn.sigmoid_cross_entropy_with_logits(x, logits)
    return tf.square(x - tf.sigmoid(logits))


def column_loss(columns: Columns) -> Callable[..., Any]:
    """Return a loss of a table's columns in place of its values'; with ``hidden`` (B, E), of hidden ones."""

    def loss(x: Any, logits: Any, *known: Any) -> Any:
        *hidden, kind = known
        found = columns.losses(x, logits, lambda x, logits: value_losses(x, logits, kind))
        if not hidden:
            return tf.reduce_mean(found)
        first = np.searchsorted(columns.column_of, np.arange(len(columns.widths))).astype(np.int32)
        part = tf.cast(tf.gather(hidden[0], first, axis=1), tf.float32)
        return tf.math.divide_no_nan(tf.reduce_sum(found * part), tf.reduce_sum(part))

    return loss


def reconstruction_stage(
    setup: Setup,
    name: str,
    objective: str,
    spoil: Spoil | None = None,
    loss: Callable[..., Any] = reconstruction_loss,
) -> Stage:
    """Return the stage ``name`` that trains encoder and mirrored decoder to give back x.

    It ends with a picture, where examples are images: x above, then what the encoder was given in its
    place, then the reconstructions.

    Args:
        setup: with the option ``loss``.
        name: the stage's.
        objective: its objective's name.
        spoil: changes what the encoder is given; None gives it x.
        loss: x, logits (B, ...), what else ``spoil`` returned, the option ``loss`` -> a scalar.
    """
    decoder, columns = setup.decoder(), setup.columns
    if columns is not None:
        loss = column_loss(columns)

    def measured(batch: Batch) -> Mapping[str, Any]:
        x = setup.preprocess(batch.x)
        given, *known = (x,) if spoil is None else spoil(x, batch)
        logits = decoder(setup.encoder(given, batch.training), training=batch.training)
        return {"loss": loss(x, logits, *known, setup.options["loss"])}

    def snapshot() -> StageSnapshot:
        examples = (setup.validation or setup.arrays)["x"][:SHOWN]
        rows = [setup.preprocess(examples)]
        if spoil is not None:
            batch = Batch(arrays={"x": examples}, seed=tf.constant([0, 0]), training=False)
            rows.append(spoil(rows[0], batch)[0])
        rows.append(tf.sigmoid(decoder(setup.encoder(rows[-1], False), training=False)))
        picture = tile(np.concatenate([np.asarray(row) for row in rows]), columns=len(examples))
        return StageSnapshot(pictures={"reconstructions": picture})

    return setup.stage(
        name,
        setup.objective(objective, measured, decoder),
        snapshot=snapshot if drawable(setup.input_shape) else None,
        snapshot_epochs=max(1, math.ceil(setup.recipe.epochs)),
    )


def stages(setup: Setup) -> Iterator[Stage]:
    """Yield the one stage: encoder and mirrored decoder together."""
    yield reconstruction_stage(setup, "autoencoder", "reconstruct")


ROW = Strategy(
    name="autoencoder",
    summary="reconstruct the input through the features; needs no labels",
    stages=stages,
    recipe=Recipe(epochs=10, batch_size=128, learning_rate=1e-3, schedule="cosine"),
    options={"loss": LOSS},
)
