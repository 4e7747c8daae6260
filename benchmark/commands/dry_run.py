"""What a benchmark is going to do and what it is going to take, told without starting TensorFlow."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.planning.plan import Benchmark
from benchmark.runner.progress import duration
from benchmark.runner.scheduler import finished
from benchmark.work.cell import CELLS, WEIGHTS, PretrainUnit
from headstart.files import read_json
from pretrain.encoders import expected_shapes
from pretrain.plan import PretrainPlan

# Rough seconds on one core of 2026, for what was not measured yet: an update, a classical model, a
# cell, a search.
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
    """The plan of a run; seconds are of one worker after the other, ``wall`` shares them out.

    guessed: whether some of it rests on rough rates and not on what was measured in the folder.
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
        """Return it in words."""
        how = "partly by rough rates" if self.guessed else "by what was measured in this folder"
        return [
            f"{self.cells} cells, {self.done} of them done; rows: {', '.join(self.rows)}",
            f"{self.pretrainings} pretrainings, about {duration(self.pretrain_seconds)}, and "
            f"{self.cells - self.done} cells, about {duration(self.cell_seconds)}",
            f"About {duration(self.wall)} with {workers} worker{'s' * (workers > 1)} ({how})",
            f"About {size(self.memory)} of memory a worker, and {size(self.disk)} on disk",
        ]


def forecast(benches: Sequence[Benchmark], workers: int) -> Forecast:
    """Look at what is done and at what earlier cells and pretrainings in the folder took."""
    records, costs = list(_records(benches[0].folder)), _costs(benches[0].folder)
    usual = _means((_kind(r), r["seconds"]) for r in records if r["status"] == "done")
    guessed = False
    pretrain_seconds = cell_seconds = 0.0
    disk = done = pretrainings = 0
    for bench in benches:
        wanted = [
            cell
            for cell in bench.cells
            if cell.labels not in bench.skipped and finished(bench, cell) is None
        ]
        done += sum(c.labels not in bench.skipped for c in bench.cells) - len(wanted)
        for unit in bench.units(wanted):
            if isinstance(unit.config, PretrainUnit):
                if unit.config.path.exists():
                    continue
                pretrainings += 1
                plan = PretrainPlan.resolve(bench.pool, unit.config.pretrain)
                decided = bench.pretraining.decided(plan) or {}
                seconds = decided.get("seconds")
                if seconds is None and bench.config.budget is not None:
                    seconds = bench.config.budget.seconds
                elif seconds is None:
                    architecture = plan.encoder["architecture"]
                    seconds = costs.get((unit.config.pretrain.strategy, architecture))
                if seconds is None:
                    guessed = True
                    steps = math.ceil(len(bench.pool.x) * 0.9 / plan.recipe.batch_size)
                    rate = UPDATE.get(plan.encoder["architecture"], USUAL_UPDATE)
                    seconds = plan.recipe.epochs * steps * rate
                pretrain_seconds += seconds
                disk += _weights_bytes(plan.encoder, len(bench.pool.x))
        for cell in wanted:
            fields = bench.record_fields(cell)
            found = usual.get(_kind(fields))
            if found is None:
                guessed = True
                found = RAW_SECONDS if cell.kind == "raw" else CELL_SECONDS
                if cell.kind != "raw":
                    found += min(SEARCH_SECONDS, bench.modes[str(cell.mode)].search or 0.0)
            cell_seconds += found
            disk += 2000 + 20 * bench.task.n_classes**2
    data = max(
        COPIES * bench.pool.x.nbytes + bench.task.x.nbytes + bench.task.x_test.nbytes
        for bench in benches
    )
    total = pretrain_seconds + cell_seconds
    return Forecast(
        cells=sum(c.labels not in b.skipped for b in benches for c in b.cells),
        done=done,
        rows=list(dict.fromkeys(cell.row for bench in benches for cell in bench.cells)),
        pretrainings=pretrainings,
        pretrain_seconds=pretrain_seconds,
        cell_seconds=cell_seconds,
        wall=total / workers + (START_SECONDS if total else 0),
        guessed=guessed,
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


def _records(folder: Path) -> Iterator[dict[str, Any]]:
    for path in (folder / CELLS).glob("*.json"):
        record = read_json(path)
        if record is not None and "status" in record and "seconds" in record:
            yield record


def _costs(folder: Path) -> dict[tuple[str, str], float]:
    """Return the mean seconds of the pretrainings that were made, by strategy and encoder."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for path in (folder / WEIGHTS).glob("*.cost.json"):
        cost, name = read_json(path), path.name.rsplit("-seed", 1)[0]
        if cost and cost.get("seconds") and not cost.get("resumed"):
            strategy, _, encoder = name.rpartition("-")
            found[strategy, encoder].append(cost["seconds"])
    return {key: sum(values) / len(values) for key, values in found.items()}


def _kind(record: Mapping[str, Any]) -> tuple[Any, ...]:
    return (record["task"], record["kind"], record["encoder"], record["mode"], record["labels"])


def _means(pairs: Any) -> dict[tuple[Any, ...], float]:
    found: dict[tuple[Any, ...], list[float]] = defaultdict(list)
    for key, value in pairs:
        found[key].append(value)
    return {key: sum(values) / len(values) for key, values in found.items()}


def _weights_bytes(encoder: Mapping[str, Any], examples: int) -> int:
    """Return about what a weights file takes: float32 weights, and fingerprints of the pool."""
    weights = sum(math.prod(shape) for shape in expected_shapes(encoder).values())
    return 4 * weights + 16 * examples + 200_000
