"""The dry run: what a benchmark would do and take, estimated without starting TensorFlow."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from benchmark.grid import Cell
from benchmark.planning.plan import BenchmarkPlan, TaskPlan
from benchmark.runner.progress import duration
from benchmark.store import BenchmarkFolder, Record
from benchmark.work.cell import PretrainItem
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


class _Costs:
    """Seconds that cells and pretrainings in the folder took, and rough rates where none was measured."""

    def __init__(self, folder: BenchmarkFolder) -> None:
        took: dict[tuple[Any, ...], list[float]] = defaultdict(list)
        for record in folder.cell_records():
            if record["status"] == "done":
                took[_kind(record)].append(record["seconds"])
        self.cells = {key: fmean(values) for key, values in took.items()}
        self.pretrainings, self.guessed = folder.mean_costs(), False

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
        if seconds is None:
            self.guessed, seconds = True, RAW_SECONDS
            if cell.kind != "raw":
                search = task.modes[str(cell.mode)].search or 0.0
                seconds = CELL_SECONDS + min(SEARCH_SECONDS, search)
        return seconds


def forecast(plan: BenchmarkPlan) -> Forecast:
    """Return an estimate, from what earlier cells and pretrainings in the folder took."""
    costs = _Costs(plan.folder)
    pretrainings: list[float] = []
    cells: list[float] = []
    disk = memory = 0
    for task in plan.tasks:
        wanted = [cell for cell in task.runnable if task.finished(cell) is None]
        cells += [costs.of_cell(task, cell) for cell in wanted]
        disk += len(wanted) * (2000 + 20 * task.task.n_classes**2)
        pool = task.data.pool.x
        memory = max(memory, COPIES * pool.nbytes + task.task.x.nbytes + task.task.x_test.nbytes)
        for item in task.compile(wanted):
            if isinstance(item, PretrainItem) and not plan.folder.weights(item.name).exists():
                pretrainings.append(costs.of_pretraining(task, item))
                shapes = expected_shapes(task.pretrainings.fresh[item.encoder].encoder).values()
                # float32 weights, fingerprints of the pool, and the rest of a weights file.
                disk += 4 * sum(map(math.prod, shapes)) + 16 * len(pool) + 200_000
    total, every = sum(pretrainings) + sum(cells), sum(len(task.runnable) for task in plan.tasks)
    return Forecast(
        cells=every,
        done=every - len(cells),
        rows=list(dict.fromkeys(cell.row for task in plan.tasks for cell in task.cells)),
        pretrainings=len(pretrainings),
        pretrain_seconds=sum(pretrainings, 0.0),
        cell_seconds=sum(cells, 0.0),
        wall=total / plan.runner.workers + (START_SECONDS if total else 0),
        guessed=costs.guessed,
        memory=PROCESS_BYTES + memory,
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
