"""The dry run: what a benchmark would do and take, estimated without starting TensorFlow."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmark.grid import Cell
from benchmark.planning.plan import BenchmarkPlan, TaskPlan
from benchmark.runner.progress import duration
from benchmark.store import BenchmarkFolder, Record
from benchmark.work.pretraining import PretrainItem
from pretrain.encoders import expected_shapes

# Rough seconds on one core of 2026, where nothing was measured yet: an update, a classical model, a cell, a
# search.
UPDATE = {"mlp": 0.002, "convnet": 0.08, "resnet": 0.3}
USUAL_UPDATE = 0.1
RAW_SECONDS = 3.0
CELL_SECONDS = 5.0
SEARCH_SECONDS = 40.0
START_SECONDS = 15.0
# TensorFlow, Keras and scikit-learn, loaded.
PROCESS_BYTES = 700 << 20
COPIES = 3  # of the pool: as loaded, its training part, TensorFlow's own


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """An estimate of a run; seconds are of one worker after the other, ``wall`` shares them out.

    guessed: whether some of it rests on rough rates and not on measurements in the folder.
    memory: bytes of each worker; disk: bytes that the run adds to the folder.
    """

    cells: int
    done: int
    rows: list[str]
    pretrainings: int
    pretrain_seconds: float
    cell_seconds: float
    wall: float
    guessed: bool
    memory: int
    disk: int

    def lines(self, workers: int) -> list[str]:
        """Return the estimate in words."""
        how = "partly by rough rates" if self.guessed else "by what was measured in this folder"
        return [
            f"{self.cells} cells, {self.done} of them done; rows: {', '.join(self.rows)}",
            f"{self.pretrainings} pretrainings, about {duration(self.pretrain_seconds)}, and "
            f"{self.cells - self.done} cells, about {duration(self.cell_seconds)}",
            f"About {duration(self.wall)} with {workers} worker{'s' * (workers > 1)} ({how})",
            f"About {size(self.memory)} of memory a worker, and {size(self.disk)} on disk",
        ]


@dataclass
class _Costs:
    """Seconds that cells and pretrainings in the folder took, and rough rates where none was measured."""

    folder: BenchmarkFolder
    guessed: bool = False
    cells: dict[tuple[Any, ...], float] = field(init=False)
    pretrainings: dict[tuple[str, str], float] = field(init=False)

    def __post_init__(self) -> None:
        took: dict[tuple[Any, ...], list[float]] = defaultdict(list)
        for record in self.folder.cell_records():
            if record["status"] == "done":
                took[_kind(record)].append(record["seconds"])
        self.cells = {key: sum(values) / len(values) for key, values in took.items()}
        self.pretrainings = self.folder.mean_costs()

    def of_pretraining(self, task: TaskPlan, item: PretrainItem) -> float:
        """Return the seconds of a pretraining: decided, measured or guessed."""
        config = item.pretrain
        plan = task.pretrainings.get(item.encoder, config.strategy, config.seed)
        architecture = plan.encoder["architecture"]
        seconds = (task.pretrainings.decided(plan) or {}).get("seconds")
        if seconds is None and task.config.budget is not None:
            seconds = task.config.budget.seconds
        elif seconds is None:
            seconds = self.pretrainings.get((config.strategy, architecture))
        if seconds is None:
            self.guessed = True
            steps = math.ceil(len(task.data.pool.x) * 0.9 / plan.recipe.batch_size)
            seconds = plan.recipe.epochs * steps * UPDATE.get(architecture, USUAL_UPDATE)
        return float(seconds)

    def of_cell(self, task: TaskPlan, cell: Cell) -> float:
        """Return the seconds of a cell: measured or guessed."""
        seconds = self.cells.get(_kind(task.record_fields(cell)))
        if seconds is not None:
            return seconds
        self.guessed = True
        if cell.kind == "raw":
            return RAW_SECONDS
        return CELL_SECONDS + min(SEARCH_SECONDS, task.modes[str(cell.mode)].search or 0.0)


def forecast(plan: BenchmarkPlan) -> Forecast:
    """Return an estimate, from what earlier cells and pretrainings in the folder took."""
    costs = _Costs(plan.folder)
    pretrain_seconds = cell_seconds = 0.0
    disk = total_cells = left = pretrainings = 0
    for task in plan.tasks:
        wanted = [cell for cell in task.runnable if task.finished(cell) is None]
        total_cells, left = total_cells + len(task.runnable), left + len(wanted)
        for item in task.compile(wanted):
            if isinstance(item, PretrainItem) and not plan.folder.weights(item.name).exists():
                pretrainings += 1
                pretrain_seconds += costs.of_pretraining(task, item)
                encoder = task.pretrainings.fresh[item.encoder].encoder
                disk += _weights_bytes(encoder, len(task.data.pool.x))
        cell_seconds += sum(costs.of_cell(task, cell) for cell in wanted)
        disk += len(wanted) * (2000 + 20 * task.task.n_classes**2)
    data = max(
        COPIES * t.data.pool.x.nbytes + t.task.x.nbytes + t.task.x_test.nbytes for t in plan.tasks
    )
    total = pretrain_seconds + cell_seconds
    return Forecast(
        cells=total_cells,
        done=total_cells - left,
        rows=list(dict.fromkeys(cell.row for task in plan.tasks for cell in task.cells)),
        pretrainings=pretrainings,
        pretrain_seconds=pretrain_seconds,
        cell_seconds=cell_seconds,
        wall=total / plan.runner.workers + (START_SECONDS if total else 0),
        guessed=costs.guessed,
        memory=PROCESS_BYTES + data,
        disk=disk,
    )


def size(amount: float) -> str:
    """Return bytes as "1.2 GB"."""
    for unit in ("bytes", "KB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def _kind(record: Record) -> tuple[Any, ...]:
    return (record["task"], record["kind"], record["encoder"], record["mode"], record["labels"])


def _weights_bytes(encoder: Mapping[str, Any], examples: int) -> int:
    """Return the rough size of a weights file: float32 weights, and fingerprints of the pool."""
    weights = sum(math.prod(shape) for shape in expected_shapes(encoder).values())
    return 4 * weights + 16 * examples + 200_000
