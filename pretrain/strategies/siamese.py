"""``siamese``: say of two examples whether they are the same item.

Both examples go through the same encoder and a linear projection, and are scaled to length 1: z and z'
of shape (B, P), whose distance d = |z - z'| lies in [0, 2]. With s = 1 for the same item and 0 for two
different ones, the loss is the mean over the pairs of

- ``contrastive``: s d^2 / 2 + (1 - s) max(0, margin - d)^2 / 2. Hadsell, Chopra & LeCun 2006,
  "Dimensionality Reduction by Learning an Invariant Mapping", equation 4. They do not scale z; here it is
  scaled, so that a margin means the same for every encoder, and d is what ``pretrain verify`` measures.
- ``bce``: the cross-entropy of p = sigmoid(b + sum over j of w_j |z_j - z'_j|). Koch, Zemel & Salakhutdinov
  2015, "Siamese Neural Networks for One-shot Image Recognition", section 3.1; w and b are learnt.

With labels, the same item is the same label, and each step draws its pairs anew from a large table of
them. Each side is a random view of its example, so a few hundred examples do. The loss is over all pairs
that the drawn examples make (``among`` = batch): half of it the mean over same pairs, half over different
ones. Among many different pairs some are hard, at no cost to the encoder. (With "pairs" only those drawn
count.) Where there are enough classes, those held out are people or items that training never sees: on these
``auc`` and ``eer`` are measured (pretrain/metrics/verification.py).

Without labels, an example's two views are the same item, and its first view and the second view of the
example before it in the batch are two different ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from headstart.errors import require
from headstart.lazy import keras, tf
from pretrain.encoders.base import Option, choice, integer, number
from pretrain.encoders.encoder import features
from pretrain.engine.stage import Batch, Stage, StageSnapshot
from pretrain.metrics.verification import verify
from pretrain.strategies.base import Loss, Recipe, Setup, Strategy
from tasks.pairs import all_pairs, labelled_pairs, pairable

# Pairs per example in the table, and the table's cap.
PAIRS_EACH, MAX_PAIRS = 64, 1 << 20
PAIRS_SEED = 0
HELD_OUT_PAIRS = 4096
SNAPSHOT_PAIRS = 200_000
SNAPSHOT_EPOCHS = 10
# Keeps the root's slope finite where two projections are equal.
EPSILON = 1e-12


def contrastive(first: Any, second: Any, same: Any, margin: float) -> Any:
    """Return each pair's loss, float32 (B,), of projections (B, P) and ``same`` (B,), 1 or 0."""
    squares = tf.reduce_sum(tf.square(first - second), axis=1)
    gap = tf.nn.relu(margin - tf.sqrt(squares + EPSILON))
    return (same * squares + (1 - same) * tf.square(gap)) / 2


class Head:
    """The layers between features and loss, which are not exported.

    layers: the Keras layers, built: a linear projection, and with ``bce`` the judge of two projections.
    """

    def __init__(self, features: int, options: Mapping[str, Any]) -> None:
        """Build what ``options`` ask for, over ``features`` features."""
        self.options, size = options, options["projector"]
        self.layers = []
        if size:
            self.layers.append(keras.layers.Dense(size, use_bias=False, name="project"))
            self.layers[0].build((None, features))
        if options["loss"] == "bce":
            # At the start every dimension counts alike, and at a middling distance the chance is even.
            sizes, constant = size or features, keras.initializers.Constant
            judge = keras.layers.Dense(
                1,
                kernel_initializer=constant(-1.0),
                bias_initializer=constant(sizes**0.5),
                name="judge",
            )
            judge.build((None, sizes))
            self.layers.append(judge)

    def project(self, x: Any) -> Any:
        """Return z (B, P), of length 1, of features (B, D)."""
        return tf.math.l2_normalize(self.layers[0](x) if self.options["projector"] else x, axis=1)

    def loss(self, first: Any, second: Any, same: Any) -> Any:
        """Return each pair's loss, float32 (B,), of projections (B, P) and ``same`` (B,), 1 or 0."""
        if self.options["loss"] == "contrastive":
            return contrastive(first, second, same, self.options["margin"])
        logits = self.layers[-1](tf.abs(first - second))[:, 0]
        return tf.nn.sigmoid_cross_entropy_with_logits(same, logits)


