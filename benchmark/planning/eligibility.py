"""The strategies that a benchmark can compare: those that this pool and this one encoder allow."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from benchmark.config import BenchmarkConfig
from headstart.errors import InputError, arg, suggest
from pretrain.commands.list import shown, with_options
from pretrain.plan import check_needs, choose_encoder
from pretrain.strategies import strategies
from pretrain.strategies.base import Strategy
from tasks.dataset import Dataset


def choose(
    pool: Dataset, names: Sequence[str], encoder: Mapping[str, Any], choice: BenchmarkConfig
) -> tuple[list[str], list[str]]:
    """Resolve the names; with ("all",) leave out what cannot run here, and say why.

    encoder: the configuration that every row is to have, that from scratch too.
    Returns the names of the strategies to run, and a note on each that was left out.
    Raises InputError for a named strategy that cannot run, and for random views that none uses.
    """
    table = strategies()
    names, notes = list(dict.fromkeys(names)), []
    if names == ["all"]:
        reasons = {name: unfit(row, pool, encoder, choice) for name, row in table.items()}
        names = [name for name, reason in reasons.items() if reason is None]
        notes = [f"{n} was left out: {reason}" for n, reason in reasons.items() if reason]
    for name in names:
        if name not in table:
            raise InputError(
                f"There is no strategy {name!r}.{suggest(name, table)}",
                hint=f"There are: {', '.join(table)}, or all.",
            )
        try:
            check_needs(table[name], pool)
        except InputError as error:
            raise InputError(
                f"names {name!r}, which {error.marked_rule}",
                argument="strategies",
                hint=error.marked_hint,
            ) from None
        reason = unfit(table[name], pool, encoder, choice)
        if reason is not None:
            raise InputError(f"The strategy {name!r} cannot be compared with these rows: {reason}")
    given = choice.augment != "auto" or choice.augment_options
    if given and not any(table[name].augments for name in names):
        raise InputError(
            f"changes nothing: none of the strategies ({', '.join(names)}) makes random views",
            argument="augment",
            hint="Leave it out.",
        )
    return names, notes


def unfit(
    row: Strategy, pool: Dataset, encoder: Mapping[str, Any], choice: BenchmarkConfig
) -> str | None:
    """Return why the strategy cannot take part, or None.

    All rows must have one encoder: a strategy that would train another than scratch has, because it
    cannot train that one or because it brings options of its own, would be compared in two things at
    once.
    """
    if row.needs_labels and pool.n_classes < 2:
        return f"it needs a labelled pool ({arg.pretrain_data})."
    try:
        check_needs(row, pool)
    except InputError:
        return "it needs images as high as wide."
    with contextlib.suppress(InputError):
        if choose_encoder(pool, choice.encoder or "auto", choice.encoder_options, row) == encoder:
            return None
    own = dict(row.encoders or {})
    if not own:
        return f"it learns by gradients, and the encoder {encoder['architecture']} is computed."
    name = encoder["architecture"] if encoder["architecture"] in own else next(iter(own))
    flags = [f"{arg.encoder:{name}}"]
    flags += [f"{arg.encoder_options:{key}={shown(value)}}" for key, value in own[name].items()]
    return (
        f"it trains the encoder {with_options(name, own[name])}, which is not what the other rows have. "
        f"To compare it, give all rows its encoder: {' '.join(flags)}."
    )
