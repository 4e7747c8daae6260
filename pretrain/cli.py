"""``pretrain``: options and one call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from headstart.cli import (
    FilePath,
    checkpoint_seconds,
    config_options,
    configured,
    data_options,
    import_arguments,
    import_options,
    is_subcommand,
    out,
    out_json,
    positive,
    run_command,
    run_options,
)
from headstart.options import ReadOptions
from pretrain.config import PretrainConfig

threads = click.option(
    "--threads", type=positive, help="Threads in one operation. [default: all cores]"
)
as_json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print the result as one line of JSON."
)
weights_file = click.option(
    "--out",
    "output",
    default="weights.h5",
    show_default=True,
    type=FilePath(),
    help="The weights file to write.",
)
force = click.option("--force", is_flag=True, help="Replace an existing output.")


@click.group(
    invoke_without_command=True, subcommand_metavar="[inspect FILE | verify FILE ... | import ...]"
)
@click.option(
    "--list", "list_all", is_flag=True, help="List strategies, encoders and data; then stop."
)
@click.option(
    "--describe", metavar="NAME", help="Explain a strategy, encoder or augmentation; then stop."
)
@click.option("--data", help="The pool: a name, a .npz file, a table or a folder of images.")
@weights_file
@config_options(PretrainConfig, without=("seed",))
@click.option(
    "--preview-augment",
    "preview",
    metavar="FILE.png",
    type=FilePath(),
    help="Draw views of examples of --data into this file; then stop.",
)
@click.option(
    "--probe",
    metavar="DATA",
    help="Labelled data, to measure the features on during training; of auto, to choose by.",
)
@click.option("--resume", is_flag=True, help="Go on where an interrupted run stopped.")
@checkpoint_seconds
@data_options
@run_options
@click.pass_context
def cli(context: click.Context, **given: Any) -> None:
    """Pretrain an encoder on many examples and write its weights.

    \b
    pretrain --strategy autoencoder --data fashion-mnist/A --out weights.h5
    pretrain --strategy auto --minutes 10 --data fashion-mnist/A --out weights.h5
    pretrain --data fashion-mnist/A --preview-augment views.png
    pretrain inspect weights.h5
    pretrain verify weights.h5 --data orl-faces/B
    pretrain import --from model.keras --out weights.h5
    """
    if is_subcommand(context):
        return
    list_all, described = given.pop("list_all"), given.pop("describe")
    if list_all or described is not None:
        from pretrain.commands.list import description, listing

        out(listing() if list_all else description(described))
        return
    for name in ("data",) if given["preview"] is not None else ("strategy", "data"):
        if given[name] is None:
            raise click.UsageError(
                f"Missing option '--{name}'. See 'pretrain --list' and '--help'."
            )
    from pretrain.commands.pretrain import pretrain_command

    config, reading = configured(PretrainConfig, given), configured(ReadOptions, given)
    pretrain_command(config, reading=reading, **given)


@cli.command()
@click.argument("file", type=FilePath())
@as_json_option
def inspect(file: Path, as_json: bool) -> None:
    """Check a weights file and print what it holds, without TensorFlow."""
    from pretrain.commands import inspect as found
    from pretrain.weights.file import WeightsFile

    weights = WeightsFile.read(file)
    if as_json:
        out_json(found.as_json(weights))
    else:
        out(found.describe(weights, file))


@cli.command()
@click.argument("file", type=FilePath())
@click.option(
    "--data",
    required=True,
    help="Labelled data: a name, a .npz file, a table or a folder of images.",
)
@data_options
@click.option(
    "--seed",
    default=0,
    show_default=True,
    type=click.IntRange(0, 2**31 - 1),
    help="Of the intervals.",
)
@threads
@as_json_option
def verify(**given: Any) -> None:
    """Measure whether features tell if two examples are the same item.

    Over all pairs of examples: the area under the curve (AUC) and the equal error rate of the features'
    cosines, beside those of the raw values' distances. Use people or items that were not in the pool.
    """
    from pretrain.commands.verify import verify_command

    verify_command(reading=configured(ReadOptions, given), **given)


@cli.command("import")
@click.option(
    "--from",
    "source",
    required=True,
    help="A .keras file, or keras.applications:NAME, such as keras.applications:MobileNetV2.",
)
@click.option(
    "--weights",
    help="Of keras.applications: imagenet (downloaded), none (random) or a .h5 file. "
    "[default: imagenet]",
)
@import_options
@weights_file
@threads
@force
@click.option("--quiet", is_flag=True, help="Do not say what was assumed.")
@as_json_option
def import_(**given: Any) -> None:
    """Turn a Keras model that was trained elsewhere into a weights file.

    Only layers of Keras itself are read, as data; a model with a Lambda or a custom class is refused.

    \b
    pretrain import --from model.keras --cut flatten --out weights.h5
    pretrain import --from keras.applications:MobileNetV2 --input-shape 96x96x3
    pretrain import --from keras.applications:MobileNetV2:alpha=0.35 --weights none
    """
    from pretrain.commands.import_ import import_command

    import_command(imported=import_arguments(given, "weights"), **given)


def main() -> None:
    """Run the command."""
    run_command(cli)
