"""Options of ``transfer`` in groups, and the types of their values."""

from __future__ import annotations

from typing import Any

import click

from headstart.cli import FilePath, Rate, import_options, options, positive, rate


class Blocks(click.ParamType):
    """ "all" or a number of blocks; of ``words``, others as they are."""

    def __init__(self, *words: str) -> None:
        self.words = words
        self.name = "|".join([*words, "all", "K"])

    def convert(self, value: Any, parameter: Any, context: Any) -> int | str | None:
        """Return None for "all", else the number or the word."""
        if value is None or value == "all":
            return None
        if isinstance(value, int) or value in self.words:
            return value
        if value.isdecimal():
            return int(value)
        words = "".join(f"{word!r}, " for word in self.words)
        return self.fail(
            f"must be {words}'all' or a number of blocks. Got {value!r}.", parameter, context
        )


class RateOrFind(click.ParamType):
    """A learning rate or "find"."""

    name = "find|RATE"

    def convert(self, value: Any, parameter: Any, context: Any) -> float | str:
        """Return the number or the word."""
        return "find" if value == "find" else float(rate.convert(value, parameter, context))


# Not required by click, for a group that is called for a subcommand would ask for it too.
source_options = options(
    click.option(
        "--from",
        "weights",
        type=FilePath(),
        help="The weights file that `pretrain` wrote, a .keras model, or keras.applications:NAME.",
    ),
    click.option(
        "--from-weights",
        help="Of keras.applications: imagenet (downloaded), none (random) or a .h5 file. "
        "[default: imagenet]",
    ),
    import_options,
)
pool_options = options(
    click.option(
        "--pool", help="More examples, without labels: used if validation says that they help."
    ),
    click.option("--pool-method", help="auto, self-training or spreading. [default: auto]"),
    click.option("--pool-size", type=positive, help="Use at most so many of them. [default: 5000]"),
    click.option(
        "--pool-temperature",
        type=rate,
        help="Of the teacher's labels in self-training. [default: 1]",
    ),
)
# Each sets the field of the recipe that has its name; what was not given is None, and leaves it.
recipe_options = options(
    click.option("--freeze-epochs", type=click.IntRange(min=0), help="Epochs of the head alone."),
    click.option("--epochs", type=click.IntRange(min=0), help="Epochs of fine-tuning after that."),
    click.option("--head-learning-rate", type=rate, help="While the reused blocks are frozen."),
    click.option(
        "--learning-rate",
        "--lr",
        type=RateOrFind(),
        help="While fine-tuning; find looks for one in a short run, and draws it.",
    ),
    click.option("--batch-size", type=positive, help="Examples in a step. [default: the recipe's]"),
    click.option(
        "--unfreeze", type=Blocks(), help="Fine-tune the highest K kept blocks only. [default: all]"
    ),
    click.option(
        "--gradual", is_flag=True, default=None, help="Unfreeze block by block, from the top."
    ),
    click.option(
        "--layer-decay",
        type=Rate(min=0, min_open=True, max=1),
        help="Multiply the learning rate by this for each block down.",
    ),
    click.option("--schedule", help="constant or cosine. [default: the recipe's]"),
    click.option(
        "--warmup", type=float, help="Part of a stage in which the rate rises. [default: 0]"
    ),
    click.option(
        "--solve",
        type=float,
        metavar="C",
        help="Solve the frozen stage as a logistic regression of this C.",
    ),
    click.option(
        "--interpolate",
        type=float,
        metavar="SHARE",
        help="End this share of the way from the frozen weights to the fine-tuned ones. [default: 1]",
    ),
    click.option(
        "--statistics",
        help="Of normalisation in fine-tuned blocks: kept as they came, or moving. [default: kept]",
    ),
    click.option("--balance", is_flag=True, default=None, help="Weigh all classes alike."),
    click.option(
        "--validation",
        type=float,
        help="Hold out this part of the labels and keep the epoch that was best on them. [default: 0]",
    ),
)
