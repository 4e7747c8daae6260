"""The configuration of a pretraining run. Imports nothing heavy: a command's options are made from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headstart.errors import check_known
from headstart.options import option
from pretrain.engine.stage import Optimizer


@dataclass(frozen=True, kw_only=True)
class PretrainRecipe:
    """A named set of defaults.

    Attributes:
        encoder: its name, or "auto".
        fields: replace those of the strategy's own recipe (epochs, batch_size, ...).
    """

    encoder: str = "auto"
    fields: Mapping[str, Any] = field(default_factory=dict)


PRETRAIN_RECIPES: dict[str, PretrainRecipe] = {
    "default": PretrainRecipe(),
    # The notebook's dense net, and its 20 epochs of plain SGD.
    "notebook": PretrainRecipe(
        encoder="mlp",
        fields={
            "epochs": 20,
            "batch_size": 32,
            "learning_rate": 1e-3,
            "optimizer": Optimizer(name="sgd"),
            "schedule": "constant",
        },
    ),
}
RECIPE_ALIASES = {"seed": "notebook"}
"""Old spellings."""


def pretrain_recipe(name: str) -> PretrainRecipe:
    """Return the recipe called ``name``. Raises InputError with near names."""
    name = RECIPE_ALIASES.get(name, name)
    check_known(name, PRETRAIN_RECIPES, "recipe")
    return PRETRAIN_RECIPES[name]


def whole_if_equal(value: float) -> float:
    """Return 10 for 10.0, so that equal runs are described by equal bytes, and 2.5 for 2.5."""
    return int(value) if value == int(value) else float(value)


KEEP_BEST = {"probe": ("probe_linear", 1), "validation": ("val_loss", -1)}
"""keep_best -> the metric, and whether more (1) or less (-1) is better."""
COLLAPSE = ("stop", "warn", "off")
STRATEGYS = "the strategy's"


@dataclass(frozen=True, kw_only=True)
class PretrainConfig:
    """All that decides a pretraining run, except the data.

    The fields are the options of the command and the keywords of Python (headstart.options). None leaves a
    choice to the recipe, and then to the strategy.

    Example:
        >>> config = PretrainConfig(strategy="simclr", epochs=30, batch_size=256)
    """

    strategy: str = option(
        dataclasses.MISSING, "How to pretrain: see the list of strategies, or auto."
    )
    options: Mapping[str, Any] = option(
        {}, "name=value, an option of the strategy.", spelled=("opt",)
    )
    recipe: str = option("default", "default, or notebook (the notebook's net and epochs).")
    encoder: str | None = option(
        None, "convnet, resnet, mlp or auto (by the data).", usual="the recipe's"
    )
    encoder_options: Mapping[str, Any] = option(
        {}, "name=value, an option of the encoder.", spelled=("encoder-opt",)
    )
    minutes: float | None = option(
        None, "Minutes that the race of auto may take.", within="(0, inf)", usual="10, of auto"
    )
    epochs: float | None = option(
        None,
        "Passes over the pool; 0.5 is a half.",
        within="(0, inf)",
        usual="the strategy's, more for a small pool",
    )
    batch_size: int | None = option(None, "Examples in a step.", within="[1, inf)", usual=STRATEGYS)
    learning_rate: float | None = option(
        None, "Peak learning rate.", within="(0, 100]", usual=STRATEGYS
    )
    optimizer: str | None = option(None, "Optimizer.", choices=("adam", "sgd"), usual=STRATEGYS)
    schedule: str | None = option(
        None, "Learning-rate schedule.", choices=("constant", "cosine"), usual=STRATEGYS
    )
    validation: float = option(
        0.1, "Part of the pool held out to measure the loss on.", within="[0, 0.9]"
    )
    augment: str = option(
        "auto",
        "The random views, of strategies that learn from them: see the list of augmentations.",
    )
    augment_options: Mapping[str, Any] = option(
        {}, "name=value, an option of the augmentation.", spelled=("augment-opt",)
    )
    probe_every: int | None = option(
        None, "Epochs between two probes.", within="[1, inf)", usual="about 20 probes a stage"
    )
    keep_best: str | None = option(
        None,
        "Keep the epoch with the best probe accuracy or validation loss.",
        choices=tuple(KEEP_BEST),
        usual="the last epoch",
    )
    collapse: str = option(
        "stop", "What happens when all examples get the same features.", choices=COLLAPSE
    )
    fingerprints: bool = option(
        True,
        "Store fingerprints of the pool's examples in the file, so that a transfer can tell which "
        "examples were in it.",
    )
    seed: int = option(0, "Decides every random choice.", within=f"[0, {2**31 - 1}]")
