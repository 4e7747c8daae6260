"""One benchmark: every cell of the grid on equal terms, each result kept as soon as it is there."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.baselines import BASELINES, run_baseline
from benchmark.choose import choose
from benchmark.grid import RANDOM, SCRATCH, Cell, cells
from pretrain.plan import Plan as PretrainPlan
from pretrain.plan import PretrainConfig, choose_encoder
from pretrain.preprocessing import Preprocessing
from pretrain.run import Pretrained, pretrain
from pretrain.strategies import strategies as all_strategies
from tasks.dataset import Dataset
from tasks.errors import HeadstartError, InputError, Interrupted
from tasks.outputs import check_output, write_text
from tasks.overlap import overlap
from tasks.target import TargetTask
from transfer.recipes import TransferRecipe
from transfer.run import Plan as TransferPlan
from transfer.run import Source, TransferConfig, transfer

if TYPE_CHECKING:
    from pretrain.engine.progress import Reporter

RESULTS = "results.jsonl"


@dataclass(frozen=True, kw_only=True)
class BenchmarkConfig:
    """All that decides a benchmark, but for the data.

    strategies: names, or ("all",) for every strategy that the pool allows.
    labels: label budgets; the subsets of one seed are nested.
    seeds: seeds of subsets, initial weights and order; a seed's subset is the same for every row.
    encoder, encoder_options, augment, augment_options, pretrain_fields: as in PretrainConfig; the same
        for every strategy, the random views for those that learn from them.
    options: of single strategies, by their names.
    recipe: of every transfer; rows from scratch use its scratch fields.
    """

    strategies: Sequence[str]
    labels: Sequence[int]
    seeds: Sequence[int]
    recipe: TransferRecipe
    encoder: str = "auto"
    encoder_options: Mapping[str, Any] = field(default_factory=dict)
    augment: str = "auto"
    augment_options: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    pretrain_fields: Mapping[str, Any] = field(default_factory=dict)
    validation: float = 0.1


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Every cell's record in the grid's order, and what was noticed on the way."""

    records: list[dict[str, Any]]
    rows: list[str]
    notes: list[str]


