"""``autoencoder``: reconstruct the input from the encoder's features, the whole net in one go.

Hinton & Salakhutdinov 2006, "Reducing the Dimensionality of Data with Neural Networks", trained
directly instead of layer by layer. With inputs x in [0, 1] of shape (B, ...) and the decoder's
reconstruction r = sigmoid(logits), the loss is the mean over examples and values of (x - r)^2
("mse") or of the Bernoulli cross-entropy -x log r - (1 - x) log(1 - r) ("bce").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from pretrain.encoders.base import Option, choice
from pretrain.engine.stage import Batch, Objective, Stage, StageSnapshot
from pretrain.monitoring.image_grid import tile
from pretrain.strategies.base import Recipe, Setup, Strategy

SHOWN = 10


def reconstruction_loss(x: Any, logits: Any, kind: str) -> Any:
    """Return the scalar loss between ``x`` in [0, 1] and the sigmoid of ``logits``, both (B, ...)."""
    import tensorflow as tf

    if kind == "bce":
        return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(x, logits))
    return tf.reduce_mean(tf.square(x - tf.sigmoid(logits)))


def shown(
    setup: Setup, decoder: Any, spoil: Callable[[Any, Batch], Any] | None = None
) -> dict[str, Any]:
    """Return the stage's fields by which it ends with a picture: images above, reconstructions below.

    decoder: features (B, D) to logits (B, ...). spoil: what the encoder was given instead of x in [0, 1];
    it is shown between the two. Nothing for examples that are no images.
    """
    shape = tuple(setup.encoder.config["input_shape"])
    if len(shape) != 3 or shape[-1] not in (1, 3):
        return {}
    examples = (setup.validation or setup.arrays)["x"][:SHOWN]

    def snapshot() -> StageSnapshot:
        import tensorflow as tf

        x = given = setup.preprocess(examples)
        if spoil is not None:
            batch = Batch(arrays={"x": examples}, seed=tf.constant([0, 0]), training=False)
            given = spoil(x, batch)
        made = tf.sigmoid(decoder(setup.encoder(given, False), training=False))
        rows = [x, made] if spoil is None else [x, given, made]
        picture = tile(np.concatenate([np.asarray(row) for row in rows]), columns=len(examples))
        return StageSnapshot(pictures={"reconstructions": picture})

    return {"snapshot": snapshot, "snapshot_epochs": max(1, setup.recipe.epochs)}


def stages(setup: Setup) -> Iterator[Stage]:
    """Yield the one stage: encoder and mirrored decoder together."""
    encoder = setup.encoder
    decoder = encoder.row.decode(tuple(encoder.config["input_shape"]), encoder.config["options"])

    def loss(batch: Batch) -> Mapping[str, Any]:
        x = setup.preprocess(batch.x)
        logits = decoder(encoder(x, batch.training), training=batch.training)
        return {"loss": reconstruction_loss(x, logits, setup.options["loss"])}

    yield setup.stage(
        "autoencoder",
        Objective(
            name="reconstruct",
            loss=loss,
            variables=[*encoder.trainable, *decoder.trainable_weights],
            state=[*encoder.state, *decoder.non_trainable_weights],
            optimizer=setup.recipe.optimizer,
        ),
        **shown(setup, decoder),
    )


ROW = Strategy(
    name="autoencoder",
    summary="reconstruct the input through the features; needs no labels",
    stages=stages,
    recipe=Recipe(epochs=10, batch_size=128, learning_rate=1e-3, schedule="cosine"),
    options={
        "loss": Option(
            default="bce", help="bce (Bernoulli cross-entropy) or mse", parse=choice("bce", "mse")
        )
    },
)
