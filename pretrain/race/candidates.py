"""The strategies that can race on a pool, in the order in which a short list takes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from headstart.errors import InputError, require
from pretrain.augment.recipes import Augmentation
from pretrain.config import PretrainConfig, pretrain_recipe
from pretrain.cost import SENTINEL_EPOCHS
from pretrain.encoders import ARCHITECTURES
from pretrain.plan import PretrainPlan, choose_encoder
from pretrain.strategies import AUTO, strategies
from pretrain.strategies.base import Strategy
from tasks.dataset import Dataset

IMAGES = (
    "patch-dictionary",
    "simclr",
    "siamese",
    "barlow-twins",
    "vicreg",
    "visreg",
    "supervised",
    "autoencoder",
    "gan",
    "denoising-autoencoder",
    "masked-autoencoder",
    "rotation",
    "greedy-autoencoder",
)
TABLES = (
    "denoising-autoencoder",
    "simclr",
    "autoencoder",
    "vicreg",
    "supervised",
    "barlow-twins",
    "visreg",
    "siamese",
    "rbm",
    "masked-autoencoder",
    "greedy-autoencoder",
    "gan",
)
"""For images and for tables, the best first, by docs/results.md and scripts/race-measures."""
LABELLED = (
    "it learns from the pool's labels, and only labelled examples outside the pool could judge it."
)


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """The strategies that can race.

    Attributes:
        plans: by name, the likely winners first; their epochs are ``SENTINEL_EPOCHS``.
        left_out: by name, why the others cannot, in Python's wording.
    """

    plans: Mapping[str, PretrainPlan]
    left_out: Mapping[str, str]

    @classmethod
    def of(cls, dataset: Dataset, config: PretrainConfig, *, labels: bool) -> Candidates:
        """Return the candidates for a pool.

        Args:
            dataset: the pool.
            config: of the race.
            labels: strategies that learn from the pool's labels may take part.

        Raises:
            InputError: an option cannot be used here, or no strategy can.
        """
        name = config.encoder or pretrain_recipe(config.recipe).encoder
        base = choose_encoder(dataset, name, config.encoder_options)
        Augmentation.resolve(dataset, config.augment, config.augment_options)
        plans: dict[str, PretrainPlan] = {}
        reasons: dict[str, str] = {}
        refused: InputError | None = None
        for row in _ordered(dataset):
            if not _trains(row, base["architecture"], chosen=name != "auto"):
                reasons[row.name] = f"it cannot train the encoder {base['architecture']!r}."
                continue
            try:
                plan = PretrainPlan.resolve(dataset, entry(config, row, SENTINEL_EPOCHS))
            except InputError as error:
                reasons[row.name], refused = str(error), refused or error
                continue
            if plan.labelled and not labels:
                reasons[row.name] = LABELLED
            else:
                plans[row.name] = plan
        if not plans:
            why = " ".join(f"{row}: {reason}" for row, reason in reasons.items())
            rule = f"finds no strategy that can train here. {why}"
            raise refused or InputError(rule, argument="strategy", value=AUTO)
        views = any(plan.augmentation is not None for plan in plans.values())
        for argument, default in (("augment", "auto"), ("augment_options", {})):
            value = getattr(config, argument)
            rule = f"changes nothing: none of {', '.join(plans)} makes random views"
            require(views or value == default, argument, rule, value=value, hint="Leave it out.")
        return cls(plans=plans, left_out=reasons)


def entry(config: PretrainConfig, row: Strategy, epochs: float) -> PretrainConfig:
    """Return the configuration of one strategy's training in a race with ``config``."""
    entered = replace(config, strategy=row.name, minutes=None, epochs=epochs)
    return entered if row.augments else replace(entered, augment="auto", augment_options={})


def _ordered(dataset: Dataset) -> list[Strategy]:
    """Return all strategies; those that are not known here come between the better and the worse half."""
    table = strategies()
    known = IMAGES if len(dataset.input_shape) == 3 else TABLES
    places = {name: float(place) for place, name in enumerate(known)}
    return sorted(table.values(), key=lambda row: places.get(row.name, len(known) / 2 - 0.5))


def _trains(row: Strategy, architecture: str, *, chosen: bool) -> bool:
    """Say whether a strategy may race: with the encoder of the race, or with one that it alone computes.

    chosen: the user named the encoder, so that no other will do.
    """
    if row.trains(architecture):
        return True
    own = next(iter(row.encoders or ()), None)
    return not chosen and own is not None and ARCHITECTURES[own].computed
