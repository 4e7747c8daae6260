"""``benchmark``: options and one call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from benchmark.commands.config_file import config_file, drop_unrelated_pools
from benchmark.config import BUDGET, BenchmarkConfig, ReadingConfig, RunnerConfig
from headstart.cli import FilePath, config_options, is_subcommand, run_command, run_options


@click.group(invoke_without_command=True, subcommand_metavar="[report DIR]")
@click.option(
    "--config",
    type=FilePath(),
    is_eager=True,
    expose_value=False,
    callback=config_file,
    help="A TOML file with any of these options; those on the command line win.",
)
@click.option(
    "--data",
    multiple=True,
    help="The labelled data: a name, a .npz file or a folder of images. Several are compared in turn.",
)
@click.option(
    "--pretrain-data",
    multiple=True,
    help="The pool, one for all --data or one each. [default: own, --data's training part, unlabelled]",
)
@click.option("--out", "folder", type=FilePath(), help="The folder to write to.")
@config_options(BenchmarkConfig, ReadingConfig, RunnerConfig, without=("seed",))
@click.option("--dry-run", is_flag=True, help="Print what would be run and what it would take.")
@click.option(
    "--export-best",
    is_flag=False,
    flag_value=BUDGET,
    type=click.Choice(["budget", "all"]),
    help="Train the best network again and write best.keras: on the largest budget's labels, or all.",
)
@run_options
@click.pass_context
def cli(context: click.Context, **given: Any) -> None:
    """Set strategies against each other, against no pretraining and against raw values.

    \b
    benchmark --data fashion-mnist/B --pretrain-data fashion-mnist/A \\
        --strategies all --labels 50,200 --seeds 5 --out report/
    benchmark report report/

    It prints its verdict, and writes it with tables and figures to report.html. Run it again to go on
    where it stopped, or with more seeds or strategies: finished cells are kept.
    """
    if is_subcommand(context):
        return
    for name, option in (("data", "data"), ("labels", "labels"), ("folder", "out")):
        if given[name] in (None, ()):
            raise click.UsageError(f"Missing option '--{option}'. See 'benchmark --help'.")
    from benchmark.commands.run import benchmark_command

    benchmark_command(**drop_unrelated_pools(given))


@cli.command()
@click.argument("folder", metavar="DIR", type=FilePath())
@click.option(
    "--intervals",
    type=click.Choice(["t", "bootstrap"]),
    default="t",
    show_default=True,
    help="Student's t, or the BCa bootstrap over seeds.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one line of JSON.")
def report(folder: Path, intervals: str, as_json: bool) -> None:
    """Draw the report of a benchmark again from its folder: in seconds, without TensorFlow.

    It writes report.html, figures/, summary.csv, summary.json and table.md, in place of those that are
    there.
    """
    from benchmark.commands.report import report_command

    report_command(folder, intervals=intervals, as_json=as_json)


def main() -> None:
    """Run the command."""
    run_command(cli)
