"""``pretrain``: options and one call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from headstart.cli import (
    augment_options,
    checkpoint_seconds,
    data_options,
    import_arguments,
    import_options,
    is_subcommand,
    out,
    out_json,
    pairs,
    positive,
    rate,
    run_command,
    run_options,
)


@click.group(
    invoke_without_command=True, subcommand_metavar="[inspect FILE | verify FILE ... | import ...]"
)
@click.option(
    "--list", "list_all", is_flag=True, help="List whatever there is to choose from; then stop."
)
@click.option(
    "--describe", metavar="NAME", help="Explain a strategy, encoder or augmentation; then stop."
)
@click.option("--strategy", help="How to pretrain: see --list.")
@click.option("--data", help="The pool: a name, a .npz file or a folder of images.")
@click.option(
    "--out",
    "output",
    default="weights.h5",
    show_default=True,
    type=Path,
    help="The weights file to write.",
)
@click.option(
    "--opt", "options", multiple=True, callback=pairs, help="name=value, of the strategy."
)
@click.option(
    "--recipe", default="default", show_default=True, help="default, or seed (the notebook's)."
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
@click.option("--epochs", type=positive, help="[default: the strategy's, more for a small pool]")
@click.option("--batch-size", type=positive, help="Examples in a step. [default: the strategy's]")
@click.option("--learning-rate", type=rate, help="[default: the strategy's]")
@click.option("--optimizer", type=click.Choice(["adam", "sgd"]), help="[default: the strategy's]")
@click.option("--schedule", type=click.Choice(["constant", "cosine"]), help="Of the learning rate.")
@click.option(
    "--validation",
    default=0.1,
    show_default=True,
    type=click.FloatRange(0, 0.9),
    help="Part of the pool held out to measure on.",
)
@augment_options
@click.option(
    "--preview-augment",
    "preview",
    metavar="FILE.png",
    type=Path,
    help="Draw views of examples of --data into this file; then stop.",
)
@click.option(
    "--probe", metavar="DATA", help="Labelled data, to measure the features on during training."
)
@click.option("--probe-every", type=positive, help="In epochs. [default: about 20 times a stage]")
@click.option(
    "--keep-best",
    type=click.Choice(["probe", "validation"]),
    help="Write the epoch that was best at it. [default: the last epoch]",
)
@click.option(
    "--collapse",
    default="stop",
    show_default=True,
    type=click.Choice(["stop", "warn", "off"]),
    help="When all examples get the same features.",
)
@click.option(
    "--fingerprints/--no-fingerprints",
    default=True,
    show_default=True,
    help="Let the file tell which examples were in the pool.",
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
    pretrain --data fashion-mnist/A --preview-augment views.png
    pretrain inspect weights.h5
    pretrain verify weights.h5 --data orl-faces/B
    pretrain import --from model.keras --out weights.h5
    """
    if is_subcommand(context):
        return
    if given["list_all"]:
        from pretrain.commands.list import listing

        out(listing())
        return
    if given["describe"] is not None:
        from pretrain.commands.list import description

        out(description(given["describe"]))
        return
    for name in ("data",) if given["preview"] is not None else ("strategy", "data"):
        if given[name] is None:
            raise click.UsageError(
                f"Missing option '--{name}'. See 'pretrain --list' and '--help'."
            )
    from pretrain.commands.pretrain import pretrain_command, preview_command

    if given["preview"] is not None:
        preview_command(**given)
    else:
        pretrain_command(**given)


@cli.command()
@click.argument("file", type=Path)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
def inspect(file: Path, as_json: bool) -> None:
    """Check a weights file and print what it holds, without TensorFlow."""
    from pretrain.commands.inspect import as_json as to_json
    from pretrain.commands.inspect import describe
    from pretrain.weights.file import WeightsFile

    weights = WeightsFile.read(file)
    if as_json:
        out_json(to_json(weights))
    else:
        out(describe(weights, file))


@cli.command()
@click.argument("file", type=Path)
@click.option(
    "--data", required=True, help="Labelled data: a name, a .npz file or a folder of images."
)
@data_options
@click.option(
    "--seed",
    default=0,
    show_default=True,
    type=click.IntRange(0, 2**31 - 1),
    help="Of the intervals.",
)
@click.option("--threads", type=positive, help="Threads in one operation. [default: all cores]")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
def verify(as_json: bool, **given: Any) -> None:
    """Measure whether features tell if two examples are the same item.

    Over all pairs of examples: the area under the curve (AUC) and the equal error rate of the features'
    cosines, beside those of the raw values' distances. Use people or items that were not in the pool.
    """
    from pretrain.commands.verify import describe, verify_command

    result = verify_command(**given)
    if as_json:
        out_json(result)
    else:
        out(describe(result))


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
@click.option(
    "--out",
    "output",
    default="weights.h5",
    show_default=True,
    type=Path,
    help="The weights file to write.",
)
@click.option("--threads", type=positive, help="Threads in one operation. [default: all cores]")
@click.option("--force", is_flag=True, help="Replace an existing output.")
@click.option("--quiet", is_flag=True, help="Do not say what was assumed.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one line of JSON.")
def import_(as_json: bool, **given: Any) -> None:
    """Turn a Keras model that was trained elsewhere into a weights file.

    Only layers of Keras itself are read, as data; a model with a Lambda or a custom class is refused.

    \b
    pretrain import --from model.keras --cut flatten --out weights.h5
    pretrain import --from keras.applications:MobileNetV2 --input-shape 96x96x3
    pretrain import --from keras.applications:MobileNetV2:alpha=0.35 --weights none
    """
    from pretrain.commands.import_ import import_command

    imported = import_arguments(given, "weights")
    result = import_command(imported=imported, **given)
    if as_json:
        out_json(result)
    else:
        out(f"Wrote {result['out']}: {result['receipt']}, digest {result['digest'][:16]}")


def main() -> None:
    """Run the command."""
    run_command(cli)
