"""Configuration of a pretraining run, checked against a data set without TensorFlow."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from headstart.errors import InputError, suggest
from pretrain.augment.recipes import Augmentation
from pretrain.encoders import ARCHITECTURES, encoder_config, expected_shapes, fresh_names
from pretrain.encoders.base import resolve_options
from pretrain.encoders.encoder import Preprocessing
from pretrain.engine.stage import Optimizer
from pretrain.monitoring.collapse import MODES
from pretrain.monitoring.probe import Probe
from pretrain.strategies import strategy
from pretrain.strategies.base import Recipe, Setup, Strategy
from tasks.dataset import Dataset
from tasks.splits import class_split, stratified_split
from tasks.targets import KINDS


@dataclass(frozen=True, kw_only=True)
class PretrainRecipe:
    """encoder: its name or "auto"; fields: of the strategy's recipe (epochs, batch_size, ...)."""

    encoder: str = "auto"
    fields: Mapping[str, Any] = field(default_factory=dict)


PRETRAIN_RECIPES: dict[str, PretrainRecipe] = {
    "default": PretrainRecipe(),
    # The notebook's: its dense net, 20 epochs of plain SGD.
    "seed": PretrainRecipe(
        encoder="mlp",
        fields={
            "epochs": 20,
            "batch_size": 32,
            "learning_rate": 1e-3,
            "optimizer": Optimizer(name="sgd"),
            "schedule": "constant",
        },
    ),
}


def pretrain_recipe(name: str) -> PretrainRecipe:
    """Return the recipe called ``name``. Raises InputError with near names."""
    if name not in PRETRAIN_RECIPES:
        raise InputError(
            f"There is no recipe {name!r}.{suggest(name, PRETRAIN_RECIPES)} "
            f"There are: {', '.join(PRETRAIN_RECIPES)}."
        )
    return PRETRAIN_RECIPES[name]


VALIDATION = 0.1
# Of random numbers for heads, decoders and generators; transfer's heads have 1.
HEADS_STREAM = 2
# Two classes must be left to hold out, and two to train on, with something to spare.
LEAST_CLASSES = 5
KEEP_BEST = {"probe": ("probe_linear", 1), "validation": ("val_loss", -1)}
"""What --keep-best can look at: the metric, and whether more (1) or less (-1) is better."""


