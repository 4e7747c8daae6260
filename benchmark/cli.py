"""``benchmark``: options and one call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tasks.console import data_options, pairs, positive, run_command, run_options, test_part


@click.command()
@click.option(
    "--data", required=True, help="The labelled data: a name, a .npz file or a folder of images."
)
@click.option("--pretrain-data", help="The pool. [default: --data's training part, unlabelled]")
@click.option("--strategies", default="all", show_default=True, help="Names with commas, or all.")
@click.option("--labels", required=True, help="Label budgets with commas, as 50,200.")
@test_part
@click.option(
    "--seeds", default=5, show_default=True, type=positive, help="How many, from --seed on."
)
@click.option("--out", "output", required=True, type=Path, help="The folder to write to.")
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
def cli(**given: Any) -> None:
    """Set strategies against each other, against no pretraining and against raw values.

    \b
    benchmark --data fashion-mnist/B --pretrain-data fashion-mnist/A \\
        --strategies all --labels 50,200 --seeds 5 --out report/

    Run it again to go on where it stopped, or with more seeds or strategies: finished cells are kept.
    """
    from benchmark.command import benchmark_command

    benchmark_command(**given)


def main() -> None:
    """Run the command."""
    run_command(cli)
