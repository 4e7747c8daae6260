"""The training of a transfer: an encoder and a new head, frozen first, then fine-tuned."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.errors import InputError
from tasks.kinds import strata
from transfer.arrangement import FROZEN_HEADS
from transfer.recipes import TransferRecipe

if TYPE_CHECKING:
    from pretrain.engine.checkpoint import Checkpoints
    from pretrain.engine.program import Programs
    from pretrain.engine.progress import Reporter
    from pretrain.engine.train import Run
    from pretrain.stage import Stage
    from transfer.body import Body
    from transfer.finder import Curve
    from transfer.interpolation import Line
    from transfer.plan import Plan, Source

# On so many of the labels, so many at once, the loss on a line is looked at.
MOST_LABELS, AT_ONCE = 2048, 256


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """What ``fit`` trained, as Keras models, and how it went.

    ``head(encoder.model(front(x)))`` takes raw examples (B, ...) to outputs (B, K) float32.
    curve: what the search for a learning rate saw, if there was one.
    line: from the frozen encoder to the fine-tuned, where the recipe interpolates; else None.
    logits: whether these are a linear layer's; those of the head "knn" are means of what examples answer.
    chosen: of a head that is solved on frozen features, its C or k and what was tried; else None.
    """

    front: Any
    encoder: Body
    head: Any
    run: Run
    curve: Curve | None = None
    line: Line | None = None
    chosen: dict[str, Any] | None = None

    @property
    def logits(self) -> bool:
        """Whether chances are still to be made of the outputs."""
        return not self.encoder.neighbours


def fit(
    x: np.ndarray,
    y: np.ndarray,
    source: Source,
    plan: Plan,
    *,
    outputs: int,
    seed: int,
    target: str = "classes",
    weights: np.ndarray | None = None,
    prepared: bool = False,
    body: Body | None = None,
    reporter: Reporter | None = None,
    programs: Programs | None = None,
    checkpoints: Checkpoints | None = None,
    resume: bool = False,
) -> Fitted:
    """Train ``source``'s encoder and a new head of ``outputs`` values; nothing is measured.

    x: raw examples (N, ...) as ``plan.inputs`` expects them; with ``prepared``, what its model makes of
        them.
    y, target: int32 (N,) or a distribution float32 (N, K) for "classes", float32 (N,) for "numbers",
        float32 (N, K) of 0 and 1 for "multi-label" (transfer.heads.TARGETS).
    weights: float32 (N,), how much each example counts; None: all alike.
    body: built for this source, arrangement and seed, and to be trained from its first weights again; None
        builds one.
    """
    from pretrain.engine.program import Programs
    from pretrain.engine.progress import Reporter
    from pretrain.engine.train import Run, train
    from transfer.inputs import apply

    recipe = plan.recipe
    made = [target, source.encoder, asdict(plan.arrangement), outputs]
    made += [recipe.unfreeze, recipe.statistics]
    run = Run(
        seed=seed,
        key=json.dumps(["transfer", *made], sort_keys=True),
        programs=programs or Programs(),
        reporter=reporter or Reporter(),
        checkpoints=checkpoints,
        resume=resume,
        keep_best=("val_loss", -1) if recipe.validation else None,
    )
    if body is None:
        body = build(source, plan, outputs, seed)
    else:
        body.restore()
    front = plan.inputs.model()
    x = x if prepared else apply(front, x)
    if recipe.balance and target == "classes":
        weights = balanced(y) * (1 if weights is None else weights)
    if weights is not None:
        weights = (weights / weights.mean()).astype(np.float32)
    if plan.arrangement.head in FROZEN_HEADS:
        from transfer.frozen import solve_head

        chosen = solve_head(body, x, y, target, weights, seed)
        return Fitted(front=front, encoder=body, head=body.head, run=run, chosen=chosen)
    stages = _Stages(x, y, weights, target, recipe, body, run)
    train(stages.all(), run)
    line = None
    if recipe.interpolate < 1:
        line = stages.line()
        line.go(recipe.interpolate)
        if line.share != recipe.interpolate:
            run.reporter.say(
                f"At {recipe.interpolate:g} of the way from frozen to fine-tuned the loss on the labels is "
                f"higher than at the ends, so the fine-tuned weights are kept"
            )
    return Fitted(front=front, encoder=body, head=body.head, run=run, curve=stages.curve, line=line)


def build(source: Source, plan: Plan, outputs: int, seed: int) -> Body:
    """Return the network that ``fit`` trains, with the weights from which it starts."""
    from transfer.body import Body

    return Body(
        source.encoder, plan.arrangement, outputs=outputs, seed=seed, tensors=source.tensors
    )


def balanced(y: np.ndarray) -> np.ndarray:
    """Return weights (N,) that give every class of y, int (N,) or distributions (N, K), the same sum."""
    shares = y if y.ndim == 2 else np.eye(int(y.max()) + 1)[y]
    counts = shares.sum(axis=0)
    found: np.ndarray = shares @ (len(y) / np.maximum(counts, 1e-12) / (counts > 0).sum())
    return found


class _Stages:
    """The stages of one transfer; what is frozen is computed once, not once a step."""

    def __init__(
        self,
        x: np.ndarray,
        y: np.ndarray,
        weights: np.ndarray | None,
        target: str,
        recipe: TransferRecipe,
        body: Body,
        run: Run,
    ) -> None:
        from transfer.heads import TARGETS

        arrays = {"x": x, "y": y} | ({} if weights is None else {"w": weights})
        self.target, self.kind, self.recipe, self.body = target, TARGETS[target], recipe, body
        self.kept = [block for _, block in body.kept]
        self.fresh = [block for _, block in body.fresh]
        self.arrays, self.held = arrays, None
        self.run = run
        self.curve: Curve | None = None
        if recipe.validation:
            from tasks.splits import stratified_split

            groups = y if y.dtype.kind == "i" else None
            if target == "multi-label":
                groups = strata(y)
            rows, held = stratified_split(groups, len(x), recipe.validation, run.seed)
            if not len(held):
                raise InputError(
                    f"--validation {recipe.validation:g} of these {len(x)} labels holds out none: leave it "
                    f"out, or give more labels of each class."
                )
            self.arrays = {name: array[rows] for name, array in arrays.items()}
            self.held = {name: array[held] for name, array in arrays.items()}

    def all(self) -> Iterator[Stage]:
        """Yield the frozen stage and the fine-tuning, or one stage when nothing is reused."""
        recipe = self.recipe
        if not self.kept:
            rate = recipe.scratch_learning_rate
            yield self._found(self._stage("from scratch", 0, recipe.scratch_epochs, rate))
            return
        frozen = recipe.freeze_epochs
        if recipe.solve is not None and not any(block.weights for block in self.fresh):
            self._solve(recipe.solve)
            frozen = 0
        # A stage of no epochs keeps its number, by which candidates of a search share compiled steps.
        yield self._stage(
            "head on frozen encoder", len(self.kept), frozen, recipe.head_learning_rate
        )
        moving = len(self.kept) if recipe.unfreeze is None else recipe.unfreeze
        moving = min(moving, len(self.kept))
        if not recipe.epochs or not moving:
            return
        for count, epochs in _parts(moving, recipe.epochs, recipe.gradual):
            name = "fine-tune"
            if count < len(self.kept):
                name += f" the highest {count} of {len(self.kept)} blocks"
            frozen = len(self.kept) - count
            yield self._found(self._stage(name, frozen, epochs, recipe.learning_rate))

    def line(self) -> Line:
        """Return the line to the weights that were trained; the body is left at its beginning."""
        from transfer.interpolation import ANCHOR, Line

        end = self.body.values()
        self.body.restore()
        self._solve(ANCHOR)
        return Line(self.body, self.body.values(), end, self._loss)

    def _loss(self) -> float:
        """Return the loss on the labels trained on (some of many), at the body's present weights."""
        import tensorflow as tf

        from pretrain.stage import Batch

        count = len(self.arrays["x"])
        rows = np.linspace(0, count - 1, min(count, MOST_LABELS)).astype(np.int64)
        loss = self.kind.loss([*self.kept, *self.fresh], set(), self.body.head)
        total = 0.0
        for i in range(0, len(rows), AT_ONCE):
            part = rows[i : i + AT_ONCE]
            cut = {name: tf.constant(array[part]) for name, array in self.arrays.items()}
            found = loss(Batch(arrays=cut, seed=None, training=False))["loss"]
            total += len(part) * float(found)
        return total / len(rows)

    def _found(self, stage: Stage) -> Stage:
        """Return the stage with the learning rate that was searched for, if one is to be."""
        from transfer.finder import find_rate

        if not self.recipe.find or not stage.epochs:
            return stage
        if self.curve is None:
            self.curve = find_rate(stage, self.run.programs, self.run.key, self.run.seed)
            self.run.reporter.say(f"Learning rate found: {self.curve.found:g}")
        return replace(stage, learning_rate=self.curve.found)

    def _stage(self, name: str, frozen: int, epochs: int, rate: float) -> Stage:
        """Return a stage in which the lowest ``frozen`` blocks stay and all else moves."""
        from pretrain.stage import Objective, Stage

        recipe, head = self.recipe, self.body.head
        blocks = [*self.kept[frozen:], *self.fresh]
        variables, scales = [], []
        for i, block in enumerate(blocks):
            scale = recipe.layer_decay ** max(0, len(self.kept) - frozen - i)
            variables += block.trainable_weights
            scales += [scale] * len(block.trainable_weights)
        variables += head.trainable_weights
        scales += [1.0] * len(head.trainable_weights)
        following = self.fresh if recipe.statistics == "kept" else blocks
        objective = Objective(
            name=self.kind.name,
            loss=self.kind.loss(blocks, set(map(id, following)), head),
            metrics=self.kind.metrics,
            variables=variables,
            state=[v for block in blocks for v in block.weights],
            optimizer=recipe.optimizer,
            scales=scales,
        )
        return Stage(
            name=name,
            objectives=[objective],
            arrays=self._above(frozen, self.arrays, epochs),
            validation=None if self.held is None else self._above(frozen, self.held, epochs),
            epochs=epochs,
            batch_size=recipe.batch_size,
            learning_rate=rate,
            schedule=recipe.schedule,
            warmup=recipe.warmup,
            convolutional=self.body.row.convolutional,
        )

    def _above(
        self, frozen: int, arrays: Mapping[str, np.ndarray], epochs: int = 1
    ) -> dict[str, np.ndarray]:
        """Return ``arrays`` with x as the output of the lowest ``frozen`` blocks, if it is to be used."""
        from transfer.inputs import apply

        x = arrays["x"]
        for block in self.kept[:frozen] if epochs else []:
            x = apply(block, x)
        return {**arrays, "x": x}

    def _solve(self, c: float) -> None:
        from transfer.inputs import apply
        from transfer.solve import solve_classes, solve_labels, solve_numbers

        head = self.body.head
        arrays = self._above(len(self.kept), self.arrays)
        x, y, weights = arrays["x"], arrays["y"], arrays.get("w")
        for block in self.fresh:
            x = apply(block, x)
        if self.target == "numbers":
            kernel, bias = solve_numbers(x, y, c, weights)
        elif self.target == "multi-label":
            kernel, bias = solve_labels(x, y, c, weights)
        else:
            y = y if y.ndim == 1 else y.argmax(axis=1)
            kernel, bias = solve_classes(x, y, head.units, c, weights)
        head.kernel.assign(kernel)
        head.bias.assign(bias)


def _parts(moving: int, epochs: int, gradual: bool) -> list[tuple[int, int]]:
    """Return [(blocks that move, epochs)] of the fine-tuning's stages."""
    if not gradual:
        return [(moving, epochs)]
    counts = list(range(1, moving + 1))[-epochs:]
    each = epochs // len(counts)
    return [*((n, each) for n in counts[:-1]), (moving, epochs - each * (len(counts) - 1))]
