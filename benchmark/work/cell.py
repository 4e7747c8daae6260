"""One unit of a benchmark's work as a pure function of its configuration, in whatever process.

A unit is a cell, a pretraining that cells need, the measuring of what a pretraining costs, or the
export of the best model. Nothing is needed but the configuration, the benchmark's folder and the data
that it names; what makes later units cheaper (loaded data, compiled steps) is kept in a ``Workshop``.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.baselines import run_baseline
from benchmark.config import Mode
from benchmark.data import DataCache, DataConfig
from benchmark.environment import check_surroundings
from benchmark.grid import RANDOM, Cell
from headstart.errors import HeadstartError, Interrupted
from headstart.files import read_json, write_text
from pretrain.config import PretrainConfig
from pretrain.engine.progress import Reporter
from pretrain.engine.session import Session
from pretrain.plan import PretrainPlan
from pretrain.run import pretrain
from transfer.plan import Source, TransferConfig
from transfer.run import Transferred, transfer

if TYPE_CHECKING:
    from pretrain.engine.program import Programs
    from pretrain.weights.file import WeightsFile

# A search has some dozens.
PROGRAMS = 64
CELLS, WEIGHTS = "cells", "weights"
# Of a search, what it chose; how each candidate did is in no record.
SEARCHED = ("chosen", "runner_up", "reason", "complete", "seconds")
KEPT = ("accuracy", "balanced_accuracy", "macro_f1", "loss", "confusion", "digest", "updates")


@dataclass(frozen=True, kw_only=True)
class PretrainUnit:
    """A pretraining: ``pretrain`` on the pool of ``data`` makes ``folder``/weights/``file``."""

    data: DataConfig
    pretrain: PretrainConfig
    folder: str
    file: str
    settings: dict[str, Any]

    @property
    def path(self) -> Path:
        """The weights file."""
        return Path(self.folder) / WEIGHTS / self.file

    def run(self, here: Workshop, reporter: Reporter | None = None) -> dict[str, Any]:
        """Make the weights file, unless it is there; return its cost or the reason why it failed."""

        def work() -> dict[str, Any]:
            _, cost = weights_of(self, here, reporter)
            return {"cost": cost}

        return guarded(work, lambda: _ready(self, here))


@dataclass(frozen=True, kw_only=True)
class CellUnit:
    """A cell and all that decides it.

    fresh: what the encoder is when nothing was pretrained; None of classical models.
    pretraining: what makes the weights, of kind "strategy".
    """

    id: str
    cell: Cell
    data: DataConfig
    folder: str
    settings: dict[str, Any]
    fresh: Source | None = None
    mode: Mode | None = None
    pretraining: PretrainUnit | None = None

    @property
    def path(self) -> Path:
        """The file of its result."""
        return cell_path(Path(self.folder), self.id)

    def run(self, here: Workshop, reporter: Reporter | None = None) -> dict[str, Any]:
        """Run the cell, keep its result in its file, and return its record."""
        return run_cell(self, here, reporter)


@dataclass(frozen=True, kw_only=True)
class ExportUnit:
    """The training of ``cell`` once more, to be written as ``out`` (.keras) with its card (.json).

    everything: on all labels of the training part, in place of the cell's budget.
    """

    cell: CellUnit
    out: str
    everything: bool = False

    def run(self, here: Workshop, reporter: Reporter | None = None) -> dict[str, Any]:
        """Write the model and its card."""
        return run_export(self, here, reporter)


@dataclass(kw_only=True)
class Workshop:
    """What one process keeps between units: loaded data and compiled steps.

    threads: of TensorFlow's operations; None leaves one that runs already as it is.
    """

    threads: int | None = 1
    data: DataCache = field(default_factory=DataCache)
    _programs: Programs | None = None

    @property
    def programs(self) -> Programs:
        """The compiled steps; TensorFlow is started when they are first asked for."""
        if self._programs is None:
            Session(threads=self.threads).start()
            from pretrain.engine.program import Programs

            self._programs = Programs(PROGRAMS)
        return self._programs


def cell_path(folder: Path, identity: str) -> Path:
    """Return the file of a cell's result."""
    return folder / CELLS / f"{identity}.json"


def run_cell(unit: CellUnit, here: Workshop, reporter: Reporter | None = None) -> dict[str, Any]:
    """Run a cell, keep its result in its file, and return its record.

    A cell that fails is a result too, with its reason. Raises Interrupted on Ctrl-C only.
    """
    record = {
        "id": unit.id,
        **asdict(unit.cell),
        "attempts": 1,
        **guarded(lambda: _measure(unit, here, reporter), lambda: _ready(unit, here)),
    }
    write_text(unit.path, json.dumps(record) + "\n")
    return record


