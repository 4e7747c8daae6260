"""Consistency training: what the network says of a weak view of an example holds for a strong view.

FixMatch (Sohn et al. 2020, section 2): the class of an unlabelled example, as predicted on a weak view, is
the label of its strong view. With

- the weights of SoftMatch (Chen et al. 2023, equation 7) in place of a fixed threshold: a prediction below
  the average confidence counts less, by a truncated Gaussian of running mean and variance;
- alignment of distributions (Berthelot et al. 2020, "ReMixMatch", section 3.1): predictions are multiplied
  by goal / running mean, so that no class takes over. The goal lies half-way, in logarithms, between equal
  classes and what the graph expects of the whole set: classes need not be equally frequent, and the graph
  may be wrong about that;
- the graph's answers (transfer.semi_supervised.graph) as a prior, which fades: the prediction is multiplied
  by the answer to the power of PRIOR (1 - t), t being the part of the training that is over. At first the
  network knows less than the graph, in the end more;
- an exponential average of the weights, with which the network ends (Tarvainen & Valpola 2017).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.lazy import keras, tf
from pretrain.augment.recipes import Augmentation
from pretrain.augment.views import augment
from pretrain.engine.stage import Batch, Objective, Stage

if TYPE_CHECKING:
    from transfer.model.network import TransferNetwork
    from transfer.targets.base import Target

# Chosen on held-out training images of three sets (docs/unlabelled.md).
UPDATES = 1000
LABELLED, UNLABELLED = 32, 128
LEARNING_RATE = 2e-3
PRIOR = 3.0
# Of the weights, and of the running means of confidence and classes.
AVERAGE, RUNNING = 0.99, 0.95
# A weak view changes half as much as the recipe says, and a strong one has a hole as often as this.
WEAK, HOLES = 0.5, 0.5
# What the graph says is impossible has this probability.
LEAST = 1e-4


def weak_view(options: Mapping[str, float]) -> dict[str, float]:
    """Return the options of an augmentation with every change but flips at WEAK of its size."""
    neutral = {"crop": 1.0, "aspect": 1.0}
    found = {
        name: value if name == "flip" else neutral.get(name, 0.0) * (1 - WEAK) + WEAK * value
        for name, value in options.items()
    }
    return found | ({"erase": 0.0} if "erase" in found else {})


def strong_view(options: Mapping[str, float]) -> dict[str, float]:
    """Return the options of an augmentation, and for images at least as many holes as HOLES says."""
    holes = {"erase": max(options["erase"], HOLES)} if "erase" in options else {}
    return dict(options) | holes


def confidence_weights(confidence: Any, mean: Any, variance: Any) -> Any:
    """Return what predictions of a confidence, float32 (B,), count: SoftMatch, equation 7, two deviations."""
    below = tf.exp(-2 * tf.square(confidence - mean) / (variance + 1e-8))
    return tf.where(confidence < mean, below, 1.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Consistency:
    """Consistency training of a network that has learnt the labels; ``fit`` runs it behind its own stages.

    x: unlabelled examples (P, ...) float32, as the encoder takes them.
    soft: float32 (P, K), the graph's distribution of each; a row of zeros says nothing.
    augmentation: of the views.
    updates: steps, rounded up to whole epochs.
    columns: of a table, how many values each of its columns has; a view swaps them together.
    """

    x: np.ndarray
    soft: np.ndarray
    augmentation: Augmentation
    updates: int
    columns: tuple[int, ...] | None = None

    def stages(
        self,
        examples: Mapping[str, np.ndarray],
        network: TransferNetwork,
        target: Target,
        frozen: int,
    ) -> Iterator[Stage]:
        """Yield the one stage, and then give the network the average of its weights.

        examples: the labelled ones, "x" prepared, "y" as the target encodes it, perhaps "w".
        frozen: how many of the lowest blocks stay as they are.
        """
        parts = [*(block for _, block in network.blocks[frozen:]), network.head]
        own = [v for part in parts for v in part.variables]
        average = [keras.Variable(v.numpy(), trainable=False) for v in own]
        known = self.soft[self.soft.sum(axis=1) > 0]
        classes = self.soft.shape[1]
        goal = np.sqrt(known.mean(axis=0) + LEAST) if len(known) else np.ones(classes)
        # A set of fewer examples than a batch has one step an epoch.
        epochs = math.ceil(self.updates * UNLABELLED / max(UNLABELLED, len(self.x)))
        steps = epochs * math.ceil(len(self.x) / UNLABELLED)
        tables = {f"labelled_{name}": array for name, array in examples.items()}
        tables["goal"] = (goal / goal.sum()).astype(np.float32)
        tables["steps"] = np.array([steps], np.float32)
        yield Stage(
            name="consistency",
            objectives=[self._objective(network, target, frozen, own, average)],
            arrays={"x": self.x, "soft": self.soft},
            tables=tables,
            epochs=epochs,
            batch_size=UNLABELLED,
            learning_rate=LEARNING_RATE,
            schedule="cosine",
            convolutional=True,
            key=repr((self.augmentation.to_json(), self.columns)),
        )
        for variable, value in zip(own, average, strict=True):
            variable.assign(value.numpy())

    def _objective(
        self,
        network: TransferNetwork,
        target: Target,
        frozen: int,
        own: Sequence[Any],
        average: Sequence[Any],
    ) -> Objective:
        blocks, classes = [block for _, block in network.blocks], self.soft.shape[1]
        moved = [v for part in (*blocks[frozen:], network.head) for v in part.trainable_weights]
        weak, strong = (view(self.augmentation.options) for view in (weak_view, strong_view))

        def running(value: Any) -> Any:
            return keras.Variable(np.asarray(value, np.float32), trainable=False)

        said, sure = running(np.full(classes, 1 / classes)), running([1 / classes, 1.0])
        step = running(0.0)

        def outputs(x: Any, training: bool) -> Any:
            for i, block in enumerate(blocks):
                x = block(x, training=training and i >= frozen)
            return network.head(x)

        def labels(batch: Batch, steps: Any) -> tuple[Any, Any]:
            """Return the classes (B,) of the batch's unlabelled examples, and what they count (B,)."""
            view = augment(batch.x, batch.draw(3), weak, self.columns)
            p = tf.stop_gradient(_probabilities(outputs(view, training=False)))
            said.assign(RUNNING * said + (1 - RUNNING) * tf.reduce_mean(p, axis=0))
            p *= batch.tables["goal"] / tf.maximum(said, 1e-6)
            soft = batch.arrays["soft"] + LEAST
            p *= tf.pow(soft, PRIOR * (1 - step / steps))
            p /= tf.reduce_sum(p, axis=1, keepdims=True)
            confidence = tf.reduce_max(p, axis=1)
            now = tf.stack([tf.reduce_mean(confidence), tf.math.reduce_variance(confidence)])
            sure.assign(RUNNING * sure + (1 - RUNNING) * now)
            # The prior fades, so confidence can fall too, and all would count less than the running mean.
            counts = confidence_weights(confidence, tf.minimum(sure[0], now[0]), sure[1])
            return tf.argmax(p, axis=1, output_type=tf.int32), counts

        def loss(batch: Batch) -> Mapping[str, Any]:
            tables = batch.tables
            size = tf.shape(tables["labelled_x"])[0]
            rows = tf.random.stateless_uniform([LABELLED], batch.draw(1), 0, size, tf.int32)
            drawn = {
                name: tf.gather(tables[f"labelled_{name}"], rows)
                for name in ("y", "w")
                if f"labelled_{name}" in tables
            }
            y, counts = labels(batch, tables["steps"][0])
            views = [
                augment(tf.gather(tables["labelled_x"], rows), batch.draw(2), weak, self.columns),
                augment(batch.x, batch.draw(4), strong, self.columns),
            ]
            z = outputs(tf.concat(views, axis=0), training=batch.training)
            labelled = target.loss(z[:LABELLED], Batch(arrays=drawn, seed=None, training=True))
            made = {"y": y, "w": counts}
            other = target.loss(z[LABELLED:], Batch(arrays=made, seed=None, training=True))
            return {
                "loss": labelled["loss"] + other["loss"],
                "labelled_loss": labelled["loss"],
                "counted": tf.reduce_mean(counts),
            }

        def after(batch: Batch) -> None:
            step.assign_add(1.0)
            # At first the average is over the few steps that there were.
            kept = tf.minimum(AVERAGE, (1 + step) / (10 + step))
            for mean, value in zip(average, own, strict=True):
                mean.assign(kept * mean + (1 - kept) * value)

        moving = {id(v) for v in moved}
        return Objective(
            name="consistency",
            loss=loss,
            metrics=("labelled_loss", "counted"),
            variables=moved,
            state=[
                *(v for block in blocks[:frozen] for v in block.variables),
                *(v for v in own if id(v) not in moving),
                *(*average, said, sure, step),
            ],
            after=after,
        )


def _probabilities(outputs: Any) -> Any:
    """Return probabilities (B, K) of logits (B, K), or (B, 1), of the second of two classes."""
    if outputs.shape[-1] == 1:
        p = tf.sigmoid(outputs)
        return tf.concat([1 - p, p], axis=1)
    return tf.nn.softmax(outputs)
