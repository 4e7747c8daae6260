"""What the command ``benchmark`` does with its options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmark.about import about, write_about
from benchmark.run import RESULTS, Benchmark, BenchmarkConfig, Outcome
from benchmark.show import report_command
from pretrain.recipes import PRETRAIN_RECIPES, pretrain_recipe
from pretrain.strategies import strategy
from tasks.errors import HeadstartError, InputError
from tasks.kinds import KINDS
from tasks.load import load_dataset
from tasks.target import TargetTask
from transfer.recipes import recipe as transfer_recipe


def benchmark_command(
    *,
    data: str,
    pretrain_data: str | None,
    strategies: str,
    labels: str,
    test_part: float,
    seeds: int,
    output: Path,
    recipe: str,
    encoder: str | None,
    encoder_options: dict[str, str],
    augment: str,
    augment_options: dict[str, str],
    options: dict[str, str],
    pretrain_epochs: int | None,
    seed: int,
    threads: int | None,
    image_size: tuple[int, int] | None,
    skip_unreadable: bool,
    force: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Check everything, run the grid, write results and table, and say what they mean."""
    recipes = transfer_recipe(recipe)
    base = pretrain_recipe(recipe if recipe in PRETRAIN_RECIPES else "default")
    fields = dict(base.fields)
    if pretrain_epochs is not None:
        fields["epochs"] = pretrain_epochs
    if output.exists() and not output.is_dir():
        raise InputError(f"--out must be a folder. {output} is a file.")
    config = BenchmarkConfig(
        strategies=_names(strategies),
        labels=_budgets(labels),
        seeds=[seed + i for i in range(seeds)],
        recipe=recipes,
        encoder=encoder or base.encoder,
        encoder_options=encoder_options,
        augment=augment,
        augment_options=augment_options,
        options=_by_strategy(options),
        pretrain_fields=fields,
    )

    def load(spec: str) -> Any:
        return load_dataset(spec, image_size=image_size, skip_unreadable=skip_unreadable, seed=seed)

    task = TargetTask.from_dataset(load(data), seed=seed, test_fraction=test_part)
    if task.target != "classes":
        raise InputError(
            f"benchmark compares classifiers only, and y of {task.name!r} is {KINDS[task.target]}. "
            f"`transfer` learns and measures it, one strategy at a time."
        )
    pool = load(pretrain_data) if pretrain_data is not None else None
    bench = Benchmark(task, pool, config, output)

    from pretrain.engine.progress import LineReporter, Reporter
    from pretrain.runtime import settings, start

    start(threads)
    reporter = Reporter() if quiet else LineReporter()
    reporter.say(f"Data: {task.name}, {task.source}; test part: {task.test_origin}")
    reporter.say(f"Pool: {bench.pool.name}, {len(bench.pool.x):,} examples, {bench.pool.source}")
    content = about(bench, settings())
    write_about(output, content)
    outcome = bench.run(reporter, force=force)
    write_about(output, content, [record["id"] for record in outcome.records])
    _finish(outcome, output, as_json)


def _finish(outcome: Outcome, output: Path, as_json: bool) -> None:
    """Write the report beside the results, print its verdict, and fail when a cell failed."""
    report_command(output, as_json=as_json)
    failed = sum(record["status"] != "done" for record in outcome.records)
    if failed:
        raise HeadstartError(
            f"{failed} of {len(outcome.records)} cells failed; the table shows the others, and "
            f"{output / RESULTS} the reasons."
        )


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
    if not all(part.isdigit() and int(part) > 0 for part in parts):
        raise InputError(f"--labels must be positive numbers with commas, as 50,200. Got {text!r}.")
    return sorted({int(part) for part in parts})
