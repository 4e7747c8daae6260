"""The pretrainings of a benchmark: which encoder each trains, and for how many epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from benchmark.config import BenchmarkConfig, Budget
from benchmark.grid import short_hash
from benchmark.store import BenchmarkFolder
from benchmark.work.measure import MeasureItem
from headstart.errors import InputError
from pretrain.config import PretrainConfig
from pretrain.encoders.encoder import Preprocessing
from pretrain.plan import PretrainPlan, choose_encoder
from pretrain.strategies import strategies as all_strategies
from pretrain.strategies import strategy as strategy_row
from tasks.dataset import Dataset
from transfer.encoder_source import EncoderSource

# A pretraining that takes this many times its budget is reported.
BUDGET_TOLERANCE = 1.25


class Pretrainings:
    """The plans of one pool, by the encoder's name as it was asked for, the strategy and the seed."""

    def __init__(
        self, pool: Dataset, pool_print: str, config: BenchmarkConfig, folder: BenchmarkFolder
    ) -> None:
        """Choose the encoders. Raises InputError."""
        self.pool, self.config, self.folder = pool, config, folder
        self._print = pool_print
        self._decided = folder.budgets()
        self._strategy_options = {
            strategy_row(name).name: given for name, given in config.strategy_options.items()
        }
        names = [name.strip() for name in str(config.encoder).split(",")]
        self.options = {name: self._encoder_options(name, names) for name in dict.fromkeys(names)}
        self.fresh = {
            name: EncoderSource(
                encoder=choose_encoder(pool, name, options),
                preprocessing=Preprocessing.fit(pool).to_json(),
            )
            for name, options in self.options.items()
        }
        self._plans: dict[tuple[str, str, int], PretrainPlan] = {}

    def architecture(self, name: str | None) -> str | None:
        """Return the encoder's architecture, also when "auto" was asked for; None of None."""
        return None if name is None else str(self.fresh[name].encoder["architecture"])

    def get(self, encoder: str | None, strategy: str, seed: int) -> PretrainPlan:
        """Return the plan, with the epochs that the budget became, if it is decided."""
        key = (str(encoder), strategy, seed)
        if key not in self._plans:
            plan = PretrainPlan.resolve(self.pool, self.undecided_config(encoder, strategy, seed))
            decided = self.decided(plan)
            if decided is not None:
                plan = replace(plan, recipe=replace(plan.recipe, epochs=decided["epochs"]))
            self._plans[key] = plan
        return self._plans[key]

    def pretrain_config(self, encoder: str | None, strategy: str, seed: int) -> PretrainConfig:
        """Return the configuration that makes this plan."""
        config = self.undecided_config(encoder, strategy, seed)
        decided = self.decided(self.get(encoder, strategy, seed))
        return config if decided is None else replace(config, epochs=decided["epochs"])

    def undecided_config(self, encoder: str | None, strategy: str, seed: int) -> PretrainConfig:
        """Return the configuration without the epochs that a budget decides."""
        augments = all_strategies()[strategy].augments
        fresh = self.fresh[str(encoder)]
        return PretrainConfig(
            strategy=strategy,
            options=self._strategy_options.get(strategy, {}),
            # Exactly the encoder from scratch, rather than the one that suits the strategy best.
            encoder=fresh.encoder["architecture"],
            encoder_options=fresh.encoder["options"],
            augment=self.config.augment if augments else "auto",
            augment_options=self.config.augment_options if augments else {},
            validation=self.config.validation,
            seed=seed,
            **self.config.pretrain_fields,
        )

    def key(self, plan: PretrainPlan) -> str:
        """Return the key under which the plan's epochs are decided, as 16 hex digits.

        It is over all that decides them: not seed, epochs, machine or versions.
        """
        about = plan.to_json()
        recipe = {k: v for k, v in about["recipe"].items() if k not in ("epochs", "least_updates")}
        about = {k: v for k, v in about.items() if k != "seed"} | {"recipe": recipe}
        return short_hash([about, self._print, asdict(self.config.budget or Budget())])

    def decided(self, plan: PretrainPlan) -> dict[str, Any] | None:
        """Return the plan's epochs, updates and seconds; None without a budget, and before it is decided."""
        return None if self.config.budget is None else self._decided.get(self.key(plan))

    def undecided(self) -> bool:
        """Whether there are plans whose epochs the budget has not decided yet."""
        return self.config.budget is not None and any(
            self.decided(plan) is None for plan in self._plans.values()
        )

    def decide(self, item: MeasureItem, measured: Mapping[str, Any]) -> None:
        """Write to the folder what was measured."""
        assert item.budget is not None
        about = {
            "strategy": item.pretrain.strategy,
            "encoder": item.pretrain.encoder,
            "pool": self.pool.name,
            "budget": asdict(item.budget),
        }
        self.folder.add_budget(item.decides, {**about, **measured})

    def reread(self) -> None:
        """Take the folder's decisions, also those for other data sets."""
        self._decided = self.folder.budgets()
        self._plans.clear()

    def note(self, encoder: str, strategies: Sequence[str]) -> str:
        """Return a sentence on what the budget came to on this encoder, or ""."""
        parts = []
        for strategy in strategies:
            found = self.decided(self.get(encoder, strategy, self.config.seed))
            if found is not None:
                seconds = "" if found["seconds"] is None else f", {found['seconds']:.0f} s planned"
                ones = "epoch" if found["epochs"] == 1 else "epochs"
                parts.append(
                    f"{strategy} {found['epochs']:g} {ones}{seconds}{self._exceeded(found)}"
                )
        about = (
            f"Of {self.config.budget} of pretraining each, on {self.architecture(encoder)}, became"
        )
        return f"{about}: {'; '.join(parts)}." if parts else ""

    def _exceeded(self, found: Mapping[str, Any]) -> str:
        """Return by how much a budget is exceeded, where it is by much: some stages have their own length."""
        for unit, given in asdict(self.config.budget or Budget()).items():
            over = 0.0 if None in (given, found[unit]) else found[unit] / given
            if over > BUDGET_TOLERANCE:
                return f" (the least that it can do takes {over:.1f} times the budget)"
        return ""

    def _encoder_options(self, name: str, names: Sequence[str]) -> dict[str, Any]:
        """Return the options that are for this encoder. Raises InputError for one that is for none."""
        options = {}
        for key, value in self.config.encoder_options.items():
            owner, dot, option = key.partition(".")
            if not dot:
                options[key] = value
            elif owner == name:
                options[option] = value
            elif owner not in names:
                raise InputError(
                    f"{key} changes nothing: the encoder {owner!r} is not in this benchmark "
                    f"({', '.join(names)})",
                    argument="encoder_options",
                )
        return options
