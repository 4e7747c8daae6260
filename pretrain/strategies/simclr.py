"""``simclr``: find the other view of an example among all other views of the batch.

Chen et al. 2020, "A Simple Framework for Contrastive Learning of Visual Representations", equation 1.
Each of B examples gives two random views; encoder and projector turn the 2 B views into vectors z of
length 1. With s(i, k) = z_i . z_k / temperature and j the other view of i, the loss (NT-Xent) is the mean
over all 2 B views of -log(exp s(i, j) / sum over k != i of exp s(i, k)).

The projector is thrown away afterwards: the layer below it is the better representation, since the loss may
throw away there what it does not need (section 4.2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from headstart.lazy import keras, tf
from pretrain.encoders.base import Option, integers, number
from pretrain.engine.stage import Batch, Stage
from pretrain.strategies.base import Recipe, Setup, Strategy


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


def nt_xent(first: Any, second: Any, temperature: float) -> tuple[Any, Any]:
    """Return the scalar loss, and the part of the views whose nearest is their own other view.

    first, second: float32 (B, P), the projections of the two views, in the same order.
    """
    count = tf.shape(first)[0]
    z = tf.math.l2_normalize(tf.concat([first, second], axis=0), axis=1)
    scores = tf.matmul(z, z, transpose_b=True) / temperature
    scores = tf.linalg.set_diag(scores, tf.fill([2 * count], -1e9))
    other = tf.concat([tf.range(count, 2 * count), tf.range(count)], axis=0)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(other, scores)
    right = tf.equal(tf.argmax(scores, axis=1, output_type=tf.int32), other)
    return tf.reduce_mean(losses), tf.reduce_mean(tf.cast(right, tf.float32))


def stages(setup: Setup) -> Iterator[Stage]:
    """Yield the one stage: encoder and projector together."""
    temperature = setup.options["temperature"]

    def losses(first: Any, second: Any) -> Mapping[str, Any]:
        value, right = nt_xent(first, second, temperature)
        return {"loss": value, "found": right}

    yield two_view_stage(setup, "simclr", "contrast", losses, ("found",))


ROW = Strategy(
    name="simclr",
    summary="find an example's other view among the batch (contrastive)",
    stages=stages,
    augments=True,
    advice="Use a higher temperature, a lower learning rate or larger batches.",
    recipe=Recipe(epochs=20, batch_size=256, learning_rate=1e-3, schedule="cosine"),
    options={
        "temperature": Option(0.2, "below 1: the nearest wrong views count more", number(0.01, 10)),
        "projector": sizes_option(256, 128),
    },
)
