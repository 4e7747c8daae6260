"""Named ways to pretrain: an encoder and fields that replace those of a strategy's own recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pretrain.stage import Optimizer
from headstart.errors import InputError, suggest


@dataclass(frozen=True, kw_only=True)
class PretrainRecipe:
    """encoder: its name or "auto"; fields: of the strategy's recipe (epochs, batch_size, ...)."""

    encoder: str = "auto"
    fields: Mapping[str, Any] = field(default_factory=dict)


PRETRAIN_RECIPES: dict[str, PretrainRecipe] = {
    "default": PretrainRecipe(),
    # The notebook's: its dense net, 20 epochs of plain SGD.
    "seed": PretrainRecipe(
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


def pretrain_recipe(name: str) -> PretrainRecipe:
    """Return the recipe called ``name``. Raises InputError with near names."""
    if name not in PRETRAIN_RECIPES:
        raise InputError(
            f"There is no recipe {name!r}.{suggest(name, PRETRAIN_RECIPES)} "
            f"There are: {', '.join(PRETRAIN_RECIPES)}."
        )
    return PRETRAIN_RECIPES[name]