def stages(setup: Setup) -> Iterator[Stage]:
    """Yield the one stage: the encoder and the head together."""
    labels = setup.arrays.get("y")
    head = Head(setup.encoder.feature_size, setup.options)
    loss = _views_loss(setup, head) if labels is None else _labels_loss(setup, head)
    changes = {} if labels is None else _pairs(setup, labels)
    yield setup.stage("siamese", setup.objective("same", loss, *head.layers), **changes)


def _views_loss(setup: Setup, head: Head) -> Loss:
    """Each example (B, ...) gives one pair of each kind."""

    def loss(batch: Batch) -> Mapping[str, Any]:
        both = tf.concat(setup.views(batch), axis=0)
        first, second = tf.split(head.project(setup.encoder(both, batch.training)), 2)
        ones = tf.ones(tf.shape(first)[:1])
        alike = head.loss(first, second, ones)
        unlike = head.loss(first, tf.roll(second, 1, axis=0), 0 * ones)
        # In a batch of one there is no other example to differ from.
        several = tf.cast(tf.shape(first)[0] > 1, tf.float32)
        return {"loss": (tf.reduce_mean(alike) + several * tf.reduce_mean(unlike)) / (1 + several)}

    return loss


def _labels_loss(setup: Setup, head: Head) -> Loss:
    """Each row of the batch gives one pair of the table: in training any, in validation its own."""

    def loss(batch: Batch) -> Mapping[str, Any]:
        tables, rows = batch.tables, batch.arrays["pair"]
        if batch.training:
            size = tf.shape(tables["same"])[0]
            rows = tf.random.stateless_uniform(
                tf.shape(rows), batch.draw(0), 0, size, dtype=tf.int32
            )
        sides = [tf.gather(tables[side], rows) for side in ("left", "right")]
        raw = tf.gather(tables["x"], tf.concat(sides, axis=0))
        # One call for both sides, in which each example has random numbers of its own.
        x = setup.views(batch, 1, raw)[0] if batch.training else setup.preprocess(raw)
        z = head.project(setup.encoder(x, batch.training))
        # Held-out pairs are measured as they were drawn: half of them are same pairs, so losses compare.
        if batch.training and setup.options["among"] == "batch":
            return {"loss": among_all(head, z, tf.gather(tables["y"], tf.concat(sides, axis=0)))}
        first, second = tf.split(z, 2)
        same = tf.gather(tables["same"], rows)
        return {"loss": tf.reduce_mean(head.loss(first, second, same))}

    return loss


def among_all(head: Head, z: Any, y: Any) -> Any:
    """Return the scalar loss over all pairs of two rows of ``z`` (M, P): half for same, half for different.

    y: int32 (M,), the rows' labels. A kind without a pair counts nothing.
    """
    count = tf.shape(z)[0]
    first, second = tf.repeat(z, count, axis=0), tf.tile(z, [count, 1])
    same = tf.cast(tf.equal(y[:, None], y[None]), tf.float32)
    alike = tf.reshape(tf.linalg.set_diag(same, tf.zeros([count])), [-1])  # but no row with itself
    unlike = 1 - tf.reshape(same, [-1])
    losses = head.loss(first, second, tf.reshape(same, [-1]))
    means = [
        tf.math.divide_no_nan(tf.reduce_sum(kind * losses), tf.reduce_sum(kind))
        for kind in (alike, unlike)
    ]
    return (means[0] + means[1]) / 2


