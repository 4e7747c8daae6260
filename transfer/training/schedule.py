"""The stages of one transfer: the head on a frozen encoder, then the fine-tuning."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.errors import InputError
from headstart.lazy import tf
from pretrain.augment.views import augment
from pretrain.engine.stage import Batch, Objective, Stage
from transfer.inference import predict_batched
from transfer.model.weight_interpolation import ANCHOR, WeightInterpolation
from transfer.recipes import TransferRecipe
from transfer.training.lr_finder import find_rate

if TYPE_CHECKING:
    from pretrain.engine.train import Run
    from transfer.inference import FeatureCache
    from transfer.model.network import TransferNetwork
    from transfer.targets.base import Target
    from transfer.training.lr_finder import Curve

# Examples used, and batch size, when evaluating the loss along the interpolation.
MAX_LABELS, BATCH = 2048, 256
HEAD_STAGE = "head on frozen encoder"


class Stages:
    """The stages of one transfer; what is frozen is computed once, not once a step.

    frozen: how many of the lowest blocks no stage moves.
    curve: what the search for a learning rate saw, once there was one.
    views: options of the random views that are trained on, or None.
    columns: of a table, how many prepared values each of its columns has; a view swaps them together.
    """

    def __init__(
        self,
        x: FeatureCache,
        y: np.ndarray,
        weights: np.ndarray | None,
        target: Target,
        recipe: TransferRecipe,
        network: TransferNetwork,
        run: Run,
        views: Mapping[str, float] | None = None,
        columns: Sequence[int] | None = None,
    ) -> None:
        self.views, self.columns = views, columns
        self.target, self.recipe, self.network, self.run = target, recipe, network, run
        self.kept = [block for _, block in network.kept]
        self.fresh = [block for _, block in network.fresh]
        moving = len(self.kept) if recipe.unfreeze is None else recipe.unfreeze
        self.frozen = len(self.kept) - (min(moving, len(self.kept)) if recipe.epochs else 0)
        self.curve: Curve | None = None
        arrays = {"y": y} | ({} if weights is None else {"w": weights})
        # Those that are trained on, and those held out, if any.
        self.parts = [(x, arrays)]
        if recipe.validation:
            from tasks.splits import stratified_split

            rows, held = stratified_split(target.groups(y), len(x), recipe.validation, run.seed)
            if not len(held):
                rule = f"holds out none of these {len(x)} labels"
                hint = "Leave it out, or give more labels of each class."
                raise InputError(rule, argument="validation", value=recipe.validation, hint=hint)
            self.parts = [
                (x.take(part), {name: array[part] for name, array in arrays.items()})
                for part in (rows, held)
            ]

    def all(self) -> Iterator[Stage]:
        """Yield the frozen stage and the fine-tuning, or one stage when nothing is reused."""
        recipe, kept = self.recipe, len(self.kept)
        if kept:
            epochs = recipe.freeze_epochs
            if recipe.solve is not None and not any(block.weights for block in self.fresh):
                self._solve(recipe.solve)
                epochs = 0
            # A stage of no epochs keeps its number, by which candidates of a search share compiled steps.
            rows = [(HEAD_STAGE, kept, epochs, recipe.head_learning_rate)]
            for moving, epochs in _parts(kept - self.frozen, recipe.epochs, recipe.gradual):
                some = f" the highest {moving} of {kept} blocks" if moving < kept else ""
                rows.append((f"fine-tune{some}", kept - moving, epochs, recipe.learning_rate))
        else:
            rows = [("from scratch", 0, recipe.scratch_epochs, recipe.scratch_learning_rate)]
        for name, frozen, epochs, rate in rows:
            stage = self._stage(name, frozen, epochs, rate)
            if recipe.find and epochs and name != HEAD_STAGE:
                stage = replace(stage, learning_rate=self._rate(stage))
            yield stage

    def line(self) -> WeightInterpolation:
        """Return the interpolation from frozen to fine-tuned weights; the network is reset to the start."""
        end = self.network.values()
        self.network.restore()
        self._solve(ANCHOR)
        return WeightInterpolation(self.network, self.network.values(), end, self._loss)

    def _loss(self) -> float:
        """Return the loss on the labels trained on (some of many), at the network's present weights."""
        x, arrays = self.parts[0]
        rows = np.linspace(0, len(x) - 1, min(len(x), MAX_LABELS)).astype(np.int64)
        loss = _loss(self.target, [*self.kept, *self.fresh], set(), self.network.head)
        total = 0.0
        for i in range(0, len(rows), BATCH):
            part = rows[i : i + BATCH]
            own = {"x": x.take(part).x} | {name: array[part] for name, array in arrays.items()}
            cut = {name: tf.constant(array) for name, array in own.items()}
            found = loss(Batch(arrays=cut, seed=None, training=False))["loss"]
            total += len(part) * float(found)
        return total / len(rows)

    def _rate(self, stage: Stage) -> float:
        """Return the learning rate that is searched for in the first stage that asks for one."""
        if self.curve is None:
            self.curve = find_rate(stage, self.run.session.programs, self.run.key, self.run.seed)
            self.run.session.reporter.say(f"Learning rate found: {self.curve.found:g}")
        return self.curve.found

    def _stage(self, name: str, frozen: int, epochs: int, rate: float) -> Stage:
        """Return a stage in which the lowest ``frozen`` blocks stay and all else moves."""
        recipe, head = self.recipe, self.network.head
        blocks = [*self.kept[frozen:], *self.fresh]
        variables, scales = [], []
        for i, block in enumerate(blocks):
            scale = recipe.layer_decay ** max(0, len(self.kept) - frozen - i)
            variables += block.trainable_weights
            scales += [scale] * len(block.trainable_weights)
        variables += head.trainable_weights
        scales += [1.0] * len(head.trainable_weights)
        following = self.fresh if recipe.statistics == "kept" else blocks
        # Of random views, nothing can be computed beforehand.
        below = self.kept[:frozen] if self.views else []
        objective = Objective(
            name=self.target.objective,
            loss=_loss(
                self.target,
                [*below, *blocks],
                set(map(id, following)),
                head,
                self.views,
                self.columns,
            ),
            metrics=self.target.metrics,
            variables=variables,
            state=[v for block in [*below, *blocks] for v in block.weights],
            optimizer=recipe.optimizer,
            scales=scales,
        )
        given, *held = (
            {"x": x.above(self.kept[:frozen]) if epochs and not self.views else x.x, **arrays}
            for x, arrays in self.parts
        )
        return Stage(
            name=name,
            objectives=[objective],
            arrays=given,
            validation=held[0] if held else None,
            epochs=epochs,
            batch_size=recipe.batch_size,
            learning_rate=rate,
            schedule=recipe.schedule,
            warmup=recipe.warmup,
            convolutional=self.network.row.convolutional or self.views is not None,
        )

    def _solve(self, c: float) -> None:
        x, arrays = self.parts[0]
        features = predict_batched(self.fresh, x.above(self.kept))
        solved = self.target.solve(features, arrays["y"], c, arrays.get("w"))
        self.network.head.set_weights(list(solved))