def guarded(
    work: Callable[[], dict[str, Any]], ready: Callable[[], Any] = lambda: None
) -> dict[str, Any]:
    """Return what ``work`` does with its status and cost: "done", or "failed" with the reason.

    ready: done first, and not counted: starting TensorFlow and loading data.
    """
    began, cpu = time.monotonic(), time.process_time()
    try:
        ready()
        began, cpu = time.monotonic(), time.process_time()
        result: dict[str, Any] = {"status": "done", **work()}
    except Interrupted:
        raise
    except HeadstartError as error:
        result = {"status": "failed", "reason": str(error), "error": type(error).__name__}
    except Exception as error:
        if os.environ.get("HEADSTART_TRACEBACK"):
            raise
        reason = f"{type(error).__name__}: {error}"
        result = {"status": "failed", "reason": reason, "error": type(error).__name__}
    return {
        **result,
        "seconds": round(time.monotonic() - began, 3),
        "cpu_seconds": round(time.process_time() - cpu, 3),
    }


def _ready(unit: CellUnit | PretrainUnit, here: Workshop) -> None:
    check_surroundings(unit.settings)
    here.data.get(unit.data)
    if isinstance(unit, PretrainUnit) or unit.cell.kind != "raw":
        assert here.programs is not None  # starts TensorFlow


def _measure(unit: CellUnit, here: Workshop, reporter: Reporter | None) -> dict[str, Any]:
    loaded = here.data.get(unit.data)
    if unit.cell.kind == "raw":
        return run_baseline(unit.cell.base, loaded.task, unit.cell.labels, unit.cell.seed)
    made, found = transferred(unit, here, reporter)
    kept = {name: made.result[name] for name in KEPT}
    if "search" in made.result:
        kept["search"] = {name: made.result["search"][name] for name in SEARCHED}
    return {**kept, **found, "transfer_seconds": made.result["seconds"]}


def transferred(
    unit: CellUnit, here: Workshop, reporter: Reporter | None, labels: int | None = -1
) -> tuple[Transferred, dict[str, Any]]:
    """Do the cell's transfer; return it with what the record says of the pretraining.

    labels: another budget than the cell's; None takes every label of the training part.
    """
    assert unit.fresh is not None
    assert unit.mode is not None
    programs, cell = here.programs, unit.cell
    source, recipe, reuse = unit.fresh, unit.mode.recipe, None
    about: dict[str, Any] = {}
    if unit.pretraining is not None:
        weights, cost = weights_of(unit.pretraining, here, reporter)
        source = Source.from_weights(weights)
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
    config = TransferConfig(
        recipe=recipe,
        labels=cell.labels if labels == -1 else labels,
        reuse=reuse,
        seed=cell.seed,
        search=unit.mode.search,
    )
    task = here.data.get(unit.data).task
    # Test examples were taken out of the pool before it was used (benchmark.data).
    return transfer(task, source, config, programs=programs, guard=False), about


def weights_of(
    unit: PretrainUnit, here: Workshop, reporter: Reporter | None = None
) -> tuple[WeightsFile, dict[str, Any]]:
    """Return the weights and what they cost, pretraining if need be; two processes never train the same.

    Cost: seconds, cpu_seconds, updates; of a run that was interrupted, of all its parts.
    """
    from filelock import FileLock

    beside = unit.path.with_suffix(".cost.json")
    beside.parent.mkdir(parents=True, exist_ok=True)
    programs = here.programs
    with FileLock(unit.path.with_suffix(".lock")):
        cpu = time.process_time()
        session = Session(
            threads=here.threads, reporter=reporter or Reporter(), resume=True
        ).sharing(programs)
        pool = here.data.get(unit.data).pool
        plan = PretrainPlan.make(pool, unit.pretrain, out=unit.path, session=session)
        made = pretrain(plan, session)
        if made.updates:
            cost = {
                "seconds": round(made.seconds, 3),
                "cpu_seconds": round(time.process_time() - cpu + made.before[1], 3),
                "updates": made.updates,
                "resumed": made.resumed_from is not None,
            }
            write_text(beside, json.dumps(cost) + "\n")
    return made.weights, read_json(beside) or {}


def run_export(
    unit: ExportUnit, here: Workshop, reporter: Reporter | None = None
) -> dict[str, Any]:
    """Train the cell's model again and write it; return the result that stands in its card."""

    def work() -> dict[str, Any]:
        check_surroundings(unit.cell.settings)
        labels = None if unit.everything else unit.cell.cell.labels
        made, about = transferred(unit.cell, here, reporter, labels)
        from transfer.export.keras_file import save_model

        out = Path(unit.out)
        task = here.data.get(unit.cell.data).task
        save_model(made.model, out, made.inputs, made.result, task.x_test[:64])
        about = {"row": unit.cell.cell.row, "cell": unit.cell.id, **about}
        result = {**made.result, "benchmark": about, "history": made.history}
        write_text(out.with_suffix(".json"), json.dumps(result, indent=1) + "\n")
        return {"digest": made.result["digest"], "accuracy": made.result["accuracy"]}

    return guarded(work)
