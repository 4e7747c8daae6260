"""``rotation``: tell by which of four quarter turns an image was turned.

Gidaris et al. 2018, "Unsupervised Representation Learning by Predicting Image Rotations", equations 1 and
2. Each image x (H, H, C) of a batch is turned by k quarter turns, k drawn from 0 to 3; a dense layer on the
features gives logits (B, 4), and the loss is the cross-entropy with k. (The paper has all four turns of an
image in a batch; here each example has one a step, so that a step costs what other strategies' do.)

Nothing else is changed: no random views. It can only teach what tells up from down. It is a poor task for
things that have no upright way: photos from above, cells, textures, round things; and for classes that
are each other's turns, such as the digits 6 and 9. An accuracy near 0.25 says so; an accuracy near 1 in
the first epoch says that a simple cue is enough (a light sky, a shape always upright) and little is learnt.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from headstart.lazy import tf
from pretrain.engine.stage import Batch, Stage
from pretrain.strategies.base import Recipe, Setup, Strategy
from pretrain.strategies.supervised import classification_stage


def turned(x: Any, turns: Any) -> Any:
    """Return each image of ``x`` (B, H, H, C) turned counter-clockwise by its number of quarter turns.

    turns: int32 (B,) from 0 to 3. The result has the dtype of ``x``.
    """
    across = tf.transpose(x, [0, 2, 1, 3])
    turns = turns[:, None, None, None]
    # A quarter turn is a transposition and a flip; three are the same with the other flip.
    odd = tf.where(turns == 1, tf.reverse(across, [1]), tf.reverse(across, [2]))
    even = tf.where(turns == 0, x, tf.reverse(x, [1, 2]))
    return tf.where(turns % 2 == 1, odd, even)


def stages(setup: Setup) -> Iterator[Stage]:
    """Yield the one stage: encoder and a dense layer of four logits together."""

    def task(batch: Batch) -> tuple[Any, Any]:
        turns = tf.random.stateless_uniform([tf.shape(batch.x)[0]], batch.draw(0), 0, 4, tf.int32)
        return turned(batch.x, turns), turns

    yield classification_stage(setup, "rotation", "turns", task, 4)


ROW = Strategy(
    name="rotation",
    summary="tell by how many quarter turns an image was turned; square images with an upright way",
    stages=stages,
    square_images=True,
    recipe=Recipe(epochs=10, batch_size=128, learning_rate=1e-3, schedule="cosine"),
)
