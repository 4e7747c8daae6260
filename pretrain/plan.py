"""The plan of a pretraining run: a configuration checked against a data set."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from headstart.errors import InputError, arg, require
from headstart.files import check_output
from headstart.options import check_options
from pretrain.augment.recipes import Augmentation
from pretrain.augment.views import check_views
from pretrain.config import PretrainConfig, pretrain_recipe, whole_if_equal
from pretrain.encoders import ARCHITECTURES, encoder_config, expected_shapes, fresh_names
from pretrain.encoders.base import resolve_options
from pretrain.encoders.encoder import Encoder, Preprocessing, seeded, stream
from pretrain.engine.checkpoint import Checkpoints
from pretrain.engine.runtime import settings
from pretrain.engine.session import Session
from pretrain.engine.stage import Optimizer
from pretrain.monitoring.artifacts import Companions
from pretrain.monitoring.probe import Probe
from pretrain.strategies import AUTO, strategy
from pretrain.strategies.base import NO_VIEWS, Recipe, Setup, Strategy
from pretrain.weights.file import WeightsFile
from tasks.dataset import Dataset
from tasks.splits import class_split, stratified_split
from tasks.targets import KINDS

# The stream of random numbers for heads, decoders and generators; transfer's heads have 1.
HEADS_STREAM = 2
# Two classes must be left to hold out, and two to train on, with something to spare.
MIN_CLASSES = 5
OF_RECIPE: dict[str, Callable[[Any], Any]] = {
    "epochs": whole_if_equal,
    "batch_size": int,
    "learning_rate": float,
    "schedule": str,
}
"""Options that replace a field of the strategy's recipe, with their types; ``optimizer`` does too."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PretrainPlan:
    """A configuration checked against a data set: everything that can be refused has been.

    Attributes:
        dataset: the pool; its test part is never looked at.
        row: the strategy.
        options: the strategy's, complete.
        labelled: the strategy uses the pool's labels.
        encoder: its configuration, as JSON.
        preprocessing: from raw examples to what the encoder sees.
        augmentation: the random views; None for strategies without them.
        recipe: how long and how fast to train.
        validation: the part of the pool held out to measure the loss on; never trained on.
        collapse: "stop" the run, "warn", or "off", when all examples get the same features.
        probe: labelled examples to measure the features on during training.
        keep_best: "probe" or "validation": each stage ends with its best epoch instead of its last.
        fingerprints: store those of the pool in the file.
        seed: decides every random choice.
        out: the weights file to write; None leaves the weights in memory.
        companions: write the epochs as a table and as curves, and pictures, beside the weights.
        finished: the weights at ``out``, when an equal run has finished already and is resumed.
    """

    dataset: Dataset
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
    fingerprints: bool
    seed: int
    out: Path | None = None
    companions: bool = False
    finished: WeightsFile | None = None

    @classmethod
    def make(
        cls,
        dataset: Dataset,
        config: PretrainConfig,
        *,
        probe: Dataset | None = None,
        out: Path | None = None,
        session: Session | None = None,
        companions: bool = True,
    ) -> PretrainPlan:
        """Check everything, start the session, and return a plan that ``pretrain`` can run.

        Args:
            dataset: the pool. Its labels are used only when the strategy needs them.
            config: all that decides the run.
            probe: a small labelled set to measure the features on during training; its training part only.
            out: the weights file to write; checkpoints lie in ``out`` + ".checkpoints" until the end. None
                leaves the weights in memory, without checkpoints and companions.
            session: surrounds the run; None is a new one.
            companions: write the epochs as a table and as curves, and pictures, beside the weights.

        Raises:
            InputError: the configuration, the data or an output cannot be used; nothing was written.
        """
        session = session or Session()
        plan = cls.resolve(dataset, config, probe=probe)
        if out is not None:
            replaced = session.force or session.resume
            check_output(out, force=replaced)
            if companions:
                Companions(out=out).check(force=replaced)
            plan = replace(plan, out=out, companions=companions)
        # Only now: TensorFlow takes seconds to import.
        session.start()
        plan.check_views()
        saved = plan.checkpoints(session)
        if saved is None or out is None:
            return plan
        saved.check(force=session.force, resume=session.resume)
        if session.resume and not saved.files() and out.exists():
            weights = WeightsFile.read(out)
            if weights.metadata.get("identity") != saved.identity:
                raise InputError(
                    f"{out} exists and is another run's.",
                    hint=f"Give another {arg.out}, or {arg.force:True}.",
                )
            return replace(plan, finished=weights)
        return plan

    @classmethod
    def resolve(
        cls, dataset: Dataset, config: PretrainConfig, *, probe: Dataset | None = None
    ) -> PretrainPlan:
        """Check the configuration against the data without TensorFlow and without an output.

        The part of ``make`` for those who plan many runs, or none.

        Raises:
            InputError: as ``make``, except for outputs and for views that do not differ.
        """
        row = strategy(config.strategy)
        check_options(config)
        rule = f"changes nothing: the strategy {row.name!r} trains for its epochs"
        hint = f"Give {arg.strategy:auto} or {arg.epochs}."
        require(config.minutes is None, "minutes", rule, value=config.minutes, hint=hint)
        options = resolve_options(f"the strategy {row.name!r}", row.options, config.options)
        check_needs(row, dataset)
        name = config.encoder or pretrain_recipe(config.recipe).encoder
        encoder = choose_encoder(dataset, name, config.encoder_options, row)
        labelled = row.labelled(options, dataset.classes)
        if row.check is not None:
            row.check(options, encoder, dataset.classes if labelled else None)
        _check_monitoring(config, probe)
        plan = cls(
            dataset=dataset,
            row=row,
            options=options,
            labelled=labelled,
            encoder=encoder,
            preprocessing=Preprocessing.fit(dataset),
            augmentation=_augmentation(row, dataset, config),
            recipe=_recipe(row, config, len(dataset.x)),
            validation=float(config.validation),
            collapse=config.collapse,
            probe=None if probe is None else Probe.of(probe, dataset, config.probe_every),
            keep_best=config.keep_best,
            fingerprints=config.fingerprints,
            seed=int(config.seed),
        )
        if plan.keep_best == "validation":
            plan._check_validation()
        return plan

    def _check_validation(self) -> None:
        """Refuse to keep the epoch with the best validation loss where there is no such loss."""
        _, held_out = self.split()
        why = f"the strategy {self.row.name!r} has no single validation loss on it"
        if held_out is None:
            why = f"the pool {self.dataset.name!r} is too small for a held-out part"
        good = held_out is not None and self.row.measures(held_out)
        hint = f"Use {arg.keep_best:probe} with {arg.probe:DATA}, or leave it out."
        require(good, "keep_best", f"cannot be used here: {why}", value="validation", hint=hint)

    def check_views(self) -> None:
        """Refuse random views that leave most examples as they are. Takes TensorFlow.

        Raises:
            InputError: too few of the examples' views differ.
        """
        if self.augmentation is not None:
            check_views(self.dataset, self.augmentation, self.row.name)

    def identity(self) -> dict[str, Any]:
        """Return all that decides the bits of the run in this process, as JSON. TensorFlow must run."""
        return {**self.to_json(), "data": self.dataset.fingerprint, **settings()}

    def checkpoints(self, session: Session) -> Checkpoints | None:
        """Return where the run saves its state; None without an output."""
        if self.out is None:
            return None
        return Checkpoints.beside(self.out, self.identity(), session.checkpoint_seconds)

    def to_json(self) -> dict[str, Any]:
        """Return what decides the run, except the data, as JSON.

        Without ``collapse``, which stops a run or lets it go on and changes none of its numbers.
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

    def sharing_key(self) -> str:
        """Return what the stages' computation depends on, except seed and data."""
        apart = ("seed", "validation", "probe", "keep_best")
        parts = {k: v for k, v in self.to_json().items() if k not in apart}
        return json.dumps({**parts, "n_classes": self.dataset.n_classes}, sort_keys=True)

    def split(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray] | None]:
        """Return the pool's arrays to train on, and the held-out ones or None.

        Each is {"x": (N, ...), "y": (N,) int32 where the strategy uses labels}.
        """
        dataset = self.dataset
        whole = {"x": dataset.x}
        if self.labelled and dataset.classes is not None:
            whole["y"] = dataset.classes.astype(np.int32)
        if not self.validation:
            return whole, None
        labels = dataset.classes if self.labelled else None
        by_class = self.row.split == "classes" and dataset.n_classes >= MIN_CLASSES
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
        encoder: Encoder,
        arrays: Mapping[str, np.ndarray],
        validation: Mapping[str, np.ndarray] | None,
    ) -> Iterator[Setup]:
        """Yield the strategy's setup; heads that are drawn inside are a function of the seed alone.

        Args:
            encoder: with its initial weights.
            arrays, validation: as ``split`` returns them.
        """
        with seeded(stream(self.seed, HEADS_STREAM)):
            yield Setup(
                encoder=encoder,
                preprocess=self.preprocessing,
                arrays=arrays,
                validation=validation,
                n_classes=self.dataset.n_classes if self.labelled else 0,
                options=self.options,
                recipe=self.recipe,
                augmentation=self.augmentation or NO_VIEWS,
            )


