"""What the command ``benchmark`` does with its options."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmark.budget import Budget
from benchmark.data import DataConfig
from benchmark.drive import Outcome
from benchmark.groups import grouped
from benchmark.live import make_show
from benchmark.modes import chosen_modes
from benchmark.report import claims, markdown, summarise, table_lines
from benchmark.run import Benchmark, BenchmarkConfig
from benchmark.running import Running, make_benches, paired_pools, run_all
from pretrain.recipes import PRETRAIN_RECIPES, pretrain_recipe
from pretrain.strategies import strategy
from tasks.console import out, out_json
from tasks.errors import HeadstartError, InputError
from tasks.outputs import write_text
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
    """Check everything, run the grid, write results and table, and say what they mean."""
    base = pretrain_recipe(recipe if recipe in PRETRAIN_RECIPES else "default")
    fields = dict(base.fields)
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
    _finish(done, benches, output, as_json)


def _finish(outcome: Outcome, benches: list[Benchmark], output: Path, as_json: bool) -> None:
    """Write the table beside the results, print it, and fail when a cell failed."""
    tables: dict[Any, Any] = {}
    for title, records in grouped(outcome.records):
        for budget, rows in summarise(records).items():
            tables[f"{title}, {budget}" if title else budget] = rows
    said = claims(tables)
    about = "\n\n".join(
        f"Test accuracy on {bench.task.name} ({len(bench.task.x_test):,} examples, "
        f"{bench.task.test_origin}); pool {bench.pool.name}, {len(bench.pool.x):,} examples; encoder "
        f"{bench.encoders}. Seconds are pretraining + transfer a seed."
        for bench in benches
    )
    notes = [*outcome.notes, *_reasons(outcome)]
    text = "\n\n".join([about, markdown(tables).rstrip(), *said, *notes]) + "\n"
    write_text(output / "table.md", text)
    if as_json:
        shown = {str(b): [asdict(row) for row in found] for b, found in tables.items()}
        out_json(
            _without_nan({"out": str(output), "tables": shown, "claims": said, "notes": notes})
        )
    else:
        _print(about, tables, said, notes, output)
    failed = sum(record["status"] == "failed" for record in outcome.records)
    if failed:
        raise HeadstartError(
            f"{failed} of {len(outcome.records)} cells failed; the table shows the others, and "
            f"{output / 'results.jsonl'} the reasons."
        )


def _dry_run(benches: list[Benchmark], run: Running, as_json: bool) -> None:
    """Say what would be run."""
    from benchmark.forecast import forecast

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
        if r["status"] == "failed"
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
