"""The ways of a transfer that a grid can have side by side: a table of names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from headstart.errors import InputError, suggest
from transfer.recipes import TransferRecipe
from transfer.recipes import recipe as transfer_recipe
from transfer.selection.search import SECONDS

FINE_TUNE, LINEAR_PROBE, AUTO = "fine-tune", "linear-probe", "auto"


@dataclass(frozen=True, kw_only=True)
class Mode:
    """One way of the transfer.

    search: every row chooses by transfer.selection.search, for at most so many seconds a cell, and ``recipe`` is the
        plain candidate; None takes the recipe as it is. Strategies choose how to reuse their encoder,
        scratch its rate and length, the frozen random encoder its depth and head.
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
