"""``gan``: a generator makes examples up, the encoder with one logit on top tells them from real ones.

Goodfellow et al. 2014, "Generative Adversarial Nets", section 3. With real examples x (B, ...), made-up
ones G(z) of noise z ~ N(0, 1) (B, latent) and the logit D = head(encoder(.)) (B,), each batch moves
the discriminator by the mean of softplus(-D(x)) + softplus(D(G(z))), which is the negative of the paper's
log D + log(1 - D), and then the generator by the mean of softplus(-D(G(z))), its non-saturating loss.

The discriminator's loss has Mescheder et al. 2018, "Which Training Methods for GANs do actually Converge?",
equation 9, added to it: ``penalty`` / 2 times the mean over real examples of |dD/dx|^2, which is zero
where the two are at rest. It changes nothing in the net itself: what is exported is what was trained.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from pretrain.encoders.base import Option, integer, number
from pretrain.engine.stage import Batch, Objective, Optimizer, Stage, StageSnapshot
from pretrain.monitoring.image_grid import tile
from pretrain.strategies.base import Recipe, Setup, Strategy
from pretrain.strategies.gan_nets import generator

SAMPLES = 64
SNAPSHOTS = 10


def discriminator_loss(real: Any, fake: Any) -> Any:
    """Return the scalar loss of logits ``real`` and ``fake``, both float32 (B,)."""
    import tensorflow as tf

    return tf.reduce_mean(tf.nn.softplus(-real)) + tf.reduce_mean(tf.nn.softplus(fake))


def generator_loss(fake: Any) -> Any:
    """Return the scalar non-saturating loss of the discriminator's logits ``fake``, float32 (B,)."""
    import tensorflow as tf

    return tf.reduce_mean(tf.nn.softplus(-fake))


def judged(discriminate: Any, x: Any) -> tuple[Any, Any]:
    """Return the logits (B,) of ``x`` (B, ...), and the mean over examples of |d logit / dx|^2.

    discriminate: from examples (B, ...) to logits (B,), each from its own example alone.
    """
    import tensorflow as tf

    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        logits = discriminate(x)
    slopes = tape.gradient(logits, x)
    squares = tf.reduce_sum(tf.square(slopes), axis=list(range(1, len(x.shape))))
    return logits, tf.reduce_mean(squares)


def stages(setup: Setup) -> Iterator[Stage]:
    """Yield the one stage, in which discriminator and generator are trained in turn on each batch."""
    import keras
    import tensorflow as tf

    encoder, options = setup.encoder, setup.options
    shape = tuple(encoder.config["input_shape"])
    latent = options["latent"]
    make = generator(shape, latent, options["width"])
    head = keras.layers.Dense(1, name="real")
    head.build((None, encoder.feature_size))

    def discriminate(x: Any, training: bool) -> Any:
        return head(encoder(x, training))[:, 0]

    def noise(batch: Batch, number: int) -> Any:
        return tf.random.stateless_normal((tf.shape(batch.x)[0], latent), batch.draw(number))

    def discriminator(batch: Batch) -> Mapping[str, Any]:
        # The statistics of its normalisation are the generator's: no step but its own moves them.
        with keras.StatelessScope():
            made = make(noise(batch, 0), training=batch.training)
        fake = discriminate(made, batch.training)
        real, slope = judged(lambda x: discriminate(x, batch.training), setup.preprocess(batch.x))
        return {
            "loss": discriminator_loss(real, fake) + options["penalty"] / 2 * slope,
            "real": _share(real > 0),
            "fake": _share(fake <= 0),
            "slope": slope,
        }

    def deceive(batch: Batch) -> Mapping[str, Any]:
        made = make(noise(batch, 1), training=batch.training)
        return {"loss": generator_loss(discriminate(made, batch.training))}

    fixed = np.random.default_rng(0).standard_normal((SAMPLES, latent)).astype(np.float32)

    def snapshot() -> StageSnapshot:
        images = np.asarray(make(fixed, training=False))
        return StageSnapshot(pictures={"samples": tile(images)})

    optimizer = setup.recipe.optimizer
    judge = [*encoder.trainable, *head.trainable_weights]
    yield setup.stage(
        "gan",
        Objective(
            name="discriminator",
            loss=discriminator,
            metrics=("real", "fake", "slope"),
            variables=judge,
            state=[*encoder.state, *make.variables],
            optimizer=optimizer,
        ),
        Objective(
            name="generator",
            loss=deceive,
            variables=make.trainable_weights,
            state=[*make.non_trainable_weights, *judge, *encoder.state],
            optimizer=optimizer,
        ),
        convolutional=encoder.row.convolutional or len(shape) == 3,
        snapshot=snapshot if len(shape) == 3 and shape[-1] in (1, 3) else None,
        snapshot_epochs=max(1, math.ceil(setup.recipe.epochs / SNAPSHOTS)),
    )


def _share(true: Any) -> Any:
    """Return the part of ``true``, bool (B,), that is true, as float32."""
    import tensorflow as tf

    return tf.reduce_mean(tf.cast(true, tf.float32))


def _measures(held_out: Mapping[str, np.ndarray]) -> bool:
    return False  # its two objectives work against each other


ROW = Strategy(
    name="gan",
    summary="tell real examples from those that a generator, trained against it, makes up",
    stages=stages,
    measures=_measures,
    advice="Raise the penalty (option penalty=10) or lower the learning rate.",
    recipe=Recipe(
        epochs=10,
        batch_size=64,
        learning_rate=5e-4,
        optimizer=Optimizer(beta_1=0.5),
        schedule="cosine",
    ),
    options={
        "penalty": Option(
            default=1.0,
            help="weight of the squared slope of the logit at real examples (gamma of R1)",
            parse=number(0, 1000),
        ),
        "latent": Option(
            default=64,
            help="size of the noise that an example is made from",
            parse=integer(1, 4096),
        ),
        "width": Option(
            default=32,
            help="filters of the generator's map of half the height (images)",
            parse=integer(1, 1024),
        ),
    },
)
