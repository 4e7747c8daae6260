"""``benchmark``: options and one call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tasks.console import data_options, pairs, positive, run_command, run_options, test_part


@click.group(invoke_without_command=True, subcommand_metavar="[report DIR]")
@click.option("--data", help="The labelled data: a name, a .npz file or a folder of images.")
@click.option("--pretrain-data", help="The pool. [default: --data's training part, unlabelled]")
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
    "--encoder", help="convnet, resnet, mlp or auto (by the data). [default: the recipe's]"
)
@click.option(
    "--encoder-opt",
    "encoder_options",
    multiple=True,
    callback=pairs,
    help="name=value, of the encoder.",
)
@click.option(
    "--augment",
    default="auto",
    show_default=True,
    help="The random views, of strategies that learn from them: see pretrain --list.",
)
@click.option(
    "--augment-opt",
    "augment_options",
    multiple=True,
    callback=pairs,
    help="name=value, of the augmentation.",
)
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
    if context.invoked_subcommand is not None:
        return
    for name, option in (("data", "data"), ("labels", "labels"), ("output", "out")):
        if given[name] is None:
            raise click.UsageError(f"Missing option '--{option}'. See 'benchmark --help'.")
    from benchmark.command import benchmark_command

    benchmark_command(**given)


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
    from benchmark.show import report_command

    report_command(folder, intervals=intervals, as_json=as_json)


def main() -> None:
    """Run the command."""
    run_command(cli)
