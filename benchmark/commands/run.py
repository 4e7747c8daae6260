"""The command ``benchmark``: from options to a plan, its run, and the report."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from benchmark.commands.dry_run import forecast
from benchmark.commands.report import report_command
from benchmark.config import BenchmarkConfig, ReadingConfig, RunnerConfig
from benchmark.data import BenchmarkData, DataConfig, paired
from benchmark.planning.plan import BenchmarkPlan
from benchmark.runner.progress import make_progress
from benchmark.runner.run import run_benchmark
from benchmark.store import RESULTS
from headstart.cli import configured, out, out_json, spelling
from headstart.errors import HeadstartError, worded
from pretrain.engine.session import Session


def benchmark_command(
    *,
    data: tuple[str, ...],
    pretrain_data: tuple[str, ...],
    folder: Path,
    export_best: str | None,
    dry_run: bool,
    threads: int | None,
    force: bool,
    quiet: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Check everything, run the grid, write results and report, and print them."""
    config = configured(BenchmarkConfig, options)
    reading = asdict(configured(ReadingConfig, options))
    runner = RunnerConfig(**options, export_best=export_best)
    read = [
        BenchmarkData.of(name, pool, DataConfig(**reading, seed=config.seed))
        for name, pool in paired(data, pretrain_data)
    ]
    session = Session(threads=threads, force=force)
    plan = BenchmarkPlan.make(read, config, folder, session=session, runner=runner)
    if dry_run:
        print_forecast(plan, as_json)
        return
    progress = make_progress(quiet, spelling(click.get_current_context().command))
    for line in data_lines(plan):
        progress.say(line)
    done = run_benchmark(plan, session, progress=progress)
    report_command(folder, as_json=as_json)
    failed = sum(record["status"] == "failed" for record in done.records)
    if failed:
        raise HeadstartError(
            f"{failed} of {len(done.records)} cells failed; the table shows the others, and "
            f"{folder / RESULTS} the reasons."
        )


def data_lines(plan: BenchmarkPlan) -> list[str]:
    """Return two lines on each data set and its pool."""
    lines = []
    for task, pool in ((each.task, each.data.pool) for each in plan.tasks):
        lines.append(f"Data: {task.name}, {task.source}; test part: {task.test_origin}")
        lines.append(f"Pool: {pool.name}, {len(pool.x):,} examples, {pool.source}")
        if pool.schema is not None:
            lines += [f"Columns: {pool.schema.describe()}", *pool.notes]
    return lines


def print_forecast(plan: BenchmarkPlan, as_json: bool) -> None:
    """Print what would be run, and what it would take."""
    found = forecast(plan)
    if as_json:
        out_json(asdict(found))
        return
    notes = [note for task in plan.tasks for note in task.notes]
    spell = spelling(click.get_current_context().command)
    for line in (*data_lines(plan), *notes, *found.lines(plan.runner.workers)):
        out(worded(line, spell))
