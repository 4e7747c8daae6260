"""``denoising-autoencoder``: give the encoder a spoilt example and ask for the clean one.

Vincent et al. 2008, "Extracting and Composing Robust Features with Denoising Autoencoders", the whole net in
one go. With clean x in [0, 1] of shape (B, ...), its spoilt version s and r = sigmoid(logits(s)), the loss
is the autoencoder's between x and r, over all values. Every value of s is spoilt by itself:

- mask: 0 with chance ``amount`` (section 2.3 of the paper);
- gaussian: x + n with n ~ N(0, amount^2), not cut to [0, 1] (Vincent et al. 2010, "Stacked Denoising
  Autoencoders", section 3.3, as is salt);
- salt: 0 or 1, either as likely, with chance ``amount``.

0 and 1 are the lowest and highest value that the source can hold. Of a table, whole columns are masked
(pretrain.strategies.columns). Held-out examples are spoilt as well, so that both losses compare.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from headstart.lazy import tf
from pretrain.encoders.base import Option, choice, number
from pretrain.engine.stage import Batch, Stage
from pretrain.strategies.autoencoder import LOSS, reconstruction_stage
from pretrain.strategies.base import Recipe, Setup, Strategy
from pretrain.strategies.columns import Columns


def corrupt(x: Any, batch: Batch, kind: str, amount: float, columns: Columns | None = None) -> Any:
    """Return float32 ``x`` (B, ...) spoilt by random numbers of the batch; of a table its ``columns``."""
    shape = tf.shape(x)
    if kind == "mask" and columns is not None:
        shape = [shape[0], len(columns.widths)]
        return columns.hide(x, tf.random.stateless_uniform(shape, batch.draw(0)) < amount)
    if kind == "gaussian":
        return x + amount * tf.random.stateless_normal(shape, batch.draw(0))
    spoilt = tf.random.stateless_uniform(shape, batch.draw(0)) < amount
    if kind == "mask":
        return tf.where(spoilt, tf.zeros_like(x), x)
    heads = tf.random.stateless_uniform(shape, batch.draw(1)) < 0.5
    return tf.where(spoilt, tf.cast(heads, x.dtype), x)


def stages(setup: Setup) -> Iterator[Stage]:
    """Yield the one stage: encoder and mirrored decoder together."""
    kind, amount = setup.options["corrupt"], setup.options["amount"]
    columns = setup.columns

    def spoil(x: Any, batch: Batch) -> tuple[Any]:
        return (corrupt(x, batch, kind, amount, columns),)

    yield reconstruction_stage(setup, "denoising", "denoise", spoil)


ROW = Strategy(
    name="denoising-autoencoder",
    summary="reconstruct the clean input from a spoilt one; needs no labels",
    stages=stages,
    recipe=Recipe(epochs=10, batch_size=128, learning_rate=3e-3, schedule="cosine"),
    options={
        "corrupt": Option(
            default="mask",
            help="mask (values become 0), gaussian (noise is added) or salt (values become 0 or 1)",
            parse=choice("mask", "gaussian", "salt"),
        ),
        "amount": Option(
            default=0.3,
            help="part of the values that are spoilt; for gaussian the noise's standard deviation",
            parse=number(0, 1),
        ),
        "loss": LOSS,
    },
)
