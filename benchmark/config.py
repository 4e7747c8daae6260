"""Configuration of a benchmark: its grid, and the modes of transfer that it sets side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmark.planning.budget import Budget
from headstart.errors import InputError, suggest
from transfer.recipes import TransferRecipe
from transfer.recipes import recipe as transfer_recipe
from transfer.selection.search import SECONDS

FINE_TUNE, LINEAR_PROBE, AUTO = "fine-tune", "linear-probe", "auto"


@dataclass(frozen=True, kw_only=True)
class Mode:
    """One way of the transfer.

    search: every row chooses by transfer.selection.search, for at most so many seconds a cell, and
        ``recipe`` is the plain candidate; None takes the recipe as it is. Strategies choose how to reuse
        their encoder, scratch its rate and length, the frozen random encoder its depth and head.
    """

    recipe: TransferRecipe
    search: float | None = None


MODES: Mapping[str, Callable[[str], Mode]] = {
    FINE_TUNE: lambda recipe: Mode(recipe=transfer_recipe(recipe)),
    LINEAR_PROBE: lambda recipe: Mode(recipe=transfer_recipe("linear-probe")),
    AUTO: lambda recipe: Mode(recipe=transfer_recipe(recipe), search=SECONDS),
}
"""Name -> from the name of the benchmark's recipe to the mode."""


def chosen_modes(names: Sequence[str], recipe: str) -> dict[str, Mode]:
    """Return the modes by name; without names, the one that the recipe is. Raises InputError."""
    if not names:
        name = LINEAR_PROBE if recipe == LINEAR_PROBE else FINE_TUNE
        return {name: Mode(recipe=transfer_recipe(recipe))}
    for name in names:
        if name not in MODES:
            raise InputError(
                f"--modes must name ways of a transfer: there is no {name!r}.{suggest(name, MODES)} "
                f"There are: {', '.join(MODES)}."
            )
    return {name: MODES[name](recipe) for name in dict.fromkeys(names)}


@dataclass(frozen=True, kw_only=True)
class BenchmarkConfig:
    """All that decides a benchmark, but for the data.

    strategies: names, or ("all",) for every strategy that the pool allows.
    labels: label budgets; the subsets of one seed are nested.
    seeds: seeds of subsets, initial weights and order; a seed's subset is the same for every row.
    encoder, encoder_options, augment, augment_options, pretrain_fields: as in PretrainConfig; the same
        for every strategy, the random views for those that learn from them. ``encoder`` may be several
        names with commas; then an option spelled ENCODER.name is that encoder's alone.
    options: of single strategies, by their names.
    recipe: of every transfer; rows from scratch use its scratch fields.
    modes: ways of the transfer in its place, by the names that the rows bear.
    budget: what each pretraining may cost; None leaves every strategy its own epochs.
    """

    strategies: Sequence[str]
    labels: Sequence[int]
    seeds: Sequence[int]
    recipe: TransferRecipe
    modes: Mapping[str, Mode] = field(default_factory=dict)
    encoder: str = "auto"
    encoder_options: Mapping[str, Any] = field(default_factory=dict)
    augment: str = "auto"
    augment_options: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    pretrain_fields: Mapping[str, Any] = field(default_factory=dict)
    budget: Budget | None = None
    validation: float = 0.1
