"""Pretrainings, the cells that need them, and the best network once more: pure functions of their fields."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.baselines import run_baseline, starts_tensorflow
from benchmark.config import Mode
from benchmark.grid import RANDOM, VIEWS, Cell
from benchmark.store import BenchmarkFolder
from benchmark.work.context import DataItem, WorkerContext, check_environment
from benchmark.work.queue import Outcome
from headstart.files import write_text
from pretrain.config import PretrainConfig
from pretrain.engine.runtime import keras_defaults
from transfer.config import TransferConfig
from transfer.encoder_source import EncoderSource
from transfer.plan import TransferPlan
from transfer.run import Transferred, transfer
from transfer.selection.views import usual_views

if TYPE_CHECKING:
    from pretrain.engine.progress import Reporter
    from pretrain.weights.file import WeightsFile

# Of a search, its choice; how each candidate did is in no record.
SEARCH_FIELDS = ("chosen", "runner_up", "reason", "complete", "seconds")
POOL_FIELDS = ("chosen", "reason", "seconds")
FIELDS = ("accuracy", "balanced_accuracy", "macro_f1", "loss", "confusion", "digest", "updates")


@dataclass(frozen=True, kw_only=True)
class PretrainItem(DataItem):
    """A pretraining on the pool of ``data``.

    name: of the weights file that it makes in the folder.
    encoder: its name in the benchmark's configuration.
    """

    pretrain: PretrainConfig
    folder: BenchmarkFolder
    name: str
    encoder: str

    @property
    def title(self) -> str:
        """The item in words."""
        return f"pretraining {self.pretrain.strategy}, seed {self.pretrain.seed}"

    def work(self, context: WorkerContext, reporter: Reporter | None) -> Outcome:
        """Make the weights file, unless it is there, and return its cost."""
        return {"cost": self.weights(context, reporter)[1]}

    def weights(
        self, context: WorkerContext, reporter: Reporter | None
    ) -> tuple[WeightsFile, dict[str, Any]]:
        """Return the weights and their cost, pretraining if need be; two processes never train the same.

        Cost: seconds, cpu_seconds, updates; of a run that was interrupted, of all its parts.
        """
        from pretrain.plan import PretrainPlan
        from pretrain.run import pretrain

        pool, session = context.data.get(self.data).pool, context.session(reporter)
        with self.folder.locked_weights(self.name) as path:
            cpu = time.process_time()
            plan = PretrainPlan.make(pool, self.pretrain, out=path, session=session)
            made = pretrain(plan, session)
            if made.updates:
                cost = {
                    "seconds": round(made.seconds, 3),
                    "cpu_seconds": round(time.process_time() - cpu + made.before[1], 3),
                    "updates": made.updates,
                    "resumed": made.resumed_from is not None,
                }
                self.folder.write_cost(self.name, cost)
        return made.weights, self.folder.cost(self.name)


@dataclass(frozen=True, kw_only=True)
class CellItem(DataItem):
    """A cell and all that decides it.

    fresh: the encoder when nothing was pretrained; None of classical models.
    pretraining: makes the weights, of kind "strategy".
    """

    id: str
    cell: Cell
    folder: BenchmarkFolder
    fresh: EncoderSource | None = None
    mode: Mode | None = None
    pretraining: PretrainItem | None = None

    @property
    def title(self) -> str:
        """The item in words."""
        return f"{self.cell.row}, {self.cell.labels} labels, seed {self.cell.seed}"

    @property
    def cost_kind(self) -> str:
        """A name that is the same for cells that take about as long."""
        return f"{self.shape} {self.cell.base} {self.cell.labels}"

    def failed(self, reason: str, attempts: int = 1) -> Outcome:
        """Return the record when the cell cannot be run to its end."""
        return {"id": self.id, **asdict(self.cell), **super().failed(reason, attempts)}

    def run(self, context: WorkerContext, reporter: Reporter | None = None) -> Outcome:
        """Run the cell, write its record to its file, and return it.

        A cell that fails is a result too, with its reason.
        """
        outcome = super().run(context, reporter)
        record = {"id": self.id, **asdict(self.cell), "attempts": 1, **outcome}
        self.folder.write_cell(record)
        return record

    def prepare(self, context: WorkerContext) -> None:
        """Load the data, and start TensorFlow if the cell needs it."""
        if self.cell.kind != "raw" or starts_tensorflow(self.cell.base):
            super().prepare(context)
            return
        check_environment(self.environment)
        context.data.get(self.data)

    def work(self, context: WorkerContext, reporter: Reporter | None) -> Outcome:
        """Return the measurements."""
        if self.cell.kind == "raw":
            data, cell = context.data.get(self.data), self.cell
            return run_baseline(cell.base, data.task, cell.labels, cell.seed, data.pool)
        made, about = self.transfer(context, reporter, self.cell.labels)
        found = {name: made.result[name] for name in FIELDS}
        if "search" in made.result:
            found["search"] = {name: made.result["search"][name] for name in SEARCH_FIELDS}
        if "pool" in made.result:
            found["pool"] = {name: made.result["pool"][name] for name in POOL_FIELDS}
        return {**found, **about, "transfer_seconds": made.result["seconds"]}

    @keras_defaults()
    def transfer(
        self, context: WorkerContext, reporter: Reporter | None, labels: int | None
    ) -> tuple[Transferred, dict[str, Any]]:
        """Do the cell's transfer on a label budget (None: all labels).

        Returns:
            The transfer, and the record's fields on the pretraining.
        """
        assert self.fresh is not None
        assert self.mode is not None
        session, cell, data = context.session(reporter), self.cell, context.data.get(self.data)
        source, recipe, reuse = self.fresh, self.mode.recipe, None
        about: dict[str, Any] = {}
        if self.pretraining is not None:
            weights, cost = self.pretraining.weights(context, reporter)
            # Test examples were taken out of the pool before it was used (benchmark.data).
            source = EncoderSource.from_weights(weights, check_leakage=False)
            about = {
                "weights_digest": weights.digest,
                "pretrain_seconds": cost.get("seconds"),
                "pretrain_cpu_seconds": cost.get("cpu_seconds"),
                "pretrain_updates": cost.get("updates"),
            }
        elif cell.base == RANDOM:
            from pretrain.encoders.encoder import Encoder

            # The head alone, with as many epochs as both stages have together.
            source = replace(source, tensors=Encoder(source.encoder, cell.seed).tensors())
            recipe = replace(recipe, freeze_epochs=recipe.freeze_epochs + recipe.epochs, epochs=0)
        else:
            reuse = 0
            if cell.base == VIEWS:
                recipe = replace(
                    recipe, augment=usual_views(data.task, source.encoder["input_shape"])
                )
        config = TransferConfig(
            recipe=recipe,
            labels=labels,
            reuse=reuse if self.mode.search is None else "auto",
            search_seconds=self.mode.search,
            seed=cell.seed,
        )
        more = data.pool if self.mode.pool else None
        plan = TransferPlan.make(data.task, source, config, unlabelled=more)
        return transfer(plan, session.aside()), about


@dataclass(frozen=True, kw_only=True)
class ExportItem(DataItem):
    """A cell's network trained once more, to be written as ``out`` (.keras) with its card (.json).

    everything: on all labels of the training part, in place of the cell's budget.
    """

    cell: CellItem
    out: Path
    everything: bool = False

    @property
    def title(self) -> str:
        """The item in words."""
        return "exporting the best model"

    def work(self, context: WorkerContext, reporter: Reporter | None) -> Outcome:
        """Write the model and its card."""
        from transfer.export.keras_file import save_model

        labels = None if self.everything else self.cell.cell.labels
        made, about = self.cell.transfer(context, reporter, labels)
        task = context.data.get(self.data).task
        save_model(made.model, self.out, made.inputs, made.result, task.x_test[:64])
        about = {"row": self.cell.cell.row, "cell": self.cell.id, **about}
        card = {**made.result, "benchmark": about, "history": made.history}
        write_text(self.out.with_suffix(".json"), json.dumps(card, indent=1) + "\n")
        return {"digest": made.result["digest"], "accuracy": made.result["accuracy"]}
