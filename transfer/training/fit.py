"""The training of a transfer: an encoder and a new head, frozen first, then fine-tuned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from transfer.heads import SolvedHead, head_of

if TYPE_CHECKING:
    from pretrain.engine.session import Session
    from pretrain.engine.train import Run
    from transfer.model.feature_cache import FeatureCache
    from transfer.model.network import TransferNetwork
    from transfer.model.weight_interpolation import WeightInterpolation
    from transfer.training.fit_plan import FitPlan
    from transfer.training.lr_finder import Curve

Examples = tuple["np.ndarray | FeatureCache", np.ndarray, "np.ndarray | None"]
"""x, y and weights, as ``fit`` takes them."""


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """The result of ``fit``.

    Attributes:
        front: Keras model, raw examples (B, ...) to those that the encoder takes.
        network: encoder and head.
        run: with its history and number of updates.
        frozen: the number of lowest blocks that are as they were pretrained.
        curve: of the search for a learning rate, if there was one.
        line: from the frozen encoder to the fine-tuned, where the recipe interpolates.
        choice: of a solved head, its parameter and the table it is from.
    """

    front: Any
    network: TransferNetwork
    run: Run
    frozen: int
    curve: Curve | None = None
    line: WeightInterpolation | None = None
    choice: dict[str, Any] | None = None

    @property
    def models(self) -> tuple[Any, Any, Any]:
        """Keras models in a row: raw examples (B, ...) to outputs (B, K) float32."""
        return self.front, self.network.model, self.network.head

    def outputs(self, x: FeatureCache) -> np.ndarray:
        """Return the outputs (N, K) float32 for prepared examples."""
        from transfer.inference import predict_batched

        blocks = [block for _, block in self.network.blocks]
        last = (*blocks[self.frozen :], self.network.head)
        return predict_batched(last, x.above(blocks[: self.frozen]))


def fit(
    x: np.ndarray | FeatureCache,
    y: np.ndarray,
    plan: FitPlan,
    session: Session,
    *,
    weights: np.ndarray | None = None,
    network: TransferNetwork | None = None,
) -> Fitted:
    """Train an encoder and a new head; nothing is measured.

    Args:
        x: raw examples (N, ...) as ``plan.inputs`` expects them, or what its model made of them.
        y: as ``plan.target`` encodes it, or for classes a distribution float32 (N, K).
        plan: all that decides the training; its recipe gets the epochs for N examples.
        session: shows the progress and saves the state.
        weights: float (N,), how much each example counts; None: all alike.
        network: ``plan.network()``, to be trained from its first weights again; None builds one.

    Raises:
        NonFiniteError: training became non-finite.
        Interrupted: Ctrl-C.
    """
    from pretrain.engine.train import Run, train
    from transfer.inference import predict_batched
    from transfer.model.feature_cache import FeatureCache
    from transfer.training.schedule import Stages

    recipe, target = plan.recipe.for_budget(len(x)), plan.target
    run = Run(
        seed=plan.seed,
        key=plan.sharing_key,
        session=session,
        keep_best=("val_loss", -1) if recipe.validation else None,
    )
    if network is None:
        network = plan.network()
    else:
        network.restore()
    front = plan.inputs.model()
    if not isinstance(x, FeatureCache):
        x = FeatureCache(predict_batched(front, x))
    if recipe.balance and target.exclusive:
        weights = balanced(y) * (1 if weights is None else weights)
    if weights is not None:
        weights = (weights / weights.mean()).astype(np.float32)
    head = head_of(plan.architecture.head)
    if isinstance(head, SolvedHead):
        features = predict_batched(network.model, x.x)
        solved = head.solve(features, y, target, weights, plan.seed)
        network.put_head(solved.config, solved.weights)
        return Fitted(
            front=front, network=network, run=run, frozen=len(network.kept), choice=solved.choice
        )
    stages = Stages(x, y, weights, target, recipe, network, run)
    train(stages.all(), run)
    line = None
    if recipe.interpolate < 1:
        line = stages.line()
        line.apply(recipe.interpolate)
        if line.alpha != recipe.interpolate:
            session.reporter.say(
                f"At {recipe.interpolate:g} of the way from frozen to fine-tuned the loss on the labels is "
                f"higher than at the ends, so the fine-tuned weights are kept"
            )
    return Fitted(
        front=front,
        network=network,
        run=run,
        frozen=stages.frozen,
        curve=stages.curve,
        line=line,
    )


def balanced(y: np.ndarray) -> np.ndarray:
    """Return weights (N,) that give every class of y, int (N,) or distributions (N, K), the same sum."""
    shares = y if y.ndim == 2 else np.eye(int(y.max()) + 1)[y]
    counts = shares.sum(axis=0)
    found: np.ndarray = shares @ (len(y) / np.maximum(counts, 1e-12) / (counts > 0).sum())
    return found
