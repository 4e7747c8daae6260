"""``gan``: a generator makes examples up, the encoder with one logit on top tells them from real ones.

Goodfellow et al. 2014, "Generative Adversarial Nets", section 3. With real examples x (B, ...), made-up
ones G(z) of noise z ~ N(0, 1) (B, latent) and the logit D = head(encoder(.)) (B,), each batch moves
the discriminator by the mean of softplus(-D(x)) + softplus(D(G(z))), which is the negative of the paper's
log D + log(1 - D), and then the generator by the mean of softplus(-D(G(z))), its non-saturating loss.

The discriminator's loss has Mescheder et al. 2018, "Which Training Methods for GANs do actually Converge?",
equation 9, added to it: ``penalty`` / 2 times the mean over real examples of |dD/dx|^2, which is zero
where the two are at rest. It changes nothing in the net itself: what is exported is what was trained.

The generator is thrown away afterwards. For images it is that of Radford et al. 2016, "Unsupervised
Representation Learning with Deep Convolutional Generative Adversarial Networks": a dense layer to a small
map, then transposed convolutions of stride 2, each batch-normalised and followed by ReLU, then a convolution
and a sigmoid. For vectors: two dense layers instead.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from headstart.lazy import keras, tf
from pretrain.encoders.base import Option, integer, number
from pretrain.engine.stage import Batch, Objective, Optimizer, Stage, StageSnapshot
from pretrain.monitoring.image_grid import drawable, tile
from pretrain.strategies.base import Recipe, Setup, Strategy

SAMPLES = 64
SNAPSHOTS = 10
# A map as small as this is made by a dense layer; larger ones by doubling it.
SMALLEST = 7
KERNEL = 4
DENSE = 256
# Of the statistics that are used in place of the batch's when samples are drawn outside training.
MOMENTUM = 0.9


def generator(shape: tuple[int, ...], latent: int, width: int) -> Any:
    """Return a Keras model from noise (B, ``latent``) to examples (B, *``shape``) in [0, 1].

    width: filters of the map of half the image's height; half as many at full height, and twice as many
        on each smaller map, but at most 4 ``width``.
    """
    inputs = keras.Input((latent,))
    logits = _image(inputs, shape, width) if len(shape) == 3 else _vector(inputs, shape)
    return keras.Model(
        inputs, keras.layers.Activation("sigmoid", name="squash")(logits), name="generator"
    )


def _vector(hidden: Any, shape: tuple[int, ...]) -> Any:
    for i in (1, 2):
        hidden = _normalised(_dense(hidden, DENSE, f"dense{i}"), f"{i}")
    logits = keras.layers.Dense(math.prod(shape), name="logits")(hidden)
    return keras.layers.Reshape(shape, name="reshape")(logits)


def _image(hidden: Any, shape: tuple[int, ...], width: int) -> Any:
    smallest, *larger = map_sizes(shape)
    # Filters of each map.
    first, *counts = [max(1, width // 2), *(width * min(4, 2**i) for i in range(len(larger)))][::-1]
    hidden = _dense(hidden, math.prod(smallest) * first, "dense")
    hidden = _normalised(keras.layers.Reshape((*smallest, first), name="map")(hidden), "0")
    for i, (size, count) in enumerate(zip(larger, counts, strict=True), start=1):
        hidden = keras.layers.Conv2DTranspose(
            count, KERNEL, strides=2, padding="same", use_bias=False, name=f"up{i}"
        )(hidden)
        # An odd size was rounded up on the way down: cut what doubling makes too much.
        extra = ((0, int(hidden.shape[1]) - size[0]), (0, int(hidden.shape[2]) - size[1]))
        if any(end for _, end in extra):
            hidden = keras.layers.Cropping2D(extra, name=f"crop{i}")(hidden)
        hidden = _normalised(hidden, f"{i}")
    # At full size: a transposed convolution alone leaves a pattern of its stride on the picture.
    return keras.layers.Conv2D(shape[-1], 3, padding="same", name="logits")(hidden)


def map_sizes(shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return heights and widths of the generator's maps for images of ``shape``, the smallest first."""
    sizes = [(shape[0], shape[1])]
    while max(sizes[-1]) > SMALLEST:
        sizes.append((math.ceil(sizes[-1][0] / 2), math.ceil(sizes[-1][1] / 2)))
    return sizes[::-1]


def _dense(hidden: Any, units: int, name: str) -> Any:
    how = {"use_bias": False, "kernel_initializer": "he_normal"}
    return keras.layers.Dense(units, name=name, **how)(hidden)


def _normalised(hidden: Any, name: str) -> Any:
    hidden = keras.layers.BatchNormalization(momentum=MOMENTUM, name=f"norm{name}")(hidden)
    return keras.layers.ReLU(name=f"relu{name}")(hidden)


def discriminator_loss(real: Any, fake: Any) -> Any:
    """Return the scalar loss of logits ``real`` and ``fake``, both float32 (B,)."""
    return tf.reduce_mean(tf.nn.softplus(-real)) + tf.reduce_mean(tf.nn.softplus(fake))


def generator_loss(fake: Any) -> Any:
    """Return the scalar non-saturating loss of the discriminator's logits ``fake``, float32 (B,)."""
    return tf.reduce_mean(tf.nn.softplus(-fake))


def judged(discriminate: Any, x: Any) -> tuple[Any, Any]:
    """Return the logits (B,) of ``x`` (B, ...), and the mean over examples of |d logit / dx|^2.

    discriminate: from examples (B, ...) to logits (B,), each from its own example alone.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        logits = discriminate(x)
    slopes = tape.gradient(logits, x)
    squares = tf.reduce_sum(tf.square(slopes), axis=list(range(1, len(x.shape))))
    return logits, tf.reduce_mean(squares)


def stages(setup: Setup) -> Iterator[Stage]:
    """Yield the one stage, in which discriminator and generator are trained in turn on each batch."""
    encoder, options, shape = setup.encoder, setup.options, setup.input_shape
    latent = options["latent"]
    make = generator(shape, latent, options["width"])
    head = keras.layers.Dense(1, name="real")
    head.build((None, encoder.feature_size))

    def share(true: Any) -> Any:
        return tf.reduce_mean(tf.cast(true, tf.float32))

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
            "real": share(real > 0),
            "fake": share(fake <= 0),
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
        snapshot=snapshot if drawable(shape) else None,
        snapshot_epochs=max(1, math.ceil(setup.recipe.epochs / SNAPSHOTS)),
    )


ROW = Strategy(
    name="gan",
    summary="tell real examples from those that a generator, trained against it, makes up",
    stages=stages,
    measures=lambda held_out: False,  # its two objectives work against each other
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
        "latent": Option(64, "size of the noise that an example is made from", integer(1, 4096)),
        "width": Option(
            32, "filters of the generator's map of half the height (images)", integer(1, 1024)
        ),
    },
)