@dataclass(frozen=True, kw_only=True)
class PretrainConfig:
    """All that decides a pretraining run, but for the data.

    encoder: the architecture's name, or "auto": convnet for images, mlp for vectors.
    augment: the recipe of the random views, or "auto": by what the data show.
    recipe: fields that replace those of the strategy's own recipe.
    validation: the part of the pool held out to measure the loss on; never trained on.
    collapse: what happens when the features become the same for all examples: "stop" the run, "warn",
        or "off". It changes no number of a run that goes on.
    keep_best: "probe" or "validation": each stage ends with its best epoch instead of its last.
    probe_every: epochs between two probes; None chooses so that there are about 20.
    """

    strategy: str
    options: Mapping[str, Any] = field(default_factory=dict)
    encoder: str = "auto"
    encoder_options: Mapping[str, Any] = field(default_factory=dict)
    augment: str = "auto"
    augment_options: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    validation: float = VALIDATION
    collapse: str = "stop"
    keep_best: str | None = None
    probe_every: int | None = None
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A configuration checked against a data set: nothing in it can be refused any more."""

    row: Strategy
    options: dict[str, Any]
    labelled: bool
    encoder: dict[str, Any]
    preprocessing: Preprocessing
    augmentation: Augmentation | None
    recipe: Recipe
    validation: float
    collapse: str
    probe: Probe | None
    keep_best: str | None
    seed: int

    @classmethod
    def make(cls, dataset: Dataset, config: PretrainConfig, probe: Dataset | None = None) -> Plan:
        """Check everything that can be, without TensorFlow. Raises InputError.

        ``probe``: a small labelled set to measure the features on as the training goes on.
        """
        row = strategy(config.strategy)
        options = resolve_options(f"the strategy {row.name!r}", row.options, config.options)
        check_needs(row, dataset)
        if not 0 <= config.validation < 1:
            raise InputError(
                f"The part held out must be at least 0 and below 1. Got {config.validation}."
            )
        encoder = choose_encoder(dataset, config.encoder, config.encoder_options, row)
        _check_watching(config, probe)
        return cls(
            row=row,
            options=options,
            labelled=row.labelled(options, dataset.classes),
            encoder=encoder,
            preprocessing=Preprocessing.fit(dataset),
            augmentation=_augmentation(row, dataset, config),
            recipe=_recipe(row.recipe, config, len(dataset.x)),
            validation=config.validation,
            collapse=config.collapse,
            probe=None if probe is None else Probe.of(probe, dataset, config.probe_every),
            keep_best=config.keep_best,
            seed=config.seed,
        )

    def to_json(self) -> dict[str, Any]:
        """Return what decides the run but for the data, as JSON.

        Not how a collapse is met: that stops a run or lets it go on, and changes none of its numbers.
        """
        return {
            "strategy": self.row.name,
            "options": self.options,
            "labelled": self.labelled,
            "encoder": self.encoder,
            "preprocessing": self.preprocessing.to_json(),
            "augmentation": self.augmentation and self.augmentation.to_json(),
            "recipe": asdict(self.recipe),
            "validation": self.validation,
            "probe": self.probe and self.probe.to_json(),
            "keep_best": self.keep_best,
            "seed": self.seed,
        }

    def sharing_key(self, n_classes: int) -> str:
        """Return what the stages' computation depends on, but for seed and data."""
        apart = ("seed", "validation", "probe", "keep_best")
        parts = {k: v for k, v in self.to_json().items() if k not in apart}
        return json.dumps({**parts, "n_classes": n_classes}, sort_keys=True)

    def split(self, dataset: Dataset) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray] | None]:
        """Return the pool's arrays to train on, and the held-out ones or None."""
        whole = {"x": dataset.x}
        if self.labelled and dataset.classes is not None:
            whole["y"] = dataset.classes.astype(np.int32)
        if not self.validation:
            return whole, None
        labels = dataset.classes if self.labelled else None
        by_class = self.row.split == "classes" and dataset.n_classes >= LEAST_CLASSES
        if by_class and labels is not None:
            kept, held = class_split(labels, self.validation, self.seed)
        else:
            kept, held = stratified_split(labels, len(dataset.x), self.validation, self.seed)
        if not len(held):
            return whole, None
        return {n: a[kept] for n, a in whole.items()}, {n: a[held] for n, a in whole.items()}

    @contextmanager
    def setting_up(
        self,
        encoder: Any,
        arrays: Mapping[str, np.ndarray],
        validation: Mapping[str, np.ndarray] | None,
        n_classes: int,
    ) -> Iterator[Setup]:
        """Give a strategy its setup; heads that are drawn inside are a function of the seed alone.

        encoder: the ``pretrain.encoders.encoder.Encoder``; arrays, validation: what ``split`` returned;
        n_classes: of the pool.
        """
        from pretrain.encoders.encoder import seeded, stream

        with seeded(stream(self.seed, HEADS_STREAM)):
            yield Setup(
                encoder=encoder,
                preprocess=self.preprocessing,
                arrays=arrays,
                validation=validation,
                n_classes=n_classes if self.labelled else 0,
                options=self.options,
                recipe=self.recipe,
                **({"augmentation": self.augmentation} if self.augmentation else {}),
            )


