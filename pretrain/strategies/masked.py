"""``masked-autoencoder``: hide random squares of an image and ask for what was there.

He et al. 2022, "Masked Autoencoders Are Scalable Vision Learners", section 3. An image x in [0, 1] of shape
(H, W, C) is cut into patches of ``patch`` x ``patch`` pixels (cut off at the lower and right edge), and the
part ``hidden`` of them, drawn anew for each example and step, is hidden with all channels. With the
decoder's r = sigmoid(logits), the loss is the mean over the *hidden values only* of (x - r)^2 ("mse") or of
the Bernoulli cross-entropy ("bce").

This is not the paper's transformer, whose encoder skips hidden patches and so saves most of its time: the
encoders here see the whole image with hidden patches blanked to 0, and a step costs what the autoencoder's
does. (Blanked patches filled in by a convolutional net: Pathak et al. 2016, "Context Encoders".) A blank
looks like a black part of the picture; the encoder must tell them apart by their surroundings.

Of an example that is no image, single values are hidden; of a table, columns (pretrain.strategies.columns).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from headstart.errors import require
from headstart.lazy import tf
from pretrain.encoders.base import Option, choice, integer, number
from pretrain.engine.stage import Batch, Stage
from pretrain.strategies.autoencoder import reconstruction_loss, reconstruction_stage
from pretrain.strategies.base import Recipe, Setup, Strategy

CERTAIN = -1e4  # a logit whose sigmoid is 0


def patch_size(input_shape: tuple[int, ...], asked: int) -> int:
    """Return the patches' side in pixels: ``asked``, or when that is 0, a seventh of the shorter side.

    Raises InputError when ``asked`` does not fit the input.
    """
    if len(input_shape) != 3:
        rule = (
            f"must leave out patch, which is for images: examples of shape {input_shape} have none, and "
            f"single values are hidden"
        )
        require(not asked, "options", rule, value=f"patch={asked}")
        return 1
    side = min(input_shape[:2])
    rule = f"must set a patch of at most the images' shorter side, {side}"
    hint = "Leave it out for a seventh of that side."
    require(asked <= side, "options", rule, value=f"patch={asked}", hint=hint)
    return asked or min(side, max(2, side // 7))


def draw_hidden(shape: tuple[int, ...], count: Any, seed: Any, hidden: float, patch: int) -> Any:
    """Return which values are hidden, bool (count, *shape).

    Of n patches (or values of an example that is no image), round(hidden n) are hidden in each example, but
    at least one and, unless n is 1, not all; equal random numbers may rarely hide one more.
    """
    image = len(shape) == 3
    grid = [math.ceil(side / patch) for side in shape[:2]] if image else list(shape)
    cells = math.prod(grid)
    most = max(1, min(cells - 1, round(hidden * cells)))
    draws = tf.random.stateless_uniform([count, cells], seed)
    # One sort and a threshold: ranks would need two sorts, which cost more than a step of a small net.
    found = draws <= tf.sort(draws, axis=1)[:, most - 1 : most]
    found = tf.reshape(found, [count, *grid])
    if not image:
        return found
    found = tf.repeat(tf.repeat(found, patch, axis=1), patch, axis=2)
    found = found[:, : shape[0], : shape[1], None]
    return tf.broadcast_to(found, [count, *shape])


def hidden_loss(x: Any, logits: Any, hidden: Any, kind: str) -> Any:
    """Return the scalar mean loss over the hidden values; 0 when there are none.

    x: float32 (B, ...) in [0, 1]; logits: float32 like it; hidden: bool like it.
    """
    # What was in sight counts as a certain and right 0, whose loss and gradient are 0. The mean over all
    # values becomes one over those hidden.
    total = reconstruction_loss(
        tf.where(hidden, x, tf.zeros_like(x)),
        tf.where(hidden, logits, tf.fill(tf.shape(logits), CERTAIN)),
        kind,
    )
    part = tf.reduce_mean(tf.cast(hidden, tf.float32))
    return tf.math.divide_no_nan(total, part)


def stages(setup: Setup) -> Iterator[Stage]:
    """Yield the one stage: encoder and mirrored decoder together."""
    shape, part = setup.input_shape, setup.options["hidden"]
    patch = patch_size(shape, setup.options["patch"])

    columns = setup.columns

    def blank(x: Any, batch: Batch) -> tuple[Any, Any]:
        if columns is not None:
            count, width = tf.shape(x)[0], len(columns.widths)
            chosen = draw_hidden((width,), count, batch.draw(0), part, 1)
            return columns.hide(x, chosen), columns.spread(chosen)
        hidden = draw_hidden(shape, tf.shape(x)[0], batch.draw(0), part, patch)
        return tf.where(hidden, tf.zeros_like(x), x), hidden

    yield reconstruction_stage(setup, "masked", "fill-in", blank, hidden_loss)


def check(options: Mapping[str, Any], encoder: Mapping[str, Any], y: np.ndarray | None) -> None:
    """Raise InputError when the patches do not fit the examples."""
    patch_size(tuple(encoder["input_shape"]), options["patch"])


ROW = Strategy(
    name="masked-autoencoder",
    summary="fill in hidden squares of an image, or hidden values; needs no labels",
    stages=stages,
    check=check,
    recipe=Recipe(epochs=10, batch_size=128, learning_rate=3e-3, schedule="cosine"),
    options={
        "patch": Option(
            default=0,
            help="side of the hidden squares in pixels; 0 takes a seventh of the image's shorter side",
            parse=integer(0, 4096),
        ),
        "hidden": Option(0.6, "part of the patches that is hidden", number(0.01, 0.99)),
        "loss": Option("mse", "mse or bce (Bernoulli cross-entropy)", choice("mse", "bce")),
    },
)
