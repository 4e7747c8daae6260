"""The small net between features and a self-supervised loss, which is thrown away afterwards.

Chen et al. 2020, "A Simple Framework for Contrastive Learning", section 4.2: the layer below the
projector is the better representation, since the loss may throw away there what it does not need.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from headstart.lazy import keras, tf
from pretrain.encoders.base import Option, integers
from pretrain.engine.stage import Batch, Stage
from pretrain.strategies.base import Setup


def projector(inputs: int, sizes: list[int]) -> Any:
    """Return a Keras model (B, inputs) -> (B, sizes[-1]): dense, batch-normalised, ReLU; the last linear.

    Batch normalisation is innocent here: nothing of the projector is exported, and Barlow Twins, VICReg
    and SimCLR all have it.
    """
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


def sizes_option(*default: int) -> Option:
    """Return the option ``projector``, whose sizes are ``default`` unless others are chosen."""
    about = "sizes of the layers between features and loss"
    return Option([*default], about, integers(1, 8192, most=4))


def two_view_stage(
    setup: Setup,
    name: str,
    objective: str,
    losses: Callable[[Any, Any], Mapping[str, Any]],
    metrics: tuple[str, ...],
) -> Stage:
    """Return the stage ``name`` that trains encoder and projector on two views of each example.

    losses: projections of the two views, float32 (B, P) each, in one order -> the scalar "loss" and the
        scalars named in ``metrics``.
    """
    head = projector(setup.encoder.feature_size, setup.options["projector"])

    def loss(batch: Batch) -> Mapping[str, Any]:
        both = tf.concat(setup.views(batch), axis=0)
        z = head(setup.encoder(both, batch.training), training=batch.training)
        return losses(*tf.split(z, 2))

    made = setup.objective(objective, loss, head, metrics=metrics)
    return setup.stage(name, made, evaluation_batch=setup.recipe.batch_size)