def pool_rows(config: PretrainConfig) -> str:
    """Return which rows of a table are the pool: all, or those with the target where labels are needed."""
    if config.strategy == AUTO:
        return "all"
    return "labelled" if strategy(config.strategy).needs_labels else "all"


def check_needs(row: Strategy, dataset: Dataset) -> None:
    """Refuse a strategy whose needs the pool does not meet.

    Raises:
        InputError: of the argument ``strategy``.
    """

    def check(holds: bool, rule: str, hint: str = "") -> None:
        require(holds, "strategy", rule, value=row.name, hint=hint)

    name, shape = repr(dataset.name), dataset.input_shape
    if row.needs_labels:
        other = "Choose a strategy without labels, such as 'autoencoder'."
        check(dataset.y is not None, f"needs a labelled pool, and {name} has no labels", other)
        kind = KINDS[dataset.target or ""]
        check(dataset.classes is not None, f"learns classes, and y of {name} is {kind}", other)
        check(dataset.n_classes >= 2, f"needs two classes or more, and {name} has one")
    if row.square_images:
        rule = f"needs images as high as wide, and those of {name} have shape {shape}"
        square = len(shape) == 3 and shape[0] == shape[1]
        check(square, rule, f"For a folder give {arg.image_size}.")


def _check_monitoring(config: PretrainConfig, probe: Dataset | None) -> None:
    """Refuse settings of probes and of ``keep_best`` that contradict each other. Raises InputError."""
    best, every, data = config.keep_best, config.probe_every, f"{arg.probe:DATA}"
    rule, hint = "needs labelled examples to probe on", f"Give {data}."
    require(best != "probe" or probe is not None, "keep_best", rule, value=best, hint=hint)
    held_out, hint = (
        best != "validation" or config.validation > 0,
        f"Give {arg.validation} above 0.",
    )
    require(held_out, "keep_best", "needs a held-out part", value=best, hint=hint)
    rule = f"changes nothing without {data}"
    used = every is None or probe is not None
    require(used, "probe_every", rule, value=every, hint="Leave it out.")


