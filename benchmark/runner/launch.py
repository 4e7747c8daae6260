"""From options to a run: which data sets, and which engine does the work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.data import OWN, DataConfig
from benchmark.planning.plan import Benchmark, BenchmarkConfig
from benchmark.runner.scheduler import Outcome, drive
from benchmark.store import write_notes
from headstart.errors import HeadstartError, InputError
from headstart.files import check_output
from tasks.dataset import Dataset
from tasks.loading.resolve import load_dataset
from tasks.targets import KINDS
from tasks.task import TargetTask
from transfer.targets import TARGETS

if TYPE_CHECKING:
    from benchmark.runner.in_process import Engine
    from benchmark.runner.progress import Show

BEST = "best.keras"


@dataclass(frozen=True, kw_only=True)
class Running:
    """How a benchmark is run; it changes none of its results.

    threads: of one operation; None is one.
    """

    workers: int = 1
    engine: str = "local"
    scheduler: str | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.scheduler is not None and self.engine != "dask":
            raise InputError("--scheduler changes nothing without --engine dask: leave it out.")

    @property
    def in_process(self) -> bool:
        """Whether this process does the work itself."""
        return self.engine == "local" and self.workers == 1

    @property
    def known_threads(self) -> int | None:
        """The threads of an operation; None leaves it to what runs in this process already."""
        return self.threads if self.in_process else self.threads or 1

    def make(self) -> Engine:
        """Return the engine. Raises InputError."""
        if self.engine == "dask":
            from benchmark.runner.dask import Dask

            return Dask(self.scheduler, self.workers, self.threads or 1)
        if self.workers > 1:
            from benchmark.runner.workers import Pool

            return Pool(self.workers, self.threads or 1)
        from benchmark.runner.in_process import Serial

        return Serial(self.threads)


def paired_pools(data: Sequence[str], pools: Sequence[str]) -> list[tuple[str, str | None]]:
    """Return each data set with its pool, None being its own training part. Raises InputError."""
    if len(set(data)) < len(data):
        twice = next(name for name in data if list(data).count(name) > 1)
        raise InputError(f"--data names {twice!r} twice: leave one out.")
    if len(pools) not in (0, 1, len(data)):
        raise InputError(
            f"--pretrain-data must be given once, for all data, or once for each of the {len(data)} "
            f"--data, in their order ({OWN!r} for a data set's own training part). Got {len(pools)}."
        )
    spread = list(pools) * len(data) if len(pools) == 1 else list(pools) or [OWN] * len(data)
    return [(name, None if pool == OWN else pool) for name, pool in zip(data, spread, strict=True)]


def make_benches(
    sources: Sequence[DataConfig], config: BenchmarkConfig, folder: Path, run: Running
) -> list[Benchmark]:
    """Load the data and check everything. Raises InputError."""
    benches: list[Benchmark] = []
    for source in sources:
        task, pool = _read(source)
        bench = Benchmark(
            task,
            pool,
            config,
            folder,
            source=source,
            threads=run.known_threads,
            lenient=len(sources) > 1,
        )
        if any(other.task.name == bench.task.name for other in benches):
            raise InputError(
                f"Two of the --data are called {bench.task.name!r}, and their rows could not be told "
                f"apart: rename a file or folder."
            )
        benches.append(bench)
    return benches


def run_all(
    benches: Sequence[Benchmark],
    run: Running,
    show: Show,
    *,
    force: bool = False,
    export: str | None = None,
) -> Outcome:
    """Run the benchmarks, and write the best model of each when asked. Raises HeadstartError."""
    outs = {
        id(bench): bench.folder / (BEST if len(benches) == 1 else f"best-{number}.keras")
        for number, bench in enumerate(benches, start=1)
    }
    if export is not None:
        for out in outs.values():
            check_output(out, force=True)
    done = drive(benches, run.make(), show, force=force)
    if export is None:
        return done
    from benchmark.runner.export_best import best

    engine = run.make()
    try:
        for bench in benches:
            engine.lend(bench.source, bench.loaded)
            chosen = best(bench, done.records, outs[id(bench)], export)
            for _, outcome in engine.run([chosen.unit]):
                if outcome["status"] != "done":
                    raise HeadstartError(f"The best model was not written: {outcome['reason']}")
            done.notes.append(chosen.said)
        write_notes(benches[0].folder, done.notes)
    finally:
        engine.close()
    return done


def _read(source: DataConfig) -> tuple[TargetTask, Dataset | None]:
    def read(spec: str) -> Dataset:
        return load_dataset(
            spec,
            image_size=source.image_size,
            skip_unreadable=source.skip_unreadable,
            seed=source.seed,
        )

    assert source.data is not None
    task = TargetTask.from_dataset(
        read(source.data), seed=source.seed, test_fraction=source.test_part
    )
    if not TARGETS[task.target].exclusive:
        raise InputError(
            f"benchmark compares classifiers only, and y of {task.name!r} is {KINDS[task.target]}. "
            f"`transfer` learns and measures it, one strategy at a time."
        )
    return task, None if source.pool is None else read(source.pool)
