"""What the command ``benchmark`` does with its options."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmark.commands.report import report_command
from benchmark.config import chosen_modes
from benchmark.data import DataConfig
from benchmark.planning.budget import Budget
from benchmark.planning.plan import Benchmark, BenchmarkConfig
from benchmark.runner.launch import Running, make_benches, paired_pools, run_all
from benchmark.runner.progress import make_show
from benchmark.runner.scheduler import Outcome
from benchmark.store import RESULTS
from headstart.cli import out, out_json
from headstart.errors import HeadstartError, InputError
from pretrain.config import PRETRAIN_RECIPES, RECIPE_ALIASES, pretrain_recipe
from pretrain.strategies import strategy
from transfer.recipes import recipe as transfer_recipe


def benchmark_command(
    *,
    data: tuple[str, ...],
    pretrain_data: tuple[str, ...],
    strategies: str,
    labels: str,
    test_part: float,
    seeds: int,
    output: Path,
    recipe: str,
    modes: str | None,
    encoder: str | None,
    encoder_options: dict[str, str],
    augment: str,
    augment_options: dict[str, str],
    options: dict[str, str],
    pretrain_epochs: int | None,
    pretrain_seconds: float | None,
    pretrain_updates: int | None,
    workers: int,
    engine: str,
    scheduler: str | None,
    dry_run: bool,
    export_best: str | None,
    seed: int,
    threads: int | None,
    image_size: tuple[int, int] | None,
    skip_unreadable: bool,
    force: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Check everything, run the grid, write results and report, and say what they mean."""
    known = recipe in (*PRETRAIN_RECIPES, *RECIPE_ALIASES)
    base = pretrain_recipe(recipe if known else "default")
    fields: dict[str, Any] = {"recipe": recipe} if known else {}
    if pretrain_epochs is not None:
        fields["epochs"] = pretrain_epochs
    if output.exists() and not output.is_dir():
        raise InputError(f"--out must be a folder. {output} is a file.")
    named = [] if modes is None else [part.strip() for part in modes.split(",") if part.strip()]
    config = BenchmarkConfig(
        strategies=_names(strategies),
        labels=_budgets(labels),
        seeds=[seed + i for i in range(seeds)],
        recipe=transfer_recipe(recipe),
        modes=chosen_modes(named, recipe),
        encoder=encoder or base.encoder,
        encoder_options=encoder_options,
        augment=augment,
        augment_options=augment_options,
        options=_by_strategy(options),
        pretrain_fields=fields,
        budget=_budget(pretrain_epochs, pretrain_seconds, pretrain_updates),
    )
    run = Running(workers=workers, engine=engine, scheduler=scheduler, threads=threads)
    sources = [
        DataConfig(
            data=name,
            pool=pool,
            image_size=image_size,
            skip_unreadable=skip_unreadable,
            seed=seed,
            test_part=test_part,
        )
        for name, pool in paired_pools(data, pretrain_data)
    ]
    benches = make_benches(sources, config, output, run)
    if dry_run:
        _dry_run(benches, run, as_json)
        return
    show = make_show(quiet)
    try:
        for bench in benches:
            show.say(
                f"Data: {bench.task.name}, {bench.task.source}; test part: {bench.task.test_origin}"
            )
            show.say(
                f"Pool: {bench.pool.name}, {len(bench.pool.x):,} examples, {bench.pool.source}"
            )
        done = run_all(benches, run, show, force=force, export=export_best)
    finally:
        show.close()
    _finish(done, output, as_json)


def _finish(outcome: Outcome, output: Path, as_json: bool) -> None:
    """Write the report beside the results, print it, and fail when a cell failed."""
    report_command(output, as_json=as_json)
    failed = sum(record["status"] == "failed" for record in outcome.records)
    if failed:
        raise HeadstartError(
            f"{failed} of {len(outcome.records)} cells failed; the table shows the others, and "
            f"{output / RESULTS} the reasons."
        )


def _dry_run(benches: list[Benchmark], run: Running, as_json: bool) -> None:
    """Say what would be run."""
    from benchmark.commands.dry_run import forecast

    found = forecast(benches, run.workers)
    if as_json:
        out_json(asdict(found))
        return
    for bench in benches:
        out(f"Data: {bench.task.name}, {bench.task.source}; test part: {bench.task.test_origin}")
        out(f"Pool: {bench.pool.name}, {len(bench.pool.x):,} examples, {bench.pool.source}")
        for note in bench.notes:
            out(note)
    for line in found.lines(run.workers):
        out(line)


def _budget(epochs: int | None, seconds: float | None, updates: int | None) -> Budget | None:
    """Return the budget of each pretraining. Raises InputError when two are given."""
    if sum(given is not None for given in (epochs, seconds, updates)) > 1:
        raise InputError(
            "--pretrain-epochs, --pretrain-seconds and --pretrain-updates each say how long "
            "pretraining is: give one of them."
        )
    if seconds is None and updates is None:
        return None
    return Budget(seconds=seconds, updates=updates)


def _names(text: str) -> list[str]:
    names = [part.strip() for part in text.split(",") if part.strip()]
    if not names:
        raise InputError("--strategies must name at least one strategy, or all.")
    return names


def _by_strategy(given: dict[str, str]) -> dict[str, dict[str, str]]:
    """Turn {"rbm.k": "2"} into {"rbm": {"k": "2"}}. Raises InputError for a strategy that is not."""
    found: dict[str, dict[str, str]] = {}
    for key, value in given.items():
        name, dot, option = key.partition(".")
        if not dot or not option:
            raise InputError(f"--opt must be spelled STRATEGY.name=value. Got '{key}={value}'.")
        found.setdefault(strategy(name).name, {})[option] = value
    return found


def _budgets(text: str) -> list[int]:
    """Read "50,200,1000"."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise InputError(f"--labels must be positive numbers with commas, as 50,200. Got {text!r}.")
    return sorted({int(part) for part in parts})
