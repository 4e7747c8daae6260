"""One training of an encoder and a new head: planned, checked, then run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from headstart.errors import InputError, arg
from pretrain.augment.recipes import Augmentation
from pretrain.encoders import ARCHITECTURES, block_names
from pretrain.encoders.encoder import schema_of
from pretrain.engine.train import Run, train
from transfer.architecture import TransferArchitecture, architecture_of
from transfer.config import TransferConfig
from transfer.data.input_adapter import InputAdapter
from transfer.encoder_source import EncoderSource
from transfer.heads import HEADS, SolvedHead, head_of, usual_above, usual_head
from transfer.heads.base import Labelled
from transfer.inference import FeatureCache, predict_batched
from transfer.model.network import TransferNetwork
from transfer.recipes import TransferRecipe, recipe
from transfer.targets.base import Target
from transfer.training.schedule import Stages

if TYPE_CHECKING:
    from pretrain.engine.session import Session
    from pretrain.engine.stage import Stage
    from transfer.model.weight_interpolation import WeightInterpolation
    from transfer.training.lr_finder import Curve


class Further(Protocol):
    """Stages that train a network further when it has learnt its labels."""

    def stages(
        self,
        examples: Mapping[str, np.ndarray],
        network: TransferNetwork,
        target: Target,
        frozen: int,
    ) -> Iterator[Stage]:
        """Yield the stages; each one's ``key`` says what it depends on beside the network.

        examples: the labelled ones, "x" prepared, "y" encoded, and "w" where they are weighted.
        frozen: how many of the lowest blocks no stage may move.
        """


class Examples(NamedTuple):
    """The examples of a training, as ``fit`` takes them."""

    x: np.ndarray | FeatureCache
    y: np.ndarray
    weights: np.ndarray | None = None
    further: Further | None = None


@dataclass(frozen=True, kw_only=True)
class FitPlan:
    """All that decides a training, but for the examples.

    Attributes:
        source: where the encoder comes from.
        inputs: the way from raw examples to the encoder.
        architecture: what is kept of the encoder, and what stands above.
        recipe: how it is trained; ``fit`` gives it the epochs for its number of examples.
        target: the kind of y.
        seed: of everything random.
    """

    source: EncoderSource
    inputs: InputAdapter
    architecture: TransferArchitecture
    recipe: TransferRecipe
    target: Target
    seed: int = 0

    @classmethod
    def make(
        cls,
        config: TransferConfig,
        source: EncoderSource,
        inputs: InputAdapter,
        target: Target,
        *,
        data: str,
        trained: bool = False,
    ) -> FitPlan:
        """Plan what a configuration asks for; of a reuse search, where it begins.

        Other arguments are the attributes, ``data`` is what has the target, for messages, and ``trained``
        says that the head must be one that is trained.

        Raises:
            InputError: something would train nothing, be passed over or contradicts something else.
        """
        name, kept = config.head, config.kept_blocks
        if name is None:
            name = "linear" if trained or config.search else usual_head(source.encoder, target.name)
        head = head_of(name)
        named = config.recipe != "default" and isinstance(config.recipe, str)
        also = ["recipe"] * named + ["augment"] * config.chooses_views
        head.check_options([*config.training, *also])
        head.check_target(target.name, data)
        above = config.above or usual_above(head.name, kept)
        plan = cls(
            source=source,
            inputs=inputs,
            architecture=architecture_of(source, kept, above, head.name),
            recipe=recipe(config.recipe, config.training),
            target=target,
            seed=config.seed,
        )
        plan._check(search=config.search, views=config.chooses_views)
        return plan

    @property
    def blocks(self) -> int:
        """The number of the encoder's blocks."""
        return len(block_names(self.source.encoder))

    @property
    def views(self) -> Mapping[str, float] | None:
        """The options of the random views that training sees; None: it sees the examples as they are."""
        if self.recipe.augment == "none":
            return None
        return Augmentation.of(
            self.recipe.augment, tuple(self.source.encoder["input_shape"])
        ).options

    @property
    def columns(self) -> tuple[int, ...] | None:
        """Of a table, how many prepared values each of its columns has; None of all else."""
        schema = schema_of(self.source.preprocessing)
        return None if schema is None else schema.widths

    def network(self) -> TransferNetwork:
        """Return the network with the weights from which training starts."""
        return TransferNetwork(
            self.source.encoder,
            self.architecture,
            outputs=self.target.outputs,
            seed=self.seed,
            tensors=self.source.tensors,
        )

    def with_search_result(self, found: Mapping[str, Any]) -> FitPlan:
        """Return the plan with what a search chose, as its JSON says."""
        return replace(
            self,
            architecture=TransferArchitecture(**found["arrangement"]),
            recipe=TransferRecipe.from_json(found["recipe"]),
        )

    def _check(self, *, search: bool, views: bool) -> None:
        reuse, recipe = self.architecture.reuse, self.recipe
        if search and recipe.validation:
            rule = f"holds labels out, and {arg.reuse:auto} validates on folds of all of them"
            hint = "Leave one of them out."
            raise InputError(rule, argument="validation", value=recipe.validation, hint=hint)
        if reuse == 0 and not recipe.scratch_epochs:
            raise InputError(
                "Nothing would be trained: from scratch, at least one epoch is needed."
            )
        if reuse and not search and (recipe.unfreeze or 0) > reuse:
            rule = f"must be 'all' or at most {reuse}, the number of kept blocks"
            raise InputError(rule, argument="unfreeze", value=recipe.unfreeze)
        tuning = {
            "gradual": recipe.gradual,
            "learning_rate": recipe.find and "find",
            "layer_decay": recipe.layer_decay != 1 and recipe.layer_decay,
        }
        for option, value in tuning.items():
            if value and reuse and recipe.untuned:
                rule = f"is about fine-tuning, and nothing would be fine-tuned: {recipe.untuned}"
                hint = f"Leave it out, or give {arg.epochs} (and no {arg.unfreeze:0})."
                raise InputError(rule, argument=option, value=value, hint=hint)
        solving = {"solve": recipe.solve is not None, "interpolate": recipe.interpolate < 1}
        for option, given in solving.items():
            if given and self.architecture.fresh(self.blocks):
                raise InputError(
                    f"solves a last layer on blocks that have learnt already, and with "
                    f"{self.architecture.describe(self.blocks)} there is something new below it",
                    argument=option,
                    value=getattr(recipe, option),
                    hint=f"Leave it out, or give {arg.above:drop} and {arg.head:linear}.",
                )
        made = views or self.views is not None
        if made and ARCHITECTURES[self.source.encoder["architecture"]].imported:
            rule = "makes views of values from 0 to 1, and a model that was trained elsewhere has others"
            value = "auto" if views else recipe.augment
            raise InputError(rule, argument="augment", value=value, hint="Leave it out.")
        if recipe.balance and not self.target.exclusive:
            rule = f"works on one class an example, and y is of the kind {self.target.name!r}"
            raise InputError(rule, argument="balance", hint="Leave it out.")


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
    further: Further | None = None,
    network: TransferNetwork | None = None,
) -> Fitted:
    """Train an encoder and a new head; nothing is measured.

    Args:
        x: raw examples (N, ...) as ``plan.inputs`` expects them, or what its model made of them.
        y: as ``plan.target`` encodes it, or for classes a distribution float32 (N, K).
        plan: all that decides the training; its recipe gets the epochs for N examples.
        session: shows the progress and saves the state.
        weights: float (N,), how much each example counts; None: all alike.
        further: stages behind those of the recipe; not with a solved head.
        network: ``plan.network()``, to be trained from its first weights again; None builds one.

    Raises:
        NonFiniteError: training became non-finite.
        Interrupted: Ctrl-C.
    """
    recipe, target = plan.recipe.for_budget(len(x)), plan.target
    # All that the compiled steps depend on, but for data and seed.
    parts = [target.name, plan.source.encoder, asdict(plan.architecture), target.outputs]
    parts += [recipe.unfreeze, recipe.statistics, recipe.augment, plan.columns]
    run = Run(
        seed=plan.seed,
        key=json.dumps(["transfer", *parts], sort_keys=True),
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
    made: dict[str, Any] = {"front": front, "network": network, "run": run}
    head = HEADS[plan.architecture.head]
    if isinstance(head, SolvedHead):
        features = predict_batched(network.model, x.x)
        labelled = Labelled(features=features, y=y, target=target, weights=weights)
        solved = head.solve(labelled, plan.seed)
        network.put_head(solved.config, solved.weights)
        return Fitted(**made, frozen=len(network.kept), choice=solved.choice)
    stages = Stages(x, y, weights, target, recipe, network, run, plan.views, plan.columns)
    then: Iterator[Stage] = iter(())
    if further is not None:
        arrays = {"x": x.x, "y": y} | ({} if weights is None else {"w": weights})
        then = further.stages(arrays, network, target, stages.frozen)
    train(chain(stages.all(), then), run)
    line = None
    if recipe.interpolate < 1:
        line = stages.line()
        line.apply(recipe.interpolate)
        if line.alpha != recipe.interpolate:
            session.reporter.say(
                f"At {recipe.interpolate:g} of the way from frozen to fine-tuned the loss on the labels is "
                f"higher than at the ends, so the fine-tuned weights are kept"
            )
    return Fitted(**made, frozen=stages.frozen, curve=stages.curve, line=line)


def balanced(y: np.ndarray) -> np.ndarray:
    """Return weights (N,) that give every class of y, int (N,) or distributions (N, K), the same sum."""
    shares = y if y.ndim == 2 else np.eye(int(y.max()) + 1)[y]
    counts = shares.sum(axis=0)
    found: np.ndarray = shares @ (len(y) / np.maximum(counts, 1e-12) / (counts > 0).sum())
    return found
