"""One benchmark of one data set: every cell of its grid on equal terms, checked before anything runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.baselines import BASELINES
from benchmark.budget import Budget, Budgets, MeasureUnit, budget_key
from benchmark.cell import CellUnit, PretrainUnit
from benchmark.choose import choose
from benchmark.data import DataConfig, Loaded, fixed
from benchmark.grid import RANDOM, SCRATCH, Arm, Cell, cells
from benchmark.modes import FINE_TUNE
from benchmark.surroundings import surroundings, threads_here
from benchmark.units import Unit
from pretrain.plan import Plan as PretrainPlan
from pretrain.plan import PretrainConfig, choose_encoder
from pretrain.preprocessing import Preprocessing
from pretrain.strategies import strategies as all_strategies
from tasks.dataset import Dataset
from tasks.errors import InputError
from tasks.outputs import check_output
from tasks.target import TargetTask
from transfer.recipes import TransferRecipe
from transfer.run import Plan as TransferPlan
from transfer.run import Source, TransferConfig

if TYPE_CHECKING:
    from benchmark.drive import Outcome
    from pretrain.engine.progress import Reporter

RESULTS = "results.jsonl"


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
    modes: several recipes in its place, by the names that the rows bear.
    budget: what each pretraining may cost; None leaves every strategy its own epochs.
    """

    strategies: Sequence[str]
    labels: Sequence[int]
    seeds: Sequence[int]
    recipe: TransferRecipe
    modes: Mapping[str, TransferRecipe] = field(default_factory=dict)
    encoder: str = "auto"
    encoder_options: Mapping[str, Any] = field(default_factory=dict)
    augment: str = "auto"
    augment_options: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    pretrain_fields: Mapping[str, Any] = field(default_factory=dict)
    budget: Budget | None = None
    validation: float = 0.1


