"""A benchmark checked: every cell of its grid on equal terms, and the work items that it comes to."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmark.analysis.primary import declare
from benchmark.baselines import baselines_of, learns_from_pool
from benchmark.config import BenchmarkConfig, RunnerConfig
from benchmark.data import BenchmarkData
from benchmark.grid import SCRATCH, VIEWS, Arm, Cell, cells, short_hash
from benchmark.planning.eligibility import choose
from benchmark.planning.pretrainings import Pretrainings
from benchmark.store import BenchmarkFolder, Record
from benchmark.work.cell import CellItem, PretrainItem
from benchmark.work.context import PACKAGES, threads_here
from benchmark.work.measure import MeasureItem
from benchmark.work.queue import Outcome, WorkItem
from headstart.errors import HeadstartError, InputError, suggest
from headstart.files import check_output, slug
from pretrain.config import pretrain_recipe
from pretrain.engine.runtime import environment
from pretrain.engine.session import Session
from pretrain.plan import PretrainPlan
from transfer.config import TransferConfig
from transfer.plan import TransferPlan


@dataclass(frozen=True, kw_only=True)
class BenchmarkPlan:
    """A benchmark made ready: whatever can be refused has been, and nothing has been trained.

    Attributes:
        tasks: the plan of each data set, in order.
        config: the choices that decide the results.
        folder: where results are written, and looked for.
        runner: where the work is done.

    Example:
        >>> data = [BenchmarkData.of("digits")]
        >>> config = BenchmarkConfig(strategies=["autoencoder"], labels=[50], seeds=2)
        >>> plan = BenchmarkPlan.make(data, config, Path("report"))
    """

    tasks: list[TaskPlan]
    config: BenchmarkConfig
    folder: BenchmarkFolder
    runner: RunnerConfig

    @classmethod
    def make(
        cls,
        data: Sequence[BenchmarkData],
        config: BenchmarkConfig,
        folder: Path,
        *,
        session: Session | None = None,
        runner: RunnerConfig | None = None,
    ) -> BenchmarkPlan:
        """Check everything, without TensorFlow.

        Args:
            data: one or several data sets, each with its pool.
            config: the choices that decide the results.
            folder: the folder to write to; finished cells in it are kept.
            session: its threads decide the results' bits; None of them is one.
            runner: where the work is done; the default is this process.

        Raises:
            InputError: something cannot be used; nothing was written.
        """
        runner, config = runner or RunnerConfig(), config.with_recipe()
        found = BenchmarkFolder(folder)
        found.check()
        threads = threads_here(runner.threads(None if session is None else session.threads))
        tasks: list[TaskPlan] = []
        for each in data:
            if any(each.task.name == other.task.name for other in tasks):
                raise InputError(
                    f"Two data sets have the name {each.task.name!r}, and their rows would look the same.",
                    hint="Rename a file or folder.",
                )
            if not runner.in_process:
                prints = f"{each.config.task_print[:8]}-{each.config.pool_print[:8]}"
                each = each.handed_over(found.data_file(f"{slug(each.task.name)}-{prints}"))
            tasks.append(TaskPlan(each, config, found, threads, lenient=len(data) > 1))
        for number in range(len(data)) if runner.export_best else ():
            check_output(found.best(number + 1, len(data)), force=True)
        return cls(tasks=tasks, config=config, folder=found, runner=runner)

    @property
    def notes(self) -> list[str]:
        """A sentence for each thing that a reader of the results has to know."""
        noted = [n for t in self.tasks for n in (*t.notes, *t.data.warned, *t.budget_notes())]
        return list(dict.fromkeys(noted))

    def prepare(self, *, force: bool = False) -> list[MeasureItem]:
        """Return what must be measured before the cells can be compiled: budgets, and views that differ."""
        found: dict[str, MeasureItem] = {}
        for task in self.tasks:
            every = force or task.pretrainings.undecided()
            for item in task.measurements(every):
                found.setdefault(item.key, item)
        return list(found.values())

    def decide(self, item: MeasureItem, outcome: Outcome) -> None:
        """Take a measurement's outcome. Raises its error where it failed."""
        if outcome["status"] != "done":
            kind = InputError if outcome.get("error") == "InputError" else HeadstartError
            raise kind(outcome["reason"])
        if outcome["plan"] is not None:
            owner = next(task for task in self.tasks if task.data.config == item.data)
            owner.pretrainings.decide(item, outcome["plan"])
            for task in self.tasks:
                task.reread()

    def compile(self, *, force: bool = False) -> list[WorkItem]:
        """Return the cells without a finished record, and before them the pretrainings that they need.

        force: all cells.
        """
        return [
            item
            for task in self.tasks
            for item in task.compile(
                [cell for cell in task.runnable if force or task.finished(cell) is None]
            )
        ]

    def about(self, notes: Sequence[str]) -> dict[str, Any]:
        """Return JSON: command, time, tasks, pools, encoders, modes, versions and the notes."""
        import click

        config, first = self.config, self.tasks[0]
        fields = dict(config.pretrain_fields)
        # Several data sets may have encoders of their own: "auto" looks at the data.
        encoders = [s.encoder for task in self.tasks for s in task.pretrainings.fresh.values()]
        pools = [task.data.pool for task in self.tasks]
        typed = click.get_current_context(silent=True) is not None
        # Not of the cells' identities, which it does not decide: the folder remembers when it was named.
        done = sum(
            cell.kind == "strategy" and task.finished(cell) is not None
            for task in self.tasks
            for cell in task.runnable
        )
        return {
            "format": "headstart-benchmark",
            "version": 1,
            # As one would type it; none in a program of one's own.
            "command": shlex.join(["benchmark", *sys.argv[1:]]) if typed else None,
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "tasks": [
                {
                    "name": task.name,
                    "source": task.source,
                    "class_names": list(task.class_names),
                    "training_examples": len(task.x),
                    "test_examples": len(task.x_test),
                    "test_origin": task.test_origin,
                }
                for task in (each.task for each in self.tasks)
            ],
            "pools": [{"name": p.name, "examples": len(p.x), "source": p.source} for p in pools],
            "encoders": [e for i, e in enumerate(encoders) if e not in encoders[:i]],
            "strategies": list(dict.fromkeys(n for task in self.tasks for n in task.strategies)),
            "labels": list(config.labels),
            "seeds": config.seed_values,
            "primary": declare(self.folder.about(), config.primary, done),
            "modes": {name: mode.to_json() for name, mode in first.modes.items()},
            # May hold an Optimizer, which is written as its fields.
            "pretrain": {**pretrain_recipe(fields.pop("recipe", "default")).fields, **fields},
            "budget": None if config.budget is None else asdict(config.budget),
            "options": config.strategy_options,
            **first.environment,
            "leakage": [task.data.leakage for task in self.tasks],
            "notes": list(notes),
        }