def check_needs(row: Strategy, dataset: Dataset) -> None:
    """Refuse a strategy whose needs the pool does not meet. Raises InputError."""
    if row.needs_labels and dataset.y is None:
        raise InputError(
            f"The strategy {row.name!r} needs a labelled pool, and {dataset.name!r} has no labels. "
            f"Choose a strategy without labels, such as 'autoencoder'."
        )
    if row.needs_labels and dataset.classes is None:
        raise InputError(
            f"The strategy {row.name!r} learns classes, and y of {dataset.name!r} is "
            f"{KINDS[dataset.target or '']}. Choose a strategy without labels, such as 'autoencoder'."
        )
    if row.needs_labels and dataset.n_classes < 2:
        raise InputError(
            f"The strategy {row.name!r} needs two classes or more, and {dataset.name!r} has one."
        )
    shape = dataset.input_shape
    if row.square_images and (len(shape) != 3 or shape[0] != shape[1]):
        raise InputError(
            f"The strategy {row.name!r} needs images as high as wide, and those of "
            f"{dataset.name!r} have shape {shape}. For a folder give --image-size."
        )


def _check_watching(config: PretrainConfig, probe: Dataset | None) -> None:
    """Refuse settings of what watches the run that contradict each other. Raises InputError."""
    if config.collapse not in MODES:
        raise InputError(f"--collapse must be one of {', '.join(MODES)}. Got {config.collapse!r}.")
    if config.keep_best not in (None, *KEEP_BEST):
        raise InputError(
            f"--keep-best must be one of {', '.join(KEEP_BEST)}. Got {config.keep_best!r}."
        )
    if config.keep_best == "probe" and probe is None:
        raise InputError(
            "--keep-best probe needs labelled examples to probe on: give --probe DATA."
        )
    if config.keep_best == "validation" and not config.validation:
        raise InputError("--keep-best validation needs a held-out part: give --validation above 0.")
    if config.probe_every is not None and probe is None:
        raise InputError("--probe-every changes nothing without --probe DATA: leave it out.")
    if config.probe_every is not None and config.probe_every < 1:
        raise InputError(f"--probe-every must be 1 or more. Got {config.probe_every}.")


def _recipe(default: Recipe, config: PretrainConfig, size: int) -> Recipe:
    """Return the recipe with the configuration's fields, and with enough epochs for a small pool."""
    recipe = replace(default, **config.recipe)
    if "epochs" in config.recipe:
        return recipe
    steps = math.ceil(size * (1 - config.validation) / recipe.batch_size)
    return replace(recipe, epochs=max(recipe.epochs, math.ceil(recipe.least_updates / steps)))


def _augmentation(row: Strategy, dataset: Dataset, config: PretrainConfig) -> Augmentation | None:
    """Return the random views that the strategy asks for. Raises InputError."""
    if row.augments:
        return Augmentation.resolve(dataset, config.augment, config.augment_options)
    if config.augment != "auto" or config.augment_options:
        raise InputError(
            f"The strategy {row.name!r} makes no random views, so --augment changes nothing: leave it out."
        )
    return None


def choose_encoder(
    dataset: Dataset, name: str, options: Mapping[str, Any], row: Strategy | None = None
) -> dict[str, Any]:
    """Return the checked configuration of an encoder for the data set's examples.

    ``row``: the strategy that is to train it, whose own defaults stand where ``options`` has none.
    Raises InputError, also when the strategy cannot train it.
    """
    if name == "auto":
        name = "convnet" if len(dataset.input_shape) == 3 else "mlp"
        if row is not None and row.encoders is not None and name not in row.encoders:
            name = next(iter(row.encoders))
    if name in ARCHITECTURES and ARCHITECTURES[name].imported:
        raise InputError(
            f"The encoder {name!r} is a model that was trained elsewhere: `pretrain import` makes it, and "
            f"this version cannot pretrain it further. Choose one of: {', '.join(fresh_names())}."
        )
    if row is not None and row.encoders is not None:
        if name in ARCHITECTURES and name not in row.encoders:
            raise InputError(
                f"The strategy {row.name!r} cannot train the encoder {name!r}. "
                f"It can train: {', '.join(row.encoders)}."
            )
        options = {**row.encoders.get(name, {}), **options}
    config = encoder_config(name, dataset.input_shape, options)
    expected_shapes(config)
    return config
