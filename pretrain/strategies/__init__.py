"""The table of strategies: those of this package, and those that other packages bring.

Another package adds one by an entry point in the group ``headstart.strategies`` that names a
``Strategy`` row; nothing here or in the engine changes.
"""

from __future__ import annotations

from importlib.metadata import entry_points

from headstart.errors import InputError, check_known, require
from pretrain.strategies import (
    autoencoder,
    barlow,
    denoising,
    gan,
    greedy,
    masked,
    patch_dictionary,
    rbm,
    rotation,
    siamese,
    simclr,
    supervised,
    vicreg,
    visreg,
)
from pretrain.strategies.base import Strategy

STRATEGIES: dict[str, Strategy] = {
    row.name: row
    for row in (
        supervised.ROW,
        autoencoder.ROW,
        denoising.ROW,
        masked.ROW,
        greedy.ROW,
        rotation.ROW,
        simclr.ROW,
        barlow.ROW,
        vicreg.ROW,
        visreg.ROW,
        siamese.ROW,
        gan.ROW,
        rbm.ROW,
        patch_dictionary.ROW,
    )
}
GROUP = "headstart.strategies"
AUTO = "auto"
"""A race between strategies (``pretrain.race``): a name that no strategy can have."""


def strategies() -> dict[str, Strategy]:
    """Return every strategy by name. Raises InputError when another package's cannot be loaded."""
    found = dict(STRATEGIES)
    for point in entry_points(group=GROUP):
        owner = point.dist.name if point.dist else "another package"
        try:
            row = point.load()
        except Exception as error:
            raise InputError(
                f"The strategy {point.name!r} of {owner} cannot be loaded: {error}.",
                hint=f"Mend or uninstall {owner}.",
            ) from error
        if not isinstance(row, Strategy):
            raise InputError(
                f"The entry point {point.name!r} of {owner} must be a Strategy row. Got {type(row)}."
            )
        if row.name in (*found, AUTO):
            raise InputError(f"{owner} brings a strategy {row.name!r}, a name that is taken.")
        found[row.name] = row
    return found


def strategy(name: str) -> Strategy:
    """Return the row called ``name``. Raises InputError with near names."""
    table = strategies()
    check_known(name, [*table, AUTO], "strategy")
    rule = "is a race between strategies, and cannot be used where one is needed"
    require(name != AUTO, "strategy", rule, value=name)
    return table[name]
