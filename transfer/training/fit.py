"""The training of a transfer: an encoder and a new head, frozen first, then fine-tuned."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from transfer.heads import SolvedHead, head_of

if TYPE_CHECKING:
    from pretrain.engine.checkpoint import Checkpoints
    from pretrain.engine.program import Programs
    from pretrain.engine.progress import Reporter
    from pretrain.engine.train import Run
    from transfer.model.feature_cache import Prepared
    from transfer.model.network import Body
    from transfer.model.weight_interpolation import Line
    from transfer.plan import Plan, Source
    from transfer.targets.base import Target
    from transfer.training.lr_finder import Curve


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """What ``fit`` trained, as Keras models, and how it went.

    ``head(encoder.model(front(x)))`` takes raw examples (B, ...) to outputs (B, K) float32.
    curve: what the search for a learning rate saw, if there was one.
    line: from the frozen encoder to the fine-tuned, where the recipe interpolates; else None.
    chosen: of a head that is solved on frozen features, its parameter and the table it is from; else None.
    frozen: how many of the lowest blocks are as they were pretrained.
    """

    front: Any
    encoder: Body
    head: Any
    run: Run
    frozen: int
    curve: Curve | None = None
    line: Line | None = None
    chosen: dict[str, Any] | None = None

    def outputs(self, x: Prepared) -> np.ndarray:
        """Return the outputs (N, K) float32 for prepared examples."""
        from transfer.inference import predict_batched

        blocks = [block for _, block in self.encoder.blocks]
        return predict_batched((*blocks[self.frozen :], self.head), x.above(blocks[: self.frozen]))


def fit(
    x: np.ndarray | Prepared,
    y: np.ndarray,
    source: Source,
    plan: Plan,
    *,
    target: Target,
    seed: int,
    weights: np.ndarray | None = None,
    body: Body | None = None,
    reporter: Reporter | None = None,
    programs: Programs | None = None,
    checkpoints: Checkpoints | None = None,
    resume: bool = False,
) -> Fitted:
    """Train ``source``'s encoder and a new head; nothing is measured.

    x: raw examples (N, ...) as ``plan.inputs`` expects them, or what its model made of them.
    y: as ``target`` encodes it, or for classes a distribution float32 (N, K).
    weights: float32 (N,), how much each example counts; None: all alike.
    body: built for this source, arrangement and seed, and to be trained from its first weights again; None
        builds one.
    """
    from pretrain.engine.program import Programs
    from pretrain.engine.progress import Reporter
    from pretrain.engine.session import Session
    from pretrain.engine.train import Run, train
    from transfer.inference import predict_batched
    from transfer.model.feature_cache import Prepared
    from transfer.training.schedule import Stages

    recipe = plan.recipe
    made = [target.name, source.encoder, asdict(plan.arrangement), target.outputs]
    made += [recipe.unfreeze, recipe.statistics]
    run = Run(
        seed=seed,
        key=json.dumps(["transfer", *made], sort_keys=True),
        session=Session(
            reporter=reporter or Reporter(), resume=resume, checkpoints=checkpoints
        ).sharing(programs or Programs()),
        keep_best=("val_loss", -1) if recipe.validation else None,
    )
    if body is None:
        body = build(source, plan, target.outputs, seed)
    else:
        body.restore()
    front = plan.inputs.model()
    if not isinstance(x, Prepared):
        x = Prepared(predict_batched(front, x))
    if recipe.balance and target.exclusive:
        weights = balanced(y) * (1 if weights is None else weights)
    if weights is not None:
        weights = (weights / weights.mean()).astype(np.float32)
    head = head_of(plan.arrangement.head)
    if isinstance(head, SolvedHead):
        features = predict_batched(body.model, x.x)
        solved = head.solve(features, y, target, weights, seed)
        body.put_head(solved.config, solved.weights)
        return Fitted(
            front=front,
            encoder=body,
            head=body.head,
            run=run,
            frozen=len(body.kept),
            chosen=solved.choice,
        )
    stages = Stages(x, y, weights, target, recipe, body, run)
    train(stages.all(), run)
    line = None
    if recipe.interpolate < 1:
        line = stages.line()
        line.go(recipe.interpolate)
        if line.share != recipe.interpolate:
            run.session.reporter.say(
                f"At {recipe.interpolate:g} of the way from frozen to fine-tuned the loss on the labels is "
                f"higher than at the ends, so the fine-tuned weights are kept"
            )
    return Fitted(
        front=front,
        encoder=body,
        head=body.head,
        run=run,
        frozen=stages.frozen,
        curve=stages.curve,
        line=line,
    )


def build(source: Source, plan: Plan, outputs: int, seed: int) -> Body:
    """Return the network that ``fit`` trains, with the weights from which it starts."""
    from transfer.model.network import Body

    return Body(
        source.encoder, plan.arrangement, outputs=outputs, seed=seed, tensors=source.tensors
    )


def balanced(y: np.ndarray) -> np.ndarray:
    """Return weights (N,) that give every class of y, int (N,) or distributions (N, K), the same sum."""
    shares = y if y.ndim == 2 else np.eye(int(y.max()) + 1)[y]
    counts = shares.sum(axis=0)
    found: np.ndarray = shares @ (len(y) / np.maximum(counts, 1e-12) / (counts > 0).sum())
    return found
