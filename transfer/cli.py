"""``transfer``: options and one call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from headstart.cli import (
    FilePath,
    checkpoint_seconds,
    config_options,
    configured,
    data_options,
    image_size,
    import_arguments,
    import_options,
    is_subcommand,
    options,
    out,
    out_json,
    positive,
    run_command,
    run_options,
    test_part,
)
from headstart.options import ReadOptions
from transfer.config import TransferConfig

if TYPE_CHECKING:
    from pretrain.engine.session import Session

FORMATS = ("onnx", "savedmodel")
# Not required by click, for a group that is called for a subcommand would ask for it too.
source_options = options(
    click.option(
        "--from",
        "encoder",
        metavar="FILE",
        help="The weights file that `pretrain` wrote, a .keras model, or keras.applications:NAME.",
    ),
    click.option(
        "--from-weights",
        help="Of keras.applications: imagenet (downloaded), none (random) or a .h5 file. "
        "[default: imagenet]",
    ),
    import_options,
)

model_option = click.option(
    "--model", required=True, type=FilePath(), help="The .keras file that `transfer` wrote."
)
output_options = options(
    click.option("--force", is_flag=True, help="Replace an existing output."),
    click.option("--json", "as_json", is_flag=True, help="Print one line of JSON."),
)


@click.group(
    invoke_without_command=True, subcommand_metavar="[predict ... | suggest ... | export ...]"
)
@source_options
@click.option(
    "--data", help="The labelled data: a name, a .npz file, a table or a folder of images."
)
@test_part
@click.option(
    "--unlabelled",
    "--pool",
    "unlabelled",
    metavar="DATA",
    help="More examples, without labels: used if validation says that they help.",
)
@click.option(
    "--out", default="model.keras", show_default=True, type=FilePath(), help="The model to write."
)
@config_options(TransferConfig, without=("seed",))
@click.option("--resume", is_flag=True, help="Go on where an interrupted run stopped.")
@checkpoint_seconds
@data_options
@run_options
@click.pass_context
def cli(context: click.Context, **given: Any) -> None:
    """Put a new head on a pretrained encoder and train it on a few labels.

    \b
    transfer --from weights.h5 --data fashion-mnist/B --labels 200 --out model.keras
    transfer --from other.keras --data photos/ --labels 200 --out photos.keras
    transfer predict --model model.keras --data photos/ --out predictions.csv
    transfer suggest --from weights.h5 --data photos/ --labels 100 --out suggested.csv
    transfer export --model model.keras --to onnx --to savedmodel

    Beside the model, a .json file of the same name holds the result, and a .md file tells it.
    """
    if is_subcommand(context):
        return
    _required(given, "transfer --help", encoder="--from", data="--data")
    config, reading = configured(TransferConfig, given), configured(ReadOptions, given)
    from transfer.commands.transfer import transfer_command

    imported, session = import_arguments(given, "from_weights"), _session(given)
    transfer_command(config, session, imported=imported, reading=reading, **given)


@cli.command()
@model_option
@click.option(
    "--data",
    required=True,
    help="New examples: a name, a .npz file, a table or a folder of images.",
)
@click.option("--out", required=True, type=FilePath(), help="The CSV file to write.")
@click.option(
    "--image-size",
    type=image_size,
    metavar="HxW",
    help="Size to which a folder's images are resized. [default: the model's]",
)
@click.option("--delimiter", help="The character between the cells of a table. [default: a comma]")
@click.option(
    "--skip-unreadable", is_flag=True, help="Leave unreadable files out; they are counted."
)
@output_options
def predict(as_json: bool, **given: Any) -> None:
    """Predict new examples with a model, to CSV."""
    from transfer.commands.predict import predict_command

    result = predict_command(**given)
    if as_json:
        out_json(result)
        return
    score = ""
    if "accuracy" in result:
        score = f", accuracy {100 * result['accuracy']:.2f} %"
    elif "rmse" in result:
        score = f", RMSE {result['rmse']:.4g}"
    elif "micro_f1" in result:
        score = f", micro-F1 {100 * result['micro_f1']:.2f} %"
    out(f"Wrote {result['out']}: {result['examples']:,} predictions{score}")


@cli.command()
@model_option
@click.option(
    "--to",
    required=True,
    multiple=True,
    type=click.Choice(FORMATS),
    help="The format; can be given several times.",
)
@click.option("--data", help="Examples to compare the outputs on. [default: random ones]")
@output_options
def export(as_json: bool, **given: Any) -> None:
    """Write a model in another format: model.onnx, or the folder model-savedmodel, beside it.

    Its outputs are compared with the model's before it is kept.
    """
    from transfer.commands.predict import export_command

    made = export_command(**given)
    if as_json:
        out_json({"exports": made})
        return
    for row in made:
        kind = "examples" if row["examples"]["kind"] == "given" else "random examples"
        out(
            f"Wrote {row['path']}: its outputs differ from the model's by at most "
            f"{row['difference']:.1e}, on {row['examples']['n']} {kind}"
        )


@cli.command()
@source_options
@click.option(
    "--data",
    "--pool",
    "data",
    required=True,
    help="The examples to choose from: a name, a .npz file, a table or a folder of images.",
)
@click.option("--labels", required=True, type=positive, help="How many examples to suggest.")
@click.option(
    "--out",
    default="suggested.csv",
    show_default=True,
    type=FilePath(),
    help="The CSV file to write; the picture beside it ends in .png.",
)
@test_part
@data_options
@run_options
def suggest(as_json: bool, **given: Any) -> None:
    """Suggest which examples to label: typical ones, by the encoder's features and, of images, by patches.

    No label is looked at. Of labelled data, examples are chosen from the part that `transfer` trains on,
    and `transfer --labels-from` uses them: give both the same --data, --test-part and --seed.
    """
    _required(given, "transfer suggest --help", encoder="--from")
    from transfer.commands.suggest import suggest_command

    reading = configured(ReadOptions, given)
    imported, session = import_arguments(given, "from_weights"), _session(given)
    try:
        result = suggest_command(session, imported=imported, reading=reading, **given)
    finally:
        session.reporter.close()
    if as_json:
        out_json(result)
    else:
        beside = f" and {result['picture']}" if result["picture"] else ""
        out(
            f"Wrote {result['out']}{beside}: {result['labels']:,} of {result['examples']:,} examples"
        )


def _session(given: dict[str, Any]) -> Session:
    """Take a session's options out of those of a command, and return the session."""
    from pretrain.engine.progress import make_reporter
    from pretrain.engine.session import Session

    names = ("threads", "resume", "force", "checkpoint_seconds")
    own = {name: given.pop(name) for name in names if name in given}
    return Session(reporter=make_reporter(given.pop("quiet")), **own)


def _required(given: Mapping[str, Any], see: str, **options: str) -> None:
    """Refuse, as click would, when one of these is missing."""
    for name, option in options.items():
        if given[name] is None:
            raise click.UsageError(f"Missing option '{option}'. See '{see}'.")


def main() -> None:
    """Run the command."""
    run_command(cli)
