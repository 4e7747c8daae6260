"""What the command ``benchmark`` does with its options."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmark.report import claims, markdown, summarise, table_lines
from benchmark.run import Benchmark, BenchmarkConfig, Outcome
from pretrain.recipes import PRETRAIN_RECIPES, pretrain_recipe
from pretrain.strategies import strategy
from tasks.console import out_json
from tasks.errors import HeadstartError, InputError
from tasks.kinds import KINDS
from tasks.load import load_dataset
from tasks.outputs import write_text
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
    from pretrain.runtime import start

    start(threads)
    reporter = Reporter() if quiet else LineReporter()
    reporter.say(f"Data: {task.name}, {task.source}; test part: {task.test_origin}")
    reporter.say(f"Pool: {bench.pool.name}, {len(bench.pool.x):,} examples, {bench.pool.source}")
    _finish(bench.run(reporter, force=force), bench, output, as_json)


def _finish(outcome: Outcome, bench: Benchmark, output: Path, as_json: bool) -> None:
    """Write the table beside the results, print it, and fail when a cell failed."""
    tables = summarise(outcome.records)
    said = claims(tables)
    about = (
        f"Test accuracy on {bench.task.name} ({len(bench.task.x_test):,} examples, "
        f"{bench.task.test_origin}); pool {bench.pool.name}, {len(bench.pool.x):,} examples; encoder "
        f"{bench.fresh.encoder['architecture']}. Seconds are pretraining + transfer a seed."
    )
    notes = [*outcome.notes, *_reasons(outcome)]
    text = "\n\n".join([about, markdown(tables).rstrip(), *said, *notes]) + "\n"
    write_text(output / "table.md", text)
    if as_json:
        rows = {str(b): [asdict(row) for row in found] for b, found in tables.items()}
        out_json(_without_nan({"out": str(output), "tables": rows, "claims": said, "notes": notes}))
    else:
        _print(about, tables, said, notes, output)
    failed = sum(record["status"] != "done" for record in outcome.records)
    if failed:
        raise HeadstartError(
            f"{failed} of {len(outcome.records)} cells failed; the table shows the others, and "
            f"{output / 'results.jsonl'} the reasons."
        )


def _print(
    about: str, tables: dict[int, Any], said: list[str], notes: list[str], output: Path
) -> None:
    from rich.console import Console
    from rich.table import Table

    # Piped output has no width of its own: leave the table whole instead of folding it at 80.
    console = Console(width=None if sys.stdout.isatty() else 120)
    for budget, rows in tables.items():
        header, *body = table_lines(rows)
        table = Table(title=f"{budget} labels", title_justify="left")
        for i, name in enumerate(header):
            table.add_column(name, justify="left" if i == 0 else "right", no_wrap=i > 0)
        for cells in body:
            table.add_row(*cells)
        console.print(table)
    for line in (
        about,
        *said,
        *notes,
        f"Wrote {output / 'results.jsonl'} and {output / 'table.md'}",
    ):
        console.print(line, markup=False, highlight=False)


def _reasons(outcome: Outcome) -> list[str]:
    return [
        f"Failed: {r['row']}, {r['labels']} labels, seed {r['seed']}: {r['reason']}"
        for r in outcome.records
        if r["status"] != "done"
    ]


def _without_nan(value: Any) -> Any:
    """Turn NaN, which JSON does not have, into null."""
    if isinstance(value, dict):
        return {k: _without_nan(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(v) for v in value]
    return None if isinstance(value, float) and value != value else value


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
