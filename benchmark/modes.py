"""The ways of a transfer that a grid can have side by side: a table of names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tasks.errors import InputError, suggest
from transfer.recipes import TransferRecipe
from transfer.recipes import recipe as transfer_recipe

FINE_TUNE, LINEAR_PROBE = "fine-tune", "linear-probe"

MODES: Mapping[str, Callable[[str], TransferRecipe]] = {
    FINE_TUNE: lambda recipe: transfer_recipe(recipe),
    LINEAR_PROBE: lambda recipe: transfer_recipe("linear-probe"),
}
"""Name -> from the name of the benchmark's recipe to the recipe of the mode."""


def chosen_modes(names: Sequence[str], recipe: str) -> dict[str, TransferRecipe]:
    """Return the modes' recipes by name; without names, the one that the recipe is. Raises InputError."""
    if not names:
        return {LINEAR_PROBE if recipe == "linear-probe" else FINE_TUNE: transfer_recipe(recipe)}
    for name in names:
        if name not in MODES:
            raise InputError(
                f"--modes must name ways of a transfer: there is no {name!r}.{suggest(name, MODES)} "
                f"There are: {', '.join(MODES)}."
            )
    return {name: MODES[name](recipe) for name in dict.fromkeys(names)}
