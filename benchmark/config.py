"""All that decides a benchmark, but for the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmark.budget import Budget
from benchmark.modes import Mode
from transfer.recipes import TransferRecipe


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
