"""``benchmark``: options and one call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from benchmark.commands.config_file import config_file, without_strangers
from headstart.cli import (
    augment_options,
    data_options,
    is_subcommand,
    pairs,
    positive,
    run_command,
    run_options,
    test_part,
)


@click.group(invoke_without_command=True, subcommand_metavar="[report DIR]")
@click.option(
    "--config",
    type=Path,
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
@click.option("--strategies", default="all", show_default=True, help="Names with commas, or all.")
@click.option("--labels", help="Label budgets with commas, as 50,200.")
@test_part
@click.option(
    "--seeds", default=5, show_default=True, type=positive, help="How many, from --seed on."
)
@click.option("--out", "output", type=Path, help="The folder to write to.")
@click.option(
    "--recipe",
    default="default",
    show_default=True,
    help="default, linear-probe (the encoder stays frozen) or seed (the notebook's).",
)
@click.option(
    "--modes",
    help="Ways of the transfer side by side, with commas: fine-tune, linear-probe, auto (a search of the "
    "reuse). [default: the recipe's]",
)
@click.option(
    "--encoder",
    help="convnet, resnet, mlp or auto (by the data); several with commas. [default: the recipe's]",
)
@click.option(
    "--encoder-opt",
    "encoder_options",
    multiple=True,
    callback=pairs,
    help="name=value, of the encoder; of several, ENCODER.name=value.",
)
@augment_options
@click.option(
    "--opt",
    "options",
    multiple=True,
    callback=pairs,
    help="STRATEGY.name=value, of a strategy, as rbm.finetune=10.",
)
@click.option(
    "--pretrain-epochs", type=positive, help="Epochs of every strategy. [default: its own]"
)
@click.option(
    "--pretrain-seconds",
    type=click.FloatRange(0, min_open=True),
    help="Equal cost: as many epochs of every strategy as take this long on one thread, measured once.",
)
@click.option(
    "--pretrain-updates",
    type=positive,
    help="As many epochs of every strategy as make these updates.",
)
@click.option(
    "--workers",
    default=1,
    show_default=True,
    type=positive,
    help="Processes of one thread each; 1 is this process.",
)
@click.option(
    "--engine",
    default="local",
    show_default=True,
    type=click.Choice(["local", "dask"]),
    help="Where the cells run: this machine's processes, or a Dask cluster (extra: dask).",
)
@click.option(
    "--scheduler", help="The Dask scheduler's address. [default: --workers processes here]"
)
@click.option("--dry-run", is_flag=True, help="Print what would be run and what it would take.")
@click.option(
    "--export-best",
    is_flag=False,
    flag_value="budget",
    type=click.Choice(["budget", "all"]),
    help="Train the best network again and write best.keras: on the largest budget's labels, or all.",
)
@data_options
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
    for name, option in (("data", "data"), ("labels", "labels"), ("output", "out")):
        if given[name] in (None, ()):
            raise click.UsageError(f"Missing option '--{option}'. See 'benchmark --help'.")
    from benchmark.commands.run import benchmark_command

    benchmark_command(**without_strangers(given))


@cli.command()
@click.argument("folder", metavar="DIR", type=Path)
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
