"""One training of an encoder and a head, checked before anything is trained."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from headstart.errors import InputError, arg
from pretrain.encoders import block_names
from transfer.architecture import TransferArchitecture
from transfer.data.input_adapter import InputAdapter
from transfer.encoder_source import EncoderSource
from transfer.recipes import TransferRecipe
from transfer.targets.base import Target

if TYPE_CHECKING:
    from transfer.model.network import TransferNetwork


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

    @property
    def blocks(self) -> int:
        """The number of the encoder's blocks."""
        return len(block_names(self.source.encoder))

    @property
    def sharing_key(self) -> str:
        """All that the compiled steps depend on, but for data and seed."""
        parts: list[Any] = [self.target.name, self.source.encoder, asdict(self.architecture)]
        parts += [self.target.outputs, self.recipe.unfreeze, self.recipe.statistics]
        return json.dumps(["transfer", *parts], sort_keys=True)

    def network(self) -> TransferNetwork:
        """Return the network with the weights from which training starts."""
        from transfer.model.network import TransferNetwork

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

    def check(self, *, search: bool = False) -> None:
        """Refuse what would train nothing, or would be passed over.

        search: architecture and recipe are where a reuse search begins.

        Raises:
            InputError: with the argument that contradicts another.
        """
        self.architecture.check(self.source.encoder)
        reuse, recipe = self.architecture.reuse, self.recipe
        if search and recipe.validation:
            raise InputError(
                f"holds labels out, and {arg.reuse:auto} validates on folds of all of them",
                argument="validation",
                value=recipe.validation,
                hint="Leave one of them out.",
            )
        if reuse == 0 and not recipe.scratch_epochs:
            raise InputError(
                "Nothing would be trained: from scratch, at least one epoch is needed."
            )
        if reuse:
            _check_tuning(reuse, recipe, search=search)
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
        if recipe.balance and not self.target.exclusive:
            raise InputError(
                f"works on one class an example, and y is of the kind {self.target.name!r}",
                argument="balance",
                hint="Leave it out.",
            )


def _check_tuning(reuse: int, recipe: TransferRecipe, *, search: bool) -> None:
    """Refuse options of fine-tuning that could not act. Raises InputError."""
    if recipe.unfreeze and recipe.unfreeze > reuse and not search:
        raise InputError(
            f"must be 'all' or at most {reuse}, the number of kept blocks",
            argument="unfreeze",
            value=recipe.unfreeze,
        )
    if recipe.epochs and recipe.unfreeze != 0:
        return
    options = {
        "gradual": recipe.gradual,
        "learning_rate": recipe.find,
        "layer_decay": recipe.layer_decay != 1,
    }
    for option, given in options.items():
        if given:
            value = "find" if option == "learning_rate" else getattr(recipe, option)
            raise InputError(
                f"is about fine-tuning, and nothing would be fine-tuned: {recipe.untuned}",
                argument=option,
                value=value,
                hint=f"Leave it out, or give {arg.epochs} (and no {arg.unfreeze:0}).",
            )