class Benchmark:
    """A benchmark made ready: whatever could be refused has been, nothing has been trained."""

    def __init__(
        self,
        task: TargetTask,
        pool: Dataset | None,
        config: BenchmarkConfig,
        folder: Path,
        *,
        source: DataConfig | None = None,
        threads: int | None = None,
        lenient: bool = False,
    ) -> None:
        """Check everything. Raises InputError.

        pool: None takes the task's own training part without its labels.
        source: where task and pool came from, so that other processes can load them too.
        threads: of one operation; None is one, or what a TensorFlow that runs here already has.
        lenient: skip budgets that the task has not labels enough for, instead of refusing them.
        """
        self.task, self.config, self.folder = task, config, folder
        self.loaded = Loaded.of(task, pool)
        self.pool, self.notes = self.loaded.pool, list(self.loaded.notes)
        self.source = fixed(source or DataConfig(data=None), self.loaded)
        self.settings = surroundings(threads_here(threads))
        self.budgets = Budgets(folder)
        modes = dict(config.modes) or {FINE_TUNE: config.recipe}
        self.recipes = modes
        names = [name.strip() for name in config.encoder.split(",")]
        self._options = {name: self._encoder_options(name, names) for name in dict.fromkeys(names)}
        self._fresh = {
            name: Source(
                encoder=choose_encoder(self.pool, name, options),
                preprocessing=Preprocessing.fit(self.pool).to_json(),
            )
            for name, options in self._options.items()
        }
        self.fresh = next(iter(self._fresh.values()))
        self.arms = [
            Arm(
                encoder=name,
                mode=mode,
                strategies=self._strategies(name),
                suffix=_suffix(self._architecture(name), mode, len(self._fresh), len(modes)),
            )
            for name in self._fresh
            for mode in modes
        ]
        self.strategies = list(dict.fromkeys(n for arm in self.arms for n in arm.strategies))
        self.notes = list(dict.fromkeys(self.notes))
        for name in config.options:
            if name not in self.strategies:
                raise InputError(
                    f"--opt {name}.{next(iter(config.options[name]))} changes nothing: the strategy "
                    f"{name!r} is not in this benchmark ({', '.join(self.strategies)})."
                )
        self.skipped = self._check_budgets(lenient)
        self.cells = cells(self.arms, list(BASELINES), config.labels, config.seeds, task.name)
        self._plans: dict[tuple[str, str, int], PretrainPlan] = {}
        for arm in self.arms:
            for name in arm.strategies:
                for seed in config.seeds:
                    self._plan(arm.encoder, name, seed)
        check_output(folder / RESULTS, force=True)

    @property
    def plans(self) -> dict[tuple[str, int], PretrainPlan]:
        """The pretrainings on the first encoder, by strategy and seed."""
        first = self.arms[0]
        return {
            (name, seed): self._plan(first.encoder, name, seed)
            for name in first.strategies
            for seed in self.config.seeds
        }

    @property
    def encoders(self) -> str:
        """The architectures' names, in words."""
        return ", ".join(dict.fromkeys(self._architecture(name) for name in self._fresh))

    def run(self, reporter: Reporter, *, force: bool = False) -> Outcome:
        """Run what is not done yet, in this process; see ``benchmark.drive.drive``."""
        from benchmark.drive import drive
        from benchmark.live import Lines
        from benchmark.serial import Serial

        return drive([self], Serial(), Lines(reporter), force=force)

    def record_fields(self, cell: Cell) -> dict[str, Any]:
        """Return what a record says of its cell."""
        fields = asdict(cell) | {"encoder": cell.encoder and self._architecture(cell.encoder)}
        planned = self.planned(cell)
        if planned is not None:
            fields |= {f"pretrain_planned_{n}": planned[n] for n in ("epochs", "seconds")}
        return fields

    def budget_notes(self) -> list[str]:
        """Return what the budget came to, a line each encoder."""
        if self.config.budget is None:
            return []
        said = []
        for name in self._fresh:
            parts = []
            for strategy in self._strategies_of(name):
                found = self._decided(self._plan(name, strategy, self.config.seeds[0]))
                if found is not None:
                    seconds = (
                        "" if found["seconds"] is None else f", {found['seconds']:.0f} s planned"
                    )
                    parts.append(f"{strategy} {found['epochs']} epochs{seconds}")
            if parts:
                said.append(
                    f"Of {self.config.budget} of pretraining each, on {self._architecture(name)}, "
                    f"became: {'; '.join(parts)}. Compiling is not counted."
                )
        return said

    def _strategies_of(self, encoder: str) -> Sequence[str]:
        return next(arm.strategies for arm in self.arms if arm.encoder == encoder)

    def identity(self, cell: Cell) -> str:
        """Return the cell's id."""
        return cell.identity(self._surroundings(cell))

    def units(self, wanted: Sequence[Cell]) -> list[Unit]:
        """Return the units of these cells, each pretraining just before the first cell that needs it."""
        found: dict[str, Unit] = {}
        for cell in wanted:
            unit = self._cell_unit(cell)
            after = None
            if unit.pretraining is not None:
                after = f"pretrain {unit.pretraining.file}"
                found.setdefault(
                    after,
                    Unit(
                        key=after,
                        config=unit.pretraining,
                        shape=f"pretrain {self.task.name} {cell.encoder} {cell.base}",
                    ),
                )
            key = f"cell {unit.id}"
            found[key] = Unit(key=key, config=unit, after=after, shape=self._shape(cell))
        return list(found.values())

    def preparations(self, wanted: Sequence[Cell]) -> list[Unit]:
        """Return what must be found out before these cells can be run: views that differ, and budgets."""
        found: dict[str, Unit] = {}
        for cell in wanted:
            if cell.kind != "strategy":
                continue
            plan = self._plan(cell.encoder, cell.base, self.config.seeds[0])
            undecided = self.config.budget is not None and self._decided(plan) is None
            if not undecided and plan.augmentation is None:
                continue
            key = f"prepare {self._budget_key(plan)}"
            found[key] = Unit(
                key=key,
                config=MeasureUnit(
                    data=self.source,
                    pretrain=self._pretrain_config(cell.encoder, cell.base, plan.seed),
                    budget=self.config.budget if undecided else None,
                    settings=self.settings,
                ),
                shape=f"pretrain {self.task.name} {cell.encoder} {cell.base}",
            )
        return list(found.values())

    def undecided(self) -> bool:
        """Whether there are strategies whose epochs the budget has not decided yet."""
        return self.config.budget is not None and any(
            self._decided(plan) is None for plan in self._plans.values()
        )

    def decide(self, unit: Unit, plan: Mapping[str, Any] | None) -> None:
        """Keep what a preparation found out."""
        if plan is None:
            return
        assert isinstance(unit.config, MeasureUnit)
        assert unit.config.budget is not None
        about = {
            "strategy": unit.config.pretrain.strategy,
            "encoder": unit.config.pretrain.encoder,
            "pool": self.pool.name,
            "budget": asdict(unit.config.budget),
        }
        self.budgets.add(unit.key.split()[1], {**about, **plan})
        self._plans.clear()

    def plans_of(self, unit: PretrainUnit) -> PretrainPlan:
        """Return the plan of one of this benchmark's pretrainings."""
        return PretrainPlan.make(self.pool, unit.pretrain)

    def reread_budgets(self) -> None:
        """Take what was decided for benchmarks of the same folder too."""
        self.budgets = Budgets(self.folder)
        self._plans.clear()

    def planned(self, cell: Cell) -> dict[str, Any] | None:
        """Return what the budget came to for the cell's pretraining, or None."""
        if self.config.budget is None or cell.kind != "strategy":
            return None
        return self._decided(self._plan(cell.encoder, cell.base, cell.seed))

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

    def _architecture(self, name: str) -> str:
        return str(self._fresh[name].encoder["architecture"])

    def _strategies(self, name: str) -> list[str]:
        encoder = self._fresh[name].encoder
        asked = replace(self.config, encoder=name, encoder_options=self._options[name])
        chosen = choose(self.pool, self.config.strategies, encoder, asked)
        several = f" ({self._architecture(name)})" if len(self._fresh) > 1 else ""
        self.notes += [note + several for note in chosen.notes]
        return chosen.names

    def _check_budgets(self, lenient: bool) -> dict[int, str]:
        """Return why label budgets are skipped. Raises InputError for those that cannot be."""
        skipped = {}
        for budget in self.config.labels:
            for recipe in self.recipes.values():
                try:
                    config = TransferConfig(recipe=recipe, labels=budget)
                    TransferPlan.make(self.task, self.fresh, config)
                except InputError as error:
                    if not lenient:
                        raise
                    skipped[budget] = str(error)
        return skipped

    def _plan(self, encoder: str | None, strategy: str, seed: int) -> PretrainPlan:
        key = (str(encoder), strategy, seed)
        if key not in self._plans:
            config = self._pretrain_config(encoder, strategy, seed)
            plan = PretrainPlan.make(self.pool, config)
            decided = self._decided(plan)
            if decided is not None:
                plan = replace(plan, recipe=replace(plan.recipe, epochs=decided["epochs"]))
            self._plans[key] = plan
        return self._plans[key]

    def _budget_key(self, plan: PretrainPlan) -> str:
        return budget_key(plan, self.source.pool_print, self.config.budget or Budget())

    def _decided(self, plan: PretrainPlan) -> dict[str, Any] | None:
        if self.config.budget is None:
            return None
        return self.budgets.known.get(self._budget_key(plan))

    def _pretrain_config(self, encoder: str | None, strategy: str, seed: int) -> PretrainConfig:
        augments = all_strategies()[strategy].augments
        fresh = self._fresh[str(encoder)]
        return PretrainConfig(
            strategy=strategy,
            options=self.config.options.get(strategy, {}),
            # What scratch has, to the last option, rather than what suits the strategy best.
            encoder=fresh.encoder["architecture"],
            encoder_options=fresh.encoder["options"],
            augment=self.config.augment if augments else "auto",
            augment_options=self.config.augment_options if augments else {},
            recipe=self.config.pretrain_fields,
            validation=self.config.validation,
            seed=seed,
        )

    def _cell_unit(self, cell: Cell) -> CellUnit:
        common: dict[str, Any] = {
            "id": self.identity(cell),
            "cell": replace(cell, encoder=cell.encoder and self._architecture(cell.encoder)),
            "data": self.source,
            "folder": str(self.folder),
            "settings": self.settings,
        }
        if cell.kind == "raw":
            return CellUnit(**common)
        pretraining = None
        if cell.kind == "strategy":
            pretraining = self._pretrain_unit(cell)
        return CellUnit(
            **common,
            fresh=self._fresh[str(cell.encoder)],
            recipe=self.recipes[str(cell.mode)],
            pretraining=pretraining,
        )

    def _pretrain_unit(self, cell: Cell) -> PretrainUnit:
        plan = self._plan(cell.encoder, cell.base, cell.seed)
        parts = [plan.to_json(), self.source.pool_print, self.settings]
        short = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:8]
        config = self._pretrain_config(cell.encoder, cell.base, cell.seed)
        decided = self._decided(plan)
        if decided is not None:
            config = replace(config, recipe={**config.recipe, "epochs": decided["epochs"]})
        return PretrainUnit(
            data=self.source,
            pretrain=config,
            folder=str(self.folder),
            file=f"{cell.base}-{plan.encoder['architecture']}-seed{cell.seed}-{short}.h5",
            settings=self.settings,
        )

    def _shape(self, cell: Cell) -> str:
        """Return what the cell's compiled steps depend on: every strategy's transfer is the same."""
        if cell.kind == "raw":
            return "raw"
        fresh = "scratch" if cell.base == SCRATCH else "transfer"
        return f"{fresh} {json.dumps(self._fresh[str(cell.encoder)].encoder)} {self.task.n_classes}"

    def _surroundings(self, cell: Cell) -> dict[str, Any]:
        """Return what decides the cell's result beside itself, and nothing else: grids can grow."""
        common = {
            "task": [self.task.name, self.task.test_origin],
            "data": self.source.task_print,
            "settings": self.settings,
        }
        if cell.kind == "raw":
            return common
        fresh = self._fresh[str(cell.encoder)]
        recipe = asdict(self.recipes[str(cell.mode)])
        common |= {"recipe": recipe, "fresh": fresh.identity()}
        if cell.kind == "fresh":
            return common
        plan = self._plan(cell.encoder, cell.base, cell.seed).to_json()
        return {**common, "plan": plan, "pool": self.source.pool_print}


def _suffix(encoder: str, mode: str, encoders: int, modes: int) -> str:
    """Return what tells this arm's rows from others': nothing when there is one arm."""
    parts = [encoder] * (encoders > 1) + [mode] * (modes > 1)
    return f" ({', '.join(parts)})" if parts else ""


__all__ = ["RANDOM", "SCRATCH", "Benchmark", "BenchmarkConfig"]
