"""The pretrainings of a benchmark: which encoder each trains, and for how many epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmark.config import BenchmarkConfig
from benchmark.planning.budget import Budget, Budgets, MeasureUnit, budget_key
from headstart.errors import InputError
from pretrain.config import PretrainConfig
from pretrain.encoders.encoder import Preprocessing
from pretrain.plan import PretrainPlan, choose_encoder
from pretrain.strategies import strategies as all_strategies
from tasks.dataset import Dataset
from transfer.plan import Source

# A pretraining that takes this many times its budget is told of.
MUCH = 1.25


class Plans:
    """The plans of one pool, by the encoder's name as it was asked for, the strategy and the seed."""

    def __init__(
        self, pool: Dataset, pool_print: str, config: BenchmarkConfig, folder: Path
    ) -> None:
        """Choose the encoders. Raises InputError."""
        self.pool, self.config = pool, config
        self._print, self._folder = pool_print, folder
        self._budgets = Budgets(folder)
        names = [name.strip() for name in config.encoder.split(",")]
        self.options = {name: self._encoder_options(name, names) for name in dict.fromkeys(names)}
        self.fresh = {
            name: Source(
                encoder=choose_encoder(pool, name, options),
                preprocessing=Preprocessing.fit(pool).to_json(),
            )
            for name, options in self.options.items()
        }
        self._plans: dict[tuple[str, str, int], PretrainPlan] = {}

    def architecture(self, name: str) -> str:
        """Return what the encoder is, when "auto" was asked for too."""
        return str(self.fresh[name].encoder["architecture"])

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
        if decided is None:
            return config
        return replace(config, epochs=decided["epochs"])

    def undecided_config(self, encoder: str | None, strategy: str, seed: int) -> PretrainConfig:
        """Return the configuration without what a budget decides."""
        augments = all_strategies()[strategy].augments
        fresh = self.fresh[str(encoder)]
        return PretrainConfig(
            strategy=strategy,
            options=self.config.options.get(strategy, {}),
            # What scratch has, to the last option, rather than what suits the strategy best.
            encoder=fresh.encoder["architecture"],
            encoder_options=fresh.encoder["options"],
            augment=self.config.augment if augments else "auto",
            augment_options=self.config.augment_options if augments else {},
            validation=self.config.validation,
            seed=seed,
            **self.config.pretrain_fields,
        )

    def key(self, plan: PretrainPlan) -> str:
        """Return the name under which the plan's epochs are decided."""
        return budget_key(plan, self._print, self.config.budget or Budget())

    def decided(self, plan: PretrainPlan) -> dict[str, Any] | None:
        """Return what the budget became for the plan; None without a budget, and before it is decided."""
        if self.config.budget is None:
            return None
        return self._budgets.known.get(self.key(plan))

    def undecided(self) -> bool:
        """Whether there are plans whose epochs the budget has not decided yet."""
        return self.config.budget is not None and any(
            self.decided(plan) is None for plan in self._plans.values()
        )

    def decide(self, key: str, unit: MeasureUnit, plan: Mapping[str, Any]) -> None:
        """Keep what was measured."""
        assert unit.budget is not None
        about = {
            "strategy": unit.pretrain.strategy,
            "encoder": unit.pretrain.encoder,
            "pool": self.pool.name,
            "budget": asdict(unit.budget),
        }
        self._budgets.add(key, {**about, **plan})
        self._plans.clear()

    def reread(self) -> None:
        """Take what was decided for other benchmarks of the same folder too."""
        self._budgets = Budgets(self._folder)
        self._plans.clear()

    def note(self, encoder: str, strategies: Sequence[str], seed: int) -> str | None:
        """Return in words what the budget came to on this encoder."""
        parts = []
        for strategy in strategies:
            found = self.decided(self.get(encoder, strategy, seed))
            if found is not None:
                seconds = "" if found["seconds"] is None else f", {found['seconds']:.0f} s planned"
                more = self._beyond(found)
                ones = "epoch" if found["epochs"] == 1 else "epochs"
                parts.append(f"{strategy} {found['epochs']} {ones}{seconds}{more}")
        if not parts:
            return None
        return (
            f"Of {self.config.budget} of pretraining each, on {self.architecture(encoder)}, became: "
            f"{'; '.join(parts)}. Compiling is not counted."
        )

    def _beyond(self, found: Mapping[str, Any]) -> str:
        """Say that a budget is exceeded, where it is by much: there is no half epoch."""
        budget = self.config.budget
        if budget is None or found["epochs"] > 1:
            return ""
        for asked, planned in (
            (budget.seconds, found["seconds"]),
            (budget.updates, found["updates"]),
        ):
            if asked is not None and planned is not None and planned > MUCH * asked:
                return (
                    f" (one epoch is the least, and takes {planned / asked:.1f} times the budget)"
                )
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
                    f"--encoder-opt {key} changes nothing: the encoder {owner!r} is not in this "
                    f"benchmark ({', '.join(names)})."
                )
        return options