def _loss(
    target: Target,
    blocks: Sequence[Any],
    moving: set[int],
    head: Any,
    views: Mapping[str, float] | None = None,
    columns: Sequence[int] | None = None,
) -> Callable[[Batch], Mapping[str, Any]]:
    """Return the loss of ``head`` on ``blocks`` (Keras models, lowest first); some are ``moving``.

    views: options of the random views that are trained on; validation sees the examples as they are.
    columns: as in ``Stages``.
    """

    def loss(batch: Batch) -> Mapping[str, Any]:
        hidden = batch.x
        if batch.training and views:
            hidden = augment(hidden, batch.draw(0), views, columns)
        for block in blocks:
            # In inference mode, normalisation keeps its statistics.
            hidden = block(hidden, training=batch.training and id(block) in moving)
        return target.loss(head(hidden), batch)

    return loss


def _parts(moving: int, epochs: int, gradual: bool) -> list[tuple[int, int]]:
    """Return [(blocks that move, epochs)] of the fine-tuning's stages."""
    if not moving:
        return []
    if not gradual:
        return [(moving, epochs)]
    counts = list(range(1, moving + 1))[-epochs:]
    each = epochs // len(counts)
    return [*((n, each) for n in counts[:-1]), (moving, epochs - each * (len(counts) - 1))]
