"""One benchmark of one data set: every cell of its grid on equal terms, checked before anything runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.baselines import BASELINES
from benchmark.config import FINE_TUNE, BenchmarkConfig, Mode
from benchmark.data import DataConfig, Loaded, fixed
from benchmark.environment import surroundings, threads_here
from benchmark.grid import RANDOM, SCRATCH, Arm, Cell, cells
from benchmark.planning.budget import MeasureUnit
from benchmark.planning.eligibility import choose
from benchmark.planning.pretrainings import Plans
from benchmark.store import RESULTS
from benchmark.work.cell import CellUnit, PretrainUnit
from benchmark.work.queue import Unit
from headstart.errors import InputError
from headstart.files import check_output
from pretrain.plan import PretrainPlan
from tasks.dataset import Dataset
from tasks.task import TargetTask
from transfer.plan import Plan as TransferPlan
from transfer.plan import TransferConfig

if TYPE_CHECKING:
    from benchmark.runner.scheduler import Outcome
    from pretrain.engine.progress import Reporter


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
        self.modes = dict(config.modes) or {FINE_TUNE: Mode(recipe=config.recipe)}
        self.pretraining = Plans(self.pool, self.source.pool_print, config, folder)
        self._fresh = self.pretraining.fresh
        self.fresh = next(iter(self._fresh.values()))
        self.arms = [
            Arm(
                encoder=name,
                mode=mode,
                strategies=self._strategies(name),
                suffix=_suffix(
                    self.pretraining.architecture(name), mode, len(self._fresh), len(self.modes)
                ),
            )
            for name in self._fresh
            for mode in self.modes
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
        for arm in self.arms:
            for name in arm.strategies:
                for seed in config.seeds:
                    self.pretraining.get(arm.encoder, name, seed)
        check_output(folder / RESULTS, force=True)

    @property
    def plans(self) -> dict[tuple[str, int], PretrainPlan]:
        """The pretrainings on the first encoder, by strategy and seed."""
        first = self.arms[0]
        return {
            (name, seed): self.pretraining.get(first.encoder, name, seed)
            for name in first.strategies
            for seed in self.config.seeds
        }

    def run(self, reporter: Reporter, *, force: bool = False) -> Outcome:
        """Run what is not done yet, in this process; see ``benchmark.runner.scheduler.drive``."""
        from benchmark.runner.in_process import Serial
        from benchmark.runner.progress import Lines
        from benchmark.runner.scheduler import drive

        return drive([self], Serial(), Lines(reporter), force=force)

    def record_fields(self, cell: Cell) -> dict[str, Any]:
        """Return what a record says of its cell."""
        fields = asdict(cell) | {
            "encoder": cell.encoder and self.pretraining.architecture(cell.encoder)
        }
        planned = None
        if cell.kind == "strategy":
            plan = self.pretraining.get(cell.encoder, cell.base, cell.seed)
            planned = self.pretraining.decided(plan)
        if planned is not None:
            fields |= {f"pretrain_planned_{n}": planned[n] for n in ("epochs", "seconds")}
        return fields

    def budget_notes(self) -> list[str]:
        """Return what the budget came to, a line each encoder."""
        seed = self.config.seeds[0]
        strategies = {arm.encoder: arm.strategies for arm in self.arms}
        said = [self.pretraining.note(str(n), found, seed) for n, found in strategies.items()]
        return [line for line in said if line is not None]

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
            plan = self.pretraining.get(cell.encoder, cell.base, self.config.seeds[0])
            undecided = self.config.budget is not None and self.pretraining.decided(plan) is None
            if not undecided and plan.augmentation is None:
                continue
            key = f"prepare {self.pretraining.key(plan)}"
            found[key] = Unit(
                key=key,
                config=MeasureUnit(
                    data=self.source,
                    pretrain=self.pretraining.undecided_config(cell.encoder, cell.base, plan.seed),
                    budget=self.config.budget if undecided else None,
                    settings=self.settings,
                ),
                shape=f"pretrain {self.task.name} {cell.encoder} {cell.base}",
            )
        return list(found.values())

    def _strategies(self, name: str) -> list[str]:
        encoder = self._fresh[name].encoder
        asked = replace(self.config, encoder=name, encoder_options=self.pretraining.options[name])
        chosen = choose(self.pool, self.config.strategies, encoder, asked)
        several = f" ({self.pretraining.architecture(name)})" if len(self._fresh) > 1 else ""
        self.notes += [note + several for note in chosen.notes]
        return chosen.names

    def _check_budgets(self, lenient: bool) -> dict[int, str]:
        """Return why label budgets are skipped. Raises InputError for those that cannot be."""
        skipped = {}
        for budget in self.config.labels:
            for mode in self.modes.values():
                try:
                    config = TransferConfig(recipe=mode.recipe, labels=budget)
                    TransferPlan.make(self.task, self.fresh, config)
                except InputError as error:
                    if not lenient:
                        raise
                    skipped[budget] = str(error)
        return skipped

    def _cell_unit(self, cell: Cell) -> CellUnit:
        common: dict[str, Any] = {
            "id": self.identity(cell),
            "cell": replace(
                cell, encoder=cell.encoder and self.pretraining.architecture(cell.encoder)
            ),
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
            mode=self.modes[str(cell.mode)],
            pretraining=pretraining,
        )

    def _pretrain_unit(self, cell: Cell) -> PretrainUnit:
        plan = self.pretraining.get(cell.encoder, cell.base, cell.seed)
        parts = [plan.to_json(), self.source.pool_print, self.settings]
        short = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:8]
        return PretrainUnit(
            data=self.source,
            pretrain=self.pretraining.pretrain_config(cell.encoder, cell.base, cell.seed),
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
        common |= {"mode": asdict(self.modes[str(cell.mode)]), "fresh": fresh.identity()}
        if cell.kind == "fresh":
            return common
        plan = self.pretraining.get(cell.encoder, cell.base, cell.seed).to_json()
        return {**common, "plan": plan, "pool": self.source.pool_print}


def _suffix(encoder: str, mode: str, encoders: int, modes: int) -> str:
    """Return what tells this arm's rows from others': nothing when there is one arm."""
    parts = [encoder] * (encoders > 1) + [mode] * (modes > 1)
    return f" ({', '.join(parts)})" if parts else ""


__all__ = ["RANDOM", "SCRATCH", "Benchmark", "BenchmarkConfig"]
