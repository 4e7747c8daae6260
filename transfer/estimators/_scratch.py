"""The small dense encoder of an estimator without a pretrained one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pretrain.encoders import encoder_config
from transfer.encoder_source import EncoderSource
from transfer.recipes import TransferRecipe

if TYPE_CHECKING:
    from pretrain.encoders.encoder import Encoder
    from pretrain.engine.train import Run

# Examples are standardised before the network, so nothing is left to do inside.
PREPROCESSING = {"input_dtype": "float32", "value_range": [0, 1], "scale": [1], "offset": [0]}

DECODER_STREAM = 1


def small_source(features: int) -> EncoderSource:
    """Return a fresh ``mlp`` of two layers for examples (features,), to be trained with a head."""
    return _source(features, [_between(32, 2 * features, 128), _between(16, features, 64)])


def bottleneck_source(features: int) -> EncoderSource:
    """Return a fresh ``mlp`` with fewer outputs than ``features``, from 4 on, and at most 64."""
    return _source(features, [_between(32, 2 * features, 128), _between(2, features // 2, 64)])


def _source(features: int, units: list[int]) -> EncoderSource:
    config = encoder_config("mlp", (features,), {"units": units})
    return EncoderSource(encoder=config, preprocessing=PREPROCESSING)


def _between(low: int, value: int, high: int) -> int:
    return max(low, min(value, high))


def reconstruct(x: np.ndarray, source: EncoderSource, recipe: TransferRecipe, run: Run) -> Encoder:
    """Train a fresh encoder as an autoencoder, and return it.

    The loss is the mean of (x - d(e(x)))^2, where d is the encoder e's mirror image, thrown away afterwards.

    Args:
        x: standardised examples (N, D) float32.
        source: the configuration of the encoder.
        recipe: epochs, batch size and optimizer of training from scratch.
        run: seed and session.
    """
    import tensorflow as tf

    from pretrain.encoders.encoder import Encoder, seeded, stream
    from pretrain.engine.stage import Batch, Objective, Stage
    from pretrain.engine.train import train

    encoder = Encoder(source.encoder, run.seed)
    with seeded(stream(run.seed, DECODER_STREAM)):
        decoder = encoder.row.decode(x.shape[1:], encoder.config["options"])

    def loss(batch: Batch) -> Mapping[str, Any]:
        features = encoder(batch.x, batch.training)
        error = decoder(features, training=batch.training) - batch.x
        return {"loss": tf.reduce_mean(tf.square(error))}

    objective = Objective(
        name="reconstruct",
        loss=loss,
        variables=[*encoder.trainable, *decoder.trainable_weights],
        state=[*encoder.state, *decoder.non_trainable_weights],
        optimizer=recipe.optimizer,
    )
    stage = Stage(
        name="reconstruct",
        objectives=[objective],
        arrays={"x": x},
        epochs=recipe.scratch_epochs,
        batch_size=recipe.batch_size,
        learning_rate=recipe.scratch_learning_rate,
        schedule=recipe.schedule,
    )
    train([stage], run)
    return encoder