def _pairs(setup: Setup, labels: np.ndarray) -> dict[str, Any]:
    """Return the stage's fields of pairs by ``labels``; an epoch draws as many as there are examples."""
    count = setup.options["count"] or min(PAIRS_EACH * len(labels), MAX_PAIRS)
    fields: dict[str, Any] = {
        "arrays": {"pair": np.arange(len(labels), dtype=np.int32)},
        "tables": _tables(setup.arrays, count),
        "validation": None,
    }
    held = setup.validation
    if held is not None and _measures(held):
        held_out = min(PAIRS_EACH * len(held["y"]), HELD_OUT_PAIRS)
        fields |= {
            "validation": {"pair": np.arange(held_out, dtype=np.int32)},
            "validation_tables": _tables(held, held_out),
            "snapshot": _snapshot(setup, held),
            "snapshot_epochs": SNAPSHOT_EPOCHS,
        }
    return fields


def _tables(arrays: Mapping[str, np.ndarray], count: int) -> dict[str, np.ndarray]:
    """Return x (N, ...) and ``count`` pairs of its rows: left, right (P,) int32, same (P,) float32."""
    left, right, same = labelled_pairs(arrays["y"], count, PAIRS_SEED)
    labels = arrays["y"].astype(np.int32)
    return {"x": arrays["x"], "y": labels, "left": left, "right": right, "same": same}


def _snapshot(setup: Setup, held: Mapping[str, np.ndarray]) -> Callable[[], StageSnapshot]:
    """Measure AUC and EER of the encoder's features on the examples held out."""
    pairs = all_pairs(held["y"], SNAPSHOT_PAIRS)

    def snapshot() -> StageSnapshot:
        found = verify(features(setup.encoder, setup.preprocess, held["x"]), pairs)
        return StageSnapshot(metrics={"auc": found.auc, "eer": found.eer})

    return snapshot


def check(options: Mapping[str, Any], encoder: Mapping[str, Any], y: np.ndarray | None) -> None:
    """Raise InputError when pairs are to be made by labels and none can be."""
    why = "has no labels" if y is None else "has no two classes, one of them with two examples"
    rule = f"must leave out pairs=labels: the pool {why}"
    hint = "Give a labelled pool, or choose pairs=views."
    holds = options["pairs"] != "labels" or (y is not None and pairable(y))
    require(holds, "options", rule, value="pairs=labels", hint=hint)


def _measures(held_out: Mapping[str, np.ndarray]) -> bool:
    return "y" not in held_out or pairable(held_out["y"])


def _takes_labels(options: Mapping[str, Any], y: np.ndarray) -> bool:
    """Labels of which no pairs can be made are none, unless they were asked for."""
    return options["pairs"] == "labels" or (options["pairs"] == "auto" and pairable(y))


ROW = Strategy(
    name="siamese",
    summary="are two examples the same item? from labels, or from views without them",
    stages=stages,
    check=check,
    measures=_measures,
    takes_labels=_takes_labels,
    augments=True,
    split="classes",
    advice="Use a larger margin (option margin=1.4), a lower learning rate or larger batches.",
    recipe=Recipe(
        epochs=20, least_updates=3000, batch_size=64, learning_rate=1e-3, schedule="cosine"
    ),
    options={
        "pairs": Option(
            default="auto",
            help="same item by labels or by views; auto: by labels where the pool has some of each kind",
            parse=choice("auto", "labels", "views"),
        ),
        "loss": Option(
            default="contrastive",
            help="contrastive (Hadsell et al. 2006) or bce (Koch et al. 2015)",
            parse=choice("contrastive", "bce"),
        ),
        "margin": Option(
            default=1.0,
            help="contrastive: distance beyond which different items are left alone, at most 2",
            parse=number(0.01, 2),
        ),
        "among": Option(
            default="batch",
            help="with labels: which pairs count, all among a batch's examples, or those drawn (pairs)",
            parse=choice("batch", "pairs"),
        ),
        "count": Option(
            default=0,
            help="pairs by labels to draw from; 0: 64 an example, at most a million",
            parse=integer(0, 1 << 24),
        ),
        "projector": Option(
            default=64,
            help="size of the linear projection between features and loss; 0 for none",
            parse=integer(0, 8192),
        ),
    },
)
