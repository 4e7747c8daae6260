"""The configuration of a transfer: its fields are the command's options and Python's keywords."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.errors import InputError, arg
from headstart.options import check_options, option

if TYPE_CHECKING:
    from transfer.recipes import TransferRecipe

MAX_SEED = 2**31 - 1
SEARCH_SECONDS = 120.0


def blocks(*words: str) -> Callable[[Any], int | str]:
    """Return what reads a number of blocks, "all" or one of ``words``."""

    def parse(value: Any) -> int | str:
        if value is None or value in (*words, "all"):
            return value or "all"
        whole = isinstance(value, Integral) and not isinstance(value, bool)
        if (whole and value >= 0) or (isinstance(value, str) and value.isdecimal()):
            return int(value)
        known = ", ".join(map(repr, (*words, "all")))
        raise ValueError(f"must be {known} or a number of blocks")

    return parse


def rate_or_find(value: Any) -> float | str:
    """Read a learning rate or the word "find"."""
    if value == "find":
        return "find"
    try:
        rate = float(value)
    except (TypeError, ValueError):
        rate = 0.0
    if not 0 < rate <= 100:
        raise ValueError("must be above 0 and 100 or less, or 'find'")
    return rate


@dataclass(frozen=True, kw_only=True)
class TransferConfig:
    """All that decides a transfer, but for the encoder and the data.

    A field of a recipe that is None is the recipe's own.

    Attributes:
        rows: exactly these rows of the training part, in place of a budget that is drawn.

    Example:
        >>> TransferConfig(labels=200, head="logistic").search
        False
    """

    recipe: str | TransferRecipe = option(
        "default",
        "default, linear-probe (the encoder stays frozen) or notebook (4 and 16 epochs of plain SGD).",
        parse=lambda value: value,
        metavar="NAME",
    )
    labels: int | None = option(None, "Number of labels to use.", usual="all")
    labels_from: Path | None = option(
        None,
        "Use the labels of these examples: the file of `transfer suggest`.",
        metavar="FILE.csv",
    )
    allow_leakage: bool = option(
        False, "Measure even on test examples whose labels the pretraining used."
    )
    reuse: int | str | None = option(
        "all",
        "Keep the lowest K blocks; auto searches how many, and how to train, on validation.",
        parse=blocks("auto"),
        metavar="auto|all|K",
    )
    search_seconds: float | None = option(
        None,
        "With automatic reuse: begin no training after this many seconds.",
        within="(0, inf)",
        usual=f"{SEARCH_SECONDS:g}",
    )
    above: str | None = option(
        None,
        "Above the kept blocks: reset (the others, drawn anew), drop (nothing) or add (one new block).",
        usual="reset; drop for a solved head",
    )
    head: str | None = option(
        None,
        "linear or hidden (with one hidden layer), which are trained; logistic (regression), ridge (least "
        "squares) or knn (nearest neighbours), which are solved on frozen features.",
        usual="linear; ridge for a dictionary of patches",
    )
    unlabelled_method: str | None = option(
        None,
        "Use of the unlabelled examples: auto, self-training, spreading or consistency.",
        spelled=("unlabelled-method", "pool-method"),
        usual="auto",
    )
    unlabelled_size: int | None = option(
        None,
        "Maximum number of unlabelled examples.",
        within="[1, inf)",
        spelled=("unlabelled-size", "pool-size"),
        usual="5000",
    )
    unlabelled_temperature: float | None = option(
        None,
        "Temperature of the teacher's labels in self-training.",
        within="(0, 100]",
        spelled=("unlabelled-temperature", "pool-temperature"),
        usual="1",
    )
    freeze_epochs: int | None = option(
        None, "Epochs of the head alone.", within="[0, inf)", usual="the recipe's"
    )
    epochs: int | None = option(
        None, "Epochs of fine-tuning after that.", within="[0, inf)", usual="the recipe's"
    )
    head_learning_rate: float | None = option(
        None,
        "Learning rate while the reused blocks are frozen.",
        within="(0, 100]",
        usual="the recipe's",
    )
    learning_rate: float | str | None = option(
        None,
        "Learning rate of fine-tuning; find looks for one in a short run, and draws it.",
        parse=rate_or_find,
        metavar="find|RATE",
        spelled=("learning-rate", "lr"),
        usual="the recipe's",
    )
    batch_size: int | None = option(
        None, "Examples in a step.", within="[1, inf)", usual="the recipe's"
    )
    unfreeze: int | str | None = option(
        None,
        "Fine-tune the highest K kept blocks only.",
        parse=blocks(),
        metavar="all|K",
        usual="all",
    )
    gradual: bool | None = option(None, "Unfreeze block by block, from the top.")
    layer_decay: float | None = option(
        None, "Multiply the learning rate by this for each block down.", within="(0, 1]"
    )
    schedule: str | None = option(None, "constant or cosine.", usual="the recipe's")
    warmup: float | None = option(
        None, "Part of a stage in which the rate rises.", within="[0, 0.99]", usual="0"
    )
    solve: float | None = option(
        None,
        "Solve the frozen stage as a logistic regression of this C.",
        within="(0, inf)",
        metavar="C",
    )
    interpolate: float | None = option(
        None,
        "End this share of the way from the frozen weights to the fine-tuned ones.",
        within="[0, 1]",
        metavar="SHARE",
        usual="1",
    )
    statistics: str | None = option(
        None,
        "Statistics of normalisation in fine-tuned blocks: kept as they came, or moving.",
        usual="kept",
    )
    augment: str | None = option(
        None,
        "Train on random views, by a recipe for digits, objects, photos, faces or vectors; none does not; "
        "auto chooses by cross-validation inside the labels.",
        metavar="NAME",
        usual="none",
    )
    balance: bool | None = option(None, "Weigh all classes alike.")
    validation: float | None = option(
        None,
        "Hold out this part of the labels and keep the epoch that was best on them.",
        within="[0, 0.9]",
        usual="0",
    )
    export: tuple[str, ...] = option(
        (),
        "Write the model as onnx or savedmodel too, beside it; can be given several times.",
        metavar="FORMAT",
    )
    figures: bool = option(
        False,
        "Draw curves, confusion, a map of features and doubtful examples into a folder beside it.",
        spelled=("figures", "pictures"),
    )
    map: str = option("pca", "How the figures put the features on a map.", choices=("pca", "umap"))
    seed: int = option(0, "Decides every random choice.", within=f"[0, {MAX_SEED}]")
    rows: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        check_options(self)
        if self.labels is not None and self.labels_from is not None:
            rule = f"and {arg.labels_from} both say which labels to use"
            raise InputError(rule, argument="labels", hint="Leave one of them out.")
        if not self.search and self.search_seconds is not None:
            rule = "bounds the search for a way to reuse the encoder, and none was asked for"
            hint = f"Give {arg.reuse:auto}."
            raise InputError(rule, argument="search_seconds", value=self.search_seconds, hint=hint)
        for name in ("above", "head"):
            if self.search and getattr(self, name) is not None:
                rule = f"is what {arg.reuse:auto} chooses"
                hint = "Leave one of them out."
                raise InputError(rule, argument=name, value=getattr(self, name), hint=hint)
        if self.map != "pca" and not self.figures:
            raise InputError(
                f"is about {arg.figures}, which was not given", argument="map", value=self.map
            )

    @property
    def search(self) -> bool:
        """Whether validation inside the label budget chooses reuse, above and schedule."""
        return self.reuse == "auto"

    @property
    def chooses_views(self) -> bool:
        """Whether validation inside the label budget chooses the random views."""
        return self.augment == "auto"

    @property
    def kept_blocks(self) -> int | None:
        """The number of the encoder's lowest blocks that are kept; None: all, or as many as a search says."""
        return None if self.reuse in (None, "all", "auto") else int(self.reuse)

    @property
    def training(self) -> dict[str, Any]:
        """The fields of the recipe that were given, by name."""
        from transfer.recipes import FIELDS

        given = {name: getattr(self, name) for name in FIELDS}
        if self.chooses_views:
            del given["augment"]
        # Flags that are off, and "all", are what every recipe has.
        return {n: v for n, v in given.items() if v is not None and v is not False and v != "all"}

    @property
    def unlabelled(self) -> dict[str, Any]:
        """The options of unlabelled examples that were given: method, size, temperature."""
        given = {n: getattr(self, f"unlabelled_{n}") for n in ("method", "size", "temperature")}
        return {name: value for name, value in given.items() if value is not None}
