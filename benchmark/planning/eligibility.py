"""Which strategies a benchmark can compare: those that this pool and this one encoder allow."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from headstart.errors import InputError, suggest
from pretrain.commands.list import shown, with_options
from pretrain.plan import check_needs, choose_encoder
from pretrain.strategies import strategies
from pretrain.strategies.base import Strategy
from tasks.dataset import Dataset


class Choice(Protocol):
    """The part of a benchmark's configuration that is looked at here."""

    @property
    def encoder(self) -> str:
        """Its name, or "auto"."""

    @property
    def encoder_options(self) -> Mapping[str, Any]:
        """As the user gave them."""

    @property
    def augment(self) -> str:
        """The random views' recipe, or "auto"."""

    @property
    def augment_options(self) -> Mapping[str, Any]:
        """As the user gave them."""


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The strategies to run, and what is to be said of those left out."""

    names: list[str]
    notes: list[str]


def choose(
    pool: Dataset, names: Sequence[str], encoder: Mapping[str, Any], choice: Choice
) -> Chosen:
    """Resolve the names; with ("all",) leave out what cannot run here, and say why.

    encoder: the configuration that every row is to have, that from scratch too.
    Raises InputError for a named strategy that cannot run, and for random views that none uses.
    """
    table = strategies()
    names = list(dict.fromkeys(names))
    notes: list[str] = []
    if names == ["all"]:
        reasons = {name: unfit(row, pool, encoder, choice) for name, row in table.items()}
        names = [name for name, reason in reasons.items() if reason is None]
        notes = [f"{n} was left out: {reason}" for n, reason in reasons.items() if reason]
    for name in names:
        if name not in table:
            raise InputError(
                f"There is no strategy {name!r}.{suggest(name, table)} "
                f"There are: {', '.join(table)}, or all."
            )
        check_needs(table[name], pool)
        reason = unfit(table[name], pool, encoder, choice)
        if reason is not None:
            raise InputError(f"The strategy {name!r} cannot be compared with these rows: {reason}")
    given = choice.augment != "auto" or choice.augment_options
    if given and not any(table[name].augments for name in names):
        raise InputError(
            f"None of the strategies ({', '.join(names)}) makes random views, so --augment changes "
            f"nothing: leave it out."
        )
    return Chosen(names=names, notes=notes)


def unfit(row: Strategy, pool: Dataset, encoder: Mapping[str, Any], choice: Choice) -> str | None:
    """Return why the strategy cannot take part, or None.

    All rows must have one encoder: a strategy that would train another than scratch has, because it
    cannot train that one or because it brings options of its own, would be compared in two things at
    once.
    """
    if row.needs_labels and pool.n_classes < 2:
        return "it needs a labelled pool (--pretrain-data)."
    try:
        check_needs(row, pool)
    except InputError:
        return "it needs images as high as wide."
    with contextlib.suppress(InputError):
        if choose_encoder(pool, choice.encoder, choice.encoder_options, row) == encoder:
            return None
    own = dict(row.encoders or {})
    name = encoder["architecture"] if encoder["architecture"] in own else next(iter(own))
    return (
        f"it trains the encoder {with_options(name, own[name])}, which is not what the other rows have. "
        f"To compare it, give all rows its encoder: {flags(name, own[name])}."
    )


def flags(name: str, options: Mapping[str, Any]) -> str:
    """Return the options of the command that choose this encoder."""
    given = [f"--encoder-opt {key}={shown(value)}" for key, value in options.items()]
    return " ".join([f"--encoder {name}", *given])