def _recipe(row: Strategy, config: PretrainConfig, size: int) -> Recipe:
    """Return the strategy's recipe with the configuration's fields, and enough epochs for a small pool."""
    given = {name: getattr(config, name) for name in OF_RECIPE}
    fields = dict(pretrain_recipe(config.recipe).fields)
    fields |= {n: OF_RECIPE[n](value) for n, value in given.items() if value is not None}
    if config.optimizer is not None:
        # The strategy's own, if it is that one: a GAN's Adam has another beta_1 than Keras' default.
        own, name = row.recipe.optimizer, config.optimizer
        fields["optimizer"] = own if own.name == name else Optimizer(name=name)
    recipe = replace(row.recipe, **fields)
    if "epochs" in fields:
        return recipe
    steps = math.ceil(size * (1 - config.validation) / recipe.batch_size)
    return replace(recipe, epochs=max(recipe.epochs, math.ceil(recipe.least_updates / steps)))


def _augmentation(row: Strategy, dataset: Dataset, config: PretrainConfig) -> Augmentation | None:
    """Return the random views that the strategy asks for. Raises InputError."""
    if row.augments:
        return Augmentation.resolve(dataset, config.augment, config.augment_options)
    rule = f"changes nothing, because the strategy {row.name!r} makes no random views"
    for name, default in (("augment", "auto"), ("augment_options", {})):
        value = getattr(config, name)
        require(value == default, name, rule, value=value, hint="Leave it out.")
    return None


def choose_encoder(
    dataset: Dataset, name: str, options: Mapping[str, Any], row: Strategy | None = None
) -> dict[str, Any]:
    """Return the checked configuration of an encoder for a data set's examples.

    Args:
        dataset: decides the input's shape, and the architecture when ``name`` is "auto".
        name: the architecture's, or "auto": convnet for images, table for tables with named columns, mlp for
            other vectors.
        options: of the architecture.
        row: the strategy that is to train it, whose own defaults hold where ``options`` has none.

    Returns:
        ``{"architecture", "input_shape", "options"}``, as JSON.

    Raises:
        InputError: an unknown name or option, or a strategy that cannot train the architecture.
    """
    if name == "auto":
        name = "convnet" if len(dataset.input_shape) == 3 else "mlp"
        name = name if dataset.schema is None else "table"
        if row is not None and row.encoders is not None and name not in row.encoders:
            name = next(iter(row.encoders))
    known = name in ARCHITECTURES
    rule = (
        "is a model that was trained elsewhere: `pretrain import` makes it, and this version cannot "
        "pretrain it further"
    )
    hint = f"Choose one of: {', '.join(fresh_names())}."
    fresh = not known or not ARCHITECTURES[name].imported
    require(fresh, "encoder", rule, value=name, hint=hint)
    if row is not None:
        rule = f"cannot be trained by the strategy {row.name!r}"
        hint = f"It can train: {', '.join(n for n in ARCHITECTURES if row.trains(n))}."
        require(not known or row.trains(name), "encoder", rule, value=name, hint=hint)
    if row is not None and row.encoders is not None:
        options = {**row.encoders.get(name, {}), **options}
    shape = dataset.input_shape
    if dataset.schema is not None:
        shape = (dataset.schema.width,)
        if name == "table":
            options = {**options, "columns": dataset.schema.tokens}
    config = encoder_config(name, shape, options)
    expected_shapes(config)
    return config
