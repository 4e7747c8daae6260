"""Training recipes of a transfer: a short table, each field of which can be set."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from headstart.errors import InputError, arg, check_known
from pretrain.engine.stage import Optimizer

SCHEDULES = ("constant", "cosine")
STATISTICS = ("kept", "moving")


@dataclass(frozen=True, kw_only=True)
class TransferRecipe:
    """A schedule in two stages: train what is new on frozen blocks, then fine-tune.

    freeze_epochs, head_learning_rate: of the first stage.
    epochs, learning_rate: of the second; 0 epochs leave the reused blocks as they were.
    scratch_epochs, scratch_learning_rate: when no block is reused, there is one stage, these.
    least_updates: a small budget gets as many epochs in each stage as make this many updates.
    schedule, warmup: of each stage, as in pretrain.engine.stage.Stage.
    unfreeze: fine-tuning moves this many of the highest kept blocks; None all, 0 none.
    gradual: fine-tuning unfreezes block by block from the top, in equal parts of its epochs (Howard &
        Ruder 2018, "Universal Language Model Fine-tuning", section 3.3).
    layer_decay: in fine-tuning, the kept blocks' learning rate is multiplied by this once for the highest,
        twice for the next, and so on (the same paper's discriminative fine-tuning, whose value is 1 / 2.6).
    solve: the first stage is a logistic regression (of numbers, a ridge regression) solved to its minimum,
        with this inverse strength C of its L2 penalty, where nothing but the head is new (Kumar et al.
        2022, "Fine-Tuning can Distort Pretrained Features"); None trains by gradient steps.
    interpolate: the share of the way from the frozen encoder, under a solved head, to the fine-tuned weights
        at which the network ends (transfer.model.weight_interpolation); 1 is all of it.
    balance: weigh every class alike, however many labels it has.
    statistics: of the normalisation of kept blocks while they are fine-tuned: "kept" as they came (their
        dropout off too), or "moving" with the batches, as those of frozen blocks never do.
    augment: the random views on which every stage trains, by the name of a recipe of pretrain.augment; with
        "none" the examples as they are. What is frozen is computed on the views, in every step.
    find: choose the learning rate of the fine-tuning, or from scratch, by a short run
        (transfer.training.lr_finder).
    validation: hold out this part of the labels, and end each stage as it was after the epoch with the
        lowest loss on them; 0 trains on all labels for all epochs.
    """

    freeze_epochs: int
    epochs: int
    batch_size: int
    head_learning_rate: float
    learning_rate: float
    scratch_epochs: int
    scratch_learning_rate: float
    optimizer: Optimizer = field(default_factory=Optimizer)
    schedule: str = "constant"
    warmup: float = 0.0
    least_updates: int = 0
    unfreeze: int | None = None
    gradual: bool = False
    layer_decay: float = 1.0
    solve: float | None = None
    interpolate: float = 1.0
    balance: bool = False
    validation: float = 0.0
    find: bool = False
    statistics: str = "kept"
    augment: str = "none"

    def __post_init__(self) -> None:
        for name in ("freeze_epochs", "epochs", "scratch_epochs"):
            if getattr(self, name) < 0:
                raise InputError("must be 0 or more", argument=name, value=getattr(self, name))
        for name, known in (("schedule", SCHEDULES), ("statistics", STATISTICS)):
            check_known(getattr(self, name), known, name)
        if self.unfreeze is not None and self.unfreeze < 0:
            raise InputError("must be 'all' or 0 or more", argument="unfreeze", value=self.unfreeze)
        for name, low, high in (
            ("warmup", 0, 0.99),
            ("validation", 0, 0.9),
            ("layer_decay", 1e-6, 1),
            ("solve", 1e-9, 1e9),
            ("interpolate", 0, 1),
        ):
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise InputError(f"must be from {low:g} to {high:g}", argument=name, value=value)
        if self.untuned and self.interpolate < 1:
            raise InputError(
                f"ends between the frozen encoder and a fine-tuned one, and nothing would be fine-tuned: "
                f"{self.untuned}",
                argument="interpolate",
                value=self.interpolate,
                hint="Leave one of them out.",
            )
        if self.untuned and not self.freeze_epochs and self.solve is None:
            raise InputError(
                f"Nothing would be trained: {arg.freeze_epochs} is 0 and {self.untuned}. A transfer needs at "
                f"least one epoch.",
                hint=f"Give {arg.epochs} or {arg.freeze_epochs}.",
            )

    @property
    def untuned(self) -> str:
        """The reason why nothing is fine-tuned; "" where something is."""
        if self.epochs:
            return f"{arg.unfreeze:0} moves no block" if self.unfreeze == 0 else ""
        return f"{arg.epochs} is 0"

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON; without random views as recipes were before there were any."""
        given = asdict(self)
        return {n: v for n, v in given.items() if (n, v) != ("augment", "none")}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> TransferRecipe:
        """Return the recipe of which ``to_json`` made ``fields``."""
        return cls(**{**fields, "optimizer": Optimizer(**fields["optimizer"])})

    def for_budget(self, labels: int) -> TransferRecipe:
        """Return the recipe with the epochs that ``labels`` examples get."""
        least = math.ceil(self.least_updates / math.ceil(labels / self.batch_size))

        def enough(epochs: int) -> int:
            return max(epochs, least) if epochs else 0

        freeze, tune = enough(self.freeze_epochs), enough(self.epochs)
        # From scratch never gets fewer updates than the two stages have together.
        scratch = max(self.scratch_epochs, freeze + tune if least else 0)
        return replace(
            self, freeze_epochs=freeze, epochs=tune, scratch_epochs=scratch, least_updates=0
        )


# Chosen on held-out training images, never on test data: scripts/tune repeats the choice.
DEFAULT = TransferRecipe(
    freeze_epochs=30,
    epochs=30,
    batch_size=32,
    head_learning_rate=1e-2,
    learning_rate=5e-4,
    scratch_epochs=60,
    scratch_learning_rate=1e-3,
    schedule="cosine",
    least_updates=300,
)

RECIPES: dict[str, TransferRecipe] = {
    "default": DEFAULT,
    # What the features are worth as they are: Alain & Bengio 2017.
    "linear-probe": replace(DEFAULT, freeze_epochs=60, epochs=0, least_updates=600),
    # The notebook's: 4 + 16 epochs, or 20 from scratch, plain SGD, the same rate throughout.
    "notebook": TransferRecipe(
        freeze_epochs=4,
        epochs=16,
        batch_size=32,
        head_learning_rate=1e-3,
        learning_rate=1e-3,
        scratch_epochs=20,
        scratch_learning_rate=1e-3,
        optimizer=Optimizer(name="sgd"),
    ),
}


ALIASES = {"seed": "notebook"}
FIELDS = tuple(
    f.name
    for f in fields(TransferRecipe)
    if f.name
    not in ("optimizer", "least_updates", "find", "scratch_epochs", "scratch_learning_rate")
)
"""The fields that options set."""


def recipe(name: str | TransferRecipe, changes: Mapping[str, Any] | None = None) -> TransferRecipe:
    """Return the recipe called ``name``, or the recipe itself, with ``changes`` to its fields.

    Epochs that are set are taken as they are, and from scratch gets as many as both stages have; a
    learning rate that is set is also that from scratch. Raises InputError.
    """
    if isinstance(name, str):
        name = ALIASES.get(name, name)
        check_known(name, RECIPES, "recipe")
        name = RECIPES[name]
    given = dict(changes or {})
    if {"freeze_epochs", "epochs"} & given.keys():
        both = (given.get(n, getattr(name, n)) for n in ("freeze_epochs", "epochs"))
        given = {"scratch_epochs": sum(both), "least_updates": 0} | given
    if given.get("learning_rate") == "find":
        del given["learning_rate"]
        given["find"] = True
    if "learning_rate" in given:
        given = {"scratch_learning_rate": given["learning_rate"]} | given
    return replace(name, **given)