class Benchmark:
    """A benchmark made ready: whatever could be refused has been, nothing has been trained."""

    def __init__(
        self, task: TargetTask, pool: Dataset | None, config: BenchmarkConfig, folder: Path
    ) -> None:
        """``pool`` None takes the task's own training part without its labels. Raises InputError."""
        self.task, self.config, self.folder = task, config, folder
        self.notes: list[str] = []
        self.fingerprint = _fingerprint(task)
        self.pool = self._without_test_examples(pool or _unlabelled(task))
        self.fresh = Source(
            encoder=choose_encoder(self.pool, config.encoder, config.encoder_options),
            preprocessing=Preprocessing.fit(self.pool).to_json(),
        )
        chosen = choose(self.pool, config.strategies, self.fresh.encoder, config)
        self.strategies = chosen.names
        self.notes += chosen.notes
        for name in config.options:
            if name not in self.strategies:
                raise InputError(
                    f"--opt {name}.{next(iter(config.options[name]))} changes nothing: the strategy "
                    f"{name!r} is not in this benchmark ({', '.join(self.strategies)})."
                )
        self.plans = {
            (name, seed): PretrainPlan.make(self.pool, self._pretrain_config(name, seed))
            for name in self.strategies
            for seed in config.seeds
        }
        for budget in config.labels:
            TransferPlan.make(task, self.fresh, TransferConfig(recipe=config.recipe, labels=budget))
        self.cells = cells(self.strategies, list(BASELINES), config.labels, config.seeds)
        check_output(folder / RESULTS, force=True)

    def run(self, reporter: Reporter, *, force: bool = False) -> Outcome:
        """Run what is not done yet. A failed cell is recorded with its reason and is never dropped.

        Raises Interrupted on Ctrl-C: finished cells are kept, and the same command goes on.
        """
        from pretrain.augment.check import check_views
        from pretrain.engine.program import Programs
        from pretrain.runtime import settings

        # Now rather than after hours, at the first strategy that learns from views.
        views = {p.row.name: p.augmentation for p in self.plans.values() if p.augmentation}
        for name, augmentation in views.items():
            check_views(self.pool, augmentation, name)
        self.programs, self.reporter = Programs(), reporter
        self.settings = settings()
        ids = {cell: cell.identity(self._surroundings(cell)) for cell in self.cells}
        done = {} if force else self._finished()
        kept = sum(ids[cell] in done for cell in self.cells)
        if kept:
            reporter.say(f"{kept} of {len(self.cells)} cells are done already in {self.folder}.")
        records: dict[str, dict[str, Any]] = {}
        for number, cell in enumerate(self.cells, start=1):
            record = done.get(ids[cell]) or {"id": ids[cell], **asdict(cell), **self._cell(cell)}
            records[ids[cell]] = record
            self._write([*records.values(), *(r for i, r in done.items() if i not in records)])
            if ids[cell] not in done:
                reporter.say(f"[{number}/{len(self.cells)}] {_line(record)}")
        rows = list(dict.fromkeys(cell.row for cell in self.cells))
        return Outcome(records=list(records.values()), rows=rows, notes=self.notes)

    def _cell(self, cell: Cell) -> dict[str, Any]:
        """Run one cell and return its result, or its failure."""
        began = time.monotonic()
        try:
            if cell.kind == "raw":
                found = run_baseline(cell.row, self.task, cell.labels, cell.seed)
            elif cell.kind == "fresh":
                found = self._fresh_cell(cell)
            else:
                found = self._strategy_cell(cell)
            status: dict[str, Any] = {"status": "done", **found}
        except Interrupted:
            raise Interrupted(
                f"Interrupted. The finished cells are kept in {self.folder}: run the same command "
                f"again to go on."
            ) from None
        except InputError:
            raise
        except HeadstartError as error:
            status = {"status": "failed", "reason": str(error)}
        return {**status, "seconds": round(time.monotonic() - began, 3)}

    def _fresh_cell(self, cell: Cell) -> dict[str, Any]:
        """From scratch, or the head alone on an encoder that is left as it was drawn."""
        recipe, reuse = self.config.recipe, 0
        if cell.row == RANDOM:
            from pretrain.encoder import Encoder

            tensors = Encoder(self.fresh.encoder, cell.seed).tensors()
            frozen = recipe.freeze_epochs + recipe.epochs
            source = replace(self.fresh, tensors=tensors)
            recipe = replace(recipe, freeze_epochs=frozen, epochs=0)
            return self._transfer(cell, source, recipe, None)
        return self._transfer(cell, self.fresh, recipe, reuse)

    def _strategy_cell(self, cell: Cell) -> dict[str, Any]:
        """Pretrain, once for all budgets of the seed, then transfer from the weights file alone."""
        plan = self.plans[cell.row, cell.seed]
        parts = [plan.to_json(), self.pool.fingerprint, self.settings]
        short = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:8]
        name = f"{cell.row}-{plan.encoder['architecture']}-seed{cell.seed}-{short}.h5"
        made = pretrain(
            self.pool,
            self._pretrain_config(cell.row, cell.seed),
            self.folder / "weights" / name,
            resume=True,
            reporter=self.reporter,
            programs=self.programs,
        )
        seconds = self._remember(made)
        found = self._transfer(cell, Source.from_weights(made.weights), self.config.recipe, None)
        return {**found, "weights_digest": made.weights.digest, "pretrain_seconds": seconds}

    def _remember(self, made: Pretrained) -> float | None:
        """Note what a pretraining cost, for the cells and reruns that find its file made already."""
        path = self.folder / "weights" / "seconds.json"
        known = json.loads(path.read_text()) if path.exists() else {}
        if made.updates:
            known[made.weights.digest] = round(made.seconds, 3)
            write_text(path, json.dumps(known))
        return known.get(made.weights.digest)

    def _transfer(
        self, cell: Cell, source: Source, recipe: TransferRecipe, reuse: int | None
    ) -> dict[str, Any]:
        config = TransferConfig(recipe=recipe, labels=cell.labels, reuse=reuse, seed=cell.seed)
        result = transfer(self.task, source, config, programs=self.programs).result
        names = ("accuracy", "balanced_accuracy", "macro_f1", "loss", "confusion", "digest")
        found = {name: result[name] for name in names}
        return {**found, "updates": result["updates"], "transfer_seconds": result["seconds"]}

    def _pretrain_config(self, strategy: str, seed: int) -> PretrainConfig:
        augments = all_strategies()[strategy].augments
        return PretrainConfig(
            strategy=strategy,
            options=self.config.options.get(strategy, {}),
            # What scratch has, to the last option, rather than what suits the strategy best.
            encoder=self.fresh.encoder["architecture"],
            encoder_options=self.fresh.encoder["options"],
            augment=self.config.augment if augments else "auto",
            augment_options=self.config.augment_options if augments else {},
            recipe=self.config.pretrain_fields,
            validation=self.config.validation,
            seed=seed,
        )

    def _without_test_examples(self, pool: Dataset) -> Dataset:
        """Drop pool examples that are also test examples: pretraining must not see those."""
        if pool.input_shape != self.task.input_shape or pool.x.dtype != self.task.x.dtype:
            return pool
        found = np.unique(overlap(self.task.x_test, pool.x))
        if not len(found):
            return pool
        keep = np.setdiff1d(np.arange(len(pool.x)), found)
        if not len(keep):
            raise InputError(
                f"Every example of the pool {pool.name!r} is a test example of {self.task.name!r}: "
                f"pretraining on them would be cheating. Give another --pretrain-data."
            )
        self.notes.append(
            f"{len(found)} examples of the pool are test examples too and were left out of it."
        )
        return replace(pool, x=pool.x[keep], y=None if pool.y is None else pool.y[keep])

    def _surroundings(self, cell: Cell) -> dict[str, Any]:
        """Return what decides the cell's result beside itself, and nothing else: grids can grow."""
        common = {
            "task": [self.task.name, self.task.test_origin],
            "data": self.fingerprint,
            "settings": self.settings,
        }
        if cell.kind == "raw":
            return common
        common |= {"recipe": asdict(self.config.recipe), "fresh": self.fresh.identity()}
        if cell.kind == "fresh":
            return common
        plan = self.plans[cell.row, cell.seed].to_json()
        return {**common, "plan": plan, "pool": self.pool.fingerprint}

    def _finished(self) -> dict[str, dict[str, Any]]:
        """Return the records of an earlier run that are whole and done, by id."""
        path = self.folder / RESULTS
        found = {}
        for line in path.read_text().splitlines() if path.exists() else []:
            try:
                record = json.loads(line)
                if record["status"] == "done":
                    found[record["id"]] = record
            except (ValueError, KeyError, TypeError):
                continue
        return found

    def _write(self, records: list[dict[str, Any]]) -> None:
        text = "".join(json.dumps(record) + "\n" for record in records)
        write_text(self.folder / RESULTS, text)


def _unlabelled(task: TargetTask) -> Dataset:
    """Return the task's training part as a pool without labels."""
    return Dataset(
        name=f"{task.name} (training part, unlabelled)",
        x=task.x,
        y=None,
        x_test=None,
        y_test=None,
        class_names=None,
        value_range=task.value_range,
        source=task.source,
        kind=task.kind,
    )


def _fingerprint(task: TargetTask) -> str:
    return Dataset(
        name=task.name,
        x=task.x,
        y=task.y,
        x_test=task.x_test,
        y_test=task.y_test,
        class_names=task.class_names,
        value_range=task.value_range,
        source=task.source,
    ).fingerprint


def _line(record: dict[str, Any]) -> str:
    where = f"{record['row']}, {record['labels']} labels, seed {record['seed']}"
    if record["status"] != "done":
        return f"{where}: FAILED: {record['reason']}"
    return f"{where}: {100 * record['accuracy']:.2f} % ({record['seconds']:.1f} s)"


__all__ = ["RANDOM", "SCRATCH", "Benchmark", "BenchmarkConfig", "Outcome"]