class TaskPlan:
    """The grid of one data set."""

    def __init__(
        self,
        data: BenchmarkData,
        config: BenchmarkConfig,
        folder: BenchmarkFolder,
        threads: int,
        *,
        lenient: bool = False,
    ) -> None:
        """Check everything. Raises InputError.

        lenient: skip budgets that the task has not labels enough for, instead of refusing them.
        """
        self.data, self.task, self.config, self.folder = data, data.task, config, folder
        self.environment = environment(threads, PACKAGES)
        self.notes = list(data.notes)
        self.modes = config.mode_table()
        self.pretrainings = Pretrainings(data.pool, data.config.pool_print, config, folder)
        self.arms = [arm for name in self.pretrainings.fresh for arm in self._arms(name)]
        self.strategies = list(dict.fromkeys(n for arm in self.arms for n in arm.strategies))
        for name, given in config.strategy_options.items():
            if name not in self.strategies:
                raise InputError(
                    f"{name}.{next(iter(given))} changes nothing: the strategy {name!r} is not in this "
                    f"benchmark ({', '.join(self.strategies)})",
                    argument="options",
                )
        if config.primary is not None and config.primary not in self.strategies:
            raise InputError(
                f"must name a strategy of this benchmark: there is no {config.primary!r} in it."
                f"{suggest(config.primary, self.strategies)}",
                argument="primary",
                hint=f"There are: {', '.join(self.strategies)}.",
            )
        self.skipped = self._check_budgets(lenient)
        known = baselines_of(self.task)
        self.cells = cells(self.arms, known, config.labels, config.seed_values, self.task.name)
        self._identities: dict[Cell, str] = {}
        for cell in self.cells:
            self.identity(cell)

    @property
    def runnable(self) -> list[Cell]:
        """The cells whose label budget is not skipped."""
        return [cell for cell in self.cells if cell.labels not in self.skipped]

    def finished(self, cell: Cell) -> Record | None:
        """Return the record that an earlier run left of the cell."""
        record = self.folder.finished_cell(self.identity(cell))
        return None if record is None else {**record, **self.record_fields(cell)}

    def record_fields(self, cell: Cell) -> dict[str, Any]:
        """Return the part of a cell's record that its plan decides."""
        fields = asdict(cell) | {"encoder": self.pretrainings.architecture(cell.encoder)}
        planned = None
        if cell.kind == "strategy":
            planned = self.pretrainings.decided(self._pretraining(cell))
        if planned is not None:
            fields |= {f"pretrain_planned_{n}": planned[n] for n in ("epochs", "seconds")}
        return fields

    def skipped_record(self, cell: Cell) -> Record | None:
        """Return the record of a cell whose label budget is skipped; None where it is not."""
        if cell.labels not in self.skipped:
            return None
        why = {"status": "skipped", "reason": self.skipped[cell.labels]}
        return {"id": self.identity(cell), **self.record_fields(cell), **why}

    def reread(self) -> None:
        """Take the folder's decisions on how long each strategy is trained."""
        self.pretrainings.reread()
        self._identities.clear()

    def budget_notes(self) -> list[str]:
        """Return a sentence for each encoder on what the budget came to."""
        strategies = {str(arm.encoder): arm.strategies for arm in self.arms}
        said = [self.pretrainings.note(name, found) for name, found in strategies.items()]
        return list(filter(None, said))

    def identity(self, cell: Cell) -> str:
        """Return the cell's id, over all that decides its result and nothing else: grids can grow."""
        if cell not in self._identities:
            self._identities[cell] = cell.identity(self._decisive(cell))
        return self._identities[cell]

    def compile(self, wanted: Sequence[Cell]) -> list[WorkItem]:
        """Return the items of these cells, each pretraining just before the first cell that needs it."""
        found: dict[str, WorkItem] = {}
        for cell in wanted:
            item = self._cell_item(cell)
            if item.pretraining is not None:
                found.setdefault(item.pretraining.key, item.pretraining)
            found[item.key] = item
        return list(found.values())

    def measurements(self, every: bool) -> Iterator[MeasureItem]:
        """Yield what must be measured for the cells that are not finished, or for ``every`` one."""
        wanted = (
            cell
            for cell in self.runnable
            if cell.kind == "strategy" and (every or self.finished(cell) is None)
        )
        for cell in {(cell.encoder, cell.base): cell for cell in wanted}.values():
            plan = self.pretrainings.get(cell.encoder, cell.base, self.config.seed)
            undecided = self.config.budget is not None and self.pretrainings.decided(plan) is None
            if not undecided and plan.augmentation is None:
                continue
            decides = self.pretrainings.key(plan)
            yield MeasureItem(
                key=f"measure {decides}",
                shape=self._pretraining_shape(cell),
                data=self.data.config,
                pretrain=self.pretrainings.undecided_config(cell.encoder, cell.base, plan.seed),
                budget=self.config.budget if undecided else None,
                decides=decides,
                environment=self.environment,
            )

    def _arms(self, name: str) -> list[Arm]:
        """Return the rows of an encoder in each mode; the names of several arms' rows say which."""
        architecture = str(self.pretrainings.architecture(name))
        encoder = self.pretrainings.fresh[name].encoder
        one = replace(self.config, encoder=name, encoder_options=self.pretrainings.options[name])
        names, notes = choose(self.data.pool, self.config.strategies, encoder, one)
        parts = [architecture] * (len(self.pretrainings.fresh) > 1)
        self.notes += [note + _bracketed(parts) for note in notes]
        return [
            Arm(
                encoder=name,
                mode=mode,
                strategies=names,
                suffix=_bracketed([*parts, *[mode] * (len(self.modes) > 1)]),
                views=how.views,
            )
            for mode, how in self.modes.items()
        ]

    def _check_budgets(self, lenient: bool) -> dict[int, str]:
        """Return why label budgets are skipped. Raises InputError for those that cannot be."""
        skipped = {}
        fresh = next(iter(self.pretrainings.fresh.values()))
        for budget in self.config.labels:
            for mode in self.modes.values():
                try:
                    config = TransferConfig(recipe=mode.recipe, labels=budget)
                    more = self.data.pool if mode.pool else None
                    TransferPlan.make(self.task, fresh, config, unlabelled=more)
                except InputError as error:
                    if not lenient:
                        raise
                    skipped[budget] = str(error)
        return skipped

    def _pretraining(self, cell: Cell) -> PretrainPlan:
        return self.pretrainings.get(cell.encoder, cell.base, cell.seed)

    def _cell_item(self, cell: Cell) -> CellItem:
        identity, architecture = self.identity(cell), self.pretrainings.architecture(cell.encoder)
        fields: dict[str, Any] = {"shape": "raw"}
        if cell.kind == "strategy":
            fields["pretraining"] = item = self._pretrain_item(cell)
            fields["after"] = item.key
        if cell.kind != "raw":
            fresh = self.pretrainings.fresh[str(cell.encoder)]
            # Every strategy's transfer has the same compiled steps.
            start = cell.base if cell.base in (SCRATCH, VIEWS) else "transfer"
            fields["shape"] = f"{start} {json.dumps(fresh.encoder)} {self.task.n_classes}"
            fields |= {"fresh": fresh, "mode": self.modes[str(cell.mode)]}
        return CellItem(
            key=f"cell {identity}",
            id=identity,
            cell=replace(cell, encoder=architecture),
            data=self.data.config,
            folder=self.folder,
            environment=self.environment,
            **fields,
        )

    def _pretrain_item(self, cell: Cell) -> PretrainItem:
        plan = self._pretraining(cell)
        parts = [plan.to_json(), self.data.config.pool_print, self.environment]
        name = f"{cell.base}-{plan.encoder['architecture']}-seed{cell.seed}-{short_hash(parts, 8)}"
        return PretrainItem(
            key=f"pretrain {name}",
            shape=self._pretraining_shape(cell),
            data=self.data.config,
            pretrain=self.pretrainings.pretrain_config(cell.encoder, cell.base, cell.seed),
            folder=self.folder,
            name=name,
            encoder=str(cell.encoder),
            environment=self.environment,
        )

    def _pretraining_shape(self, cell: Cell) -> str:
        return f"pretrain {self.task.name} {cell.encoder} {cell.base}"

    def _decisive(self, cell: Cell) -> dict[str, Any]:
        """Return all that decides the cell's result beside the cell itself."""
        found = {
            "task": [self.task.name, self.task.test_origin],
            "data": self.data.config.task_print,
            "settings": self.environment,
        }
        if cell.kind != "raw":
            fresh = self.pretrainings.fresh[str(cell.encoder)]
            mode = self.modes[str(cell.mode)]
            found |= {"mode": mode.to_json(), "fresh": fresh.identity()}
            if mode.pool:
                found["pool"] = self.data.config.pool_print
        elif learns_from_pool(cell.base):
            found["pool"] = self.data.config.pool_print
        if cell.kind == "strategy":
            plan = self._pretraining(cell).to_json()
            found |= {"plan": plan, "pool": self.data.config.pool_print}
        return found


def _bracketed(parts: Sequence[str]) -> str:
    return f" ({', '.join(parts)})" if parts else ""
