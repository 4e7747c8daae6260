"""The training of a transfer: an encoder and a new head, frozen first, then fine-tuned."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pretrain.weights import assign

if TYPE_CHECKING:
    from pretrain.engine.checkpoint import Checkpoints
    from pretrain.engine.program import Programs
    from pretrain.engine.progress import Reporter
    from pretrain.engine.train import Run
    from pretrain.stage import Stage
    from transfer.run import Plan, Source

HEAD_STREAM = 1


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """What ``fit`` trained, as Keras models, and how it went.

    ``head(encoder.model(front(x)))`` takes raw examples (B, ...) to outputs (B, K) float32.
    """

    front: Any
    encoder: Any
    head: Any
    run: Run


def fit(
    x: np.ndarray,
    y: np.ndarray,
    source: Source,
    plan: Plan,
    *,
    outputs: int,
    seed: int,
    target: str = "classes",
    reporter: Reporter | None = None,
    programs: Programs | None = None,
    checkpoints: Checkpoints | None = None,
    resume: bool = False,
) -> Fitted:
    """Train ``source``'s encoder and a new head of ``outputs`` values; nothing is measured.

    x: raw examples (N, ...) as ``plan.inputs`` expects them.
    y, target: int32 (N,) for "classes", float32 (N,) for "numbers" (transfer.heads.TARGETS).
    """
    import keras

    from pretrain.encoder import Encoder, seeded, stream
    from pretrain.engine.program import Programs
    from pretrain.engine.progress import Reporter
    from pretrain.engine.train import Run, train

    run = Run(
        seed=seed,
        key=json.dumps(["transfer", target, source.encoder, plan.reuse, outputs], sort_keys=True),
        programs=programs or Programs(),
        reporter=reporter or Reporter(),
        checkpoints=checkpoints,
        resume=resume,
    )
    # Not the seed itself: the new head is to be independent of the one that a supervised pretraining
    # with the same seed drew from the same place of the same stream.
    drawn = stream(seed, HEAD_STREAM)
    with seeded(drawn):
        encoder = Encoder(source.encoder, seed)
        if source.tensors is not None:
            assign_lowest(encoder, source.tensors, plan.reuse)
        front = plan.inputs.model()
        with seeded(drawn):
            head = keras.layers.Dense(outputs, name="head")
            head.build((None, encoder.feature_size))
        train(_stages(x, y, target, plan, encoder, front, head), run)
    return Fitted(front=front, encoder=encoder, head=head, run=run)


def assign_lowest(encoder: Any, tensors: Mapping[str, np.ndarray], blocks: int) -> None:
    """Copy the lowest ``blocks`` blocks' tensors into a fresh encoder; the rest keeps its own."""
    kept = {name for name, _ in encoder.blocks[:blocks]}
    chosen = {p: v for p, v in encoder.variables.items() if p.split("/")[0] in kept}
    assign({p: t for p, t in tensors.items() if p.split("/")[0] in kept}, chosen)


def _stages(
    x: np.ndarray, y: np.ndarray, target: str, plan: Plan, encoder: Any, front: Any, head: Any
) -> Iterator[Stage]:
    """Yield the frozen stage and the fine-tuning, or one stage when nothing is reused."""
    from pretrain.stage import Objective, Stage
    from transfer.heads import TARGETS
    from transfer.inputs import apply

    recipe, kind = plan.recipe, TARGETS[target]
    x = apply(front, x)
    kept = [block for _, block in encoder.blocks[: plan.reuse]]
    fresh = [block for _, block in encoder.blocks[plan.reuse :]]

    def stage(name: str, blocks: list[Any], moved: list[Any], x: np.ndarray, **how: Any) -> Stage:
        return Stage(
            name=name,
            objectives=[
                Objective(
                    name=kind.name,
                    loss=kind.loss(blocks, set(map(id, fresh)), head),
                    metrics=kind.metrics,
                    variables=[
                        *(v for block in moved for v in block.trainable_weights),
                        *head.trainable_weights,
                    ],
                    state=[v for block in blocks for v in block.weights],
                    optimizer=recipe.optimizer,
                )
            ],
            arrays={"x": x, "y": y},
            batch_size=recipe.batch_size,
            schedule=recipe.schedule,
            convolutional=encoder.row.convolutional,
            **how,
        )

    if not kept:
        yield stage(
            "from scratch",
            fresh,
            fresh,
            x,
            epochs=recipe.scratch_epochs,
            learning_rate=recipe.scratch_learning_rate,
        )
        return
    if recipe.freeze_epochs:
        # The frozen blocks cannot move: their output is computed once, not once a step.
        features = x
        for block in kept:
            features = apply(block, features)
        yield stage(
            "head on frozen encoder",
            fresh,
            fresh,
            features,
            epochs=recipe.freeze_epochs,
            learning_rate=recipe.head_learning_rate,
        )
    if recipe.epochs:
        yield stage(
            "fine-tune",
            kept + fresh,
            kept + fresh,
            x,
            epochs=recipe.epochs,
            learning_rate=recipe.learning_rate,
        )
