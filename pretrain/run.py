"""One pretraining run: from a pool of examples to a weights file."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pretrain.encoders import encoder_config, expected_shapes
from pretrain.encoders.base import resolve_options
from pretrain.preprocessing import Preprocessing
from pretrain.strategies import strategy
from pretrain.strategies.base import Recipe, Setup, Strategy
from pretrain.weights import WeightsFile
from tasks.dataset import Dataset
from tasks.errors import InputError
from tasks.outputs import check_output
from tasks.splits import stratified_split

if TYPE_CHECKING:
    from pretrain.engine.program import Programs
    from pretrain.engine.progress import Reporter

VALIDATION = 0.1


@dataclass(frozen=True, kw_only=True)
class PretrainConfig:
    """All that decides a pretraining run, but for the data.

    encoder: the architecture's name, or "auto": convnet for images, mlp for vectors.
    recipe: fields that replace those of the strategy's own recipe.
    validation: the part of the pool held out to measure the loss on; never trained on.
    """

    strategy: str
    options: Mapping[str, Any] = field(default_factory=dict)
    encoder: str = "auto"
    encoder_options: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    validation: float = VALIDATION
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Pretrained:
    """What a run made: the weights file as written, its epochs, and what it cost."""

    weights: WeightsFile
    path: Path
    history: list[dict[str, Any]]
    updates: int
    seconds: float
    resumed_from: str | None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A configuration checked against a data set: nothing in it can be refused any more."""

    row: Strategy
    options: dict[str, Any]
    encoder: dict[str, Any]
    preprocessing: Preprocessing
    recipe: Recipe
    validation: float
    seed: int

    @classmethod
    def make(cls, dataset: Dataset, config: PretrainConfig) -> Plan:
        """Check everything that can be, without TensorFlow. Raises InputError."""
        row = strategy(config.strategy)
        options = resolve_options(f"the strategy {row.name!r}", row.options, config.options)
        if row.needs_labels and dataset.y is None:
            raise InputError(
                f"The strategy {row.name!r} needs a labelled pool, and {dataset.name!r} has no labels. "
                f"Choose a strategy without labels, such as 'autoencoder'."
            )
        if row.needs_labels and dataset.n_classes < 2:
            raise InputError(
                f"The strategy {row.name!r} needs two classes or more, and {dataset.name!r} has one."
            )
        if not 0 <= config.validation < 1:
            raise InputError(
                f"The part held out must be at least 0 and below 1. Got {config.validation}."
            )
        encoder = choose_encoder(dataset, config.encoder, config.encoder_options)
        return cls(
            row=row,
            options=options,
            encoder=encoder,
            preprocessing=Preprocessing.fit(dataset),
            recipe=_recipe(row.recipe, config, len(dataset.x)),
            validation=config.validation,
            seed=config.seed,
        )

    def to_json(self) -> dict[str, Any]:
        """Return what decides the run but for the data, as JSON."""
        return {
            "strategy": self.row.name,
            "options": self.options,
            "encoder": self.encoder,
            "preprocessing": self.preprocessing.to_json(),
            "recipe": asdict(self.recipe),
            "validation": self.validation,
            "seed": self.seed,
        }


def _recipe(default: Recipe, config: PretrainConfig, size: int) -> Recipe:
    """Return the recipe with the configuration's fields, and with enough epochs for a small pool."""
    recipe = replace(default, **config.recipe)
    if "epochs" in config.recipe:
        return recipe
    steps = math.ceil(size * (1 - config.validation) / recipe.batch_size)
    return replace(recipe, epochs=max(recipe.epochs, math.ceil(recipe.least_updates / steps)))


def choose_encoder(dataset: Dataset, name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the checked configuration of an encoder for the data set's examples. Raises InputError."""
    if name == "auto":
        name = "convnet" if len(dataset.input_shape) == 3 else "mlp"
    config = encoder_config(name, dataset.input_shape, options)
    expected_shapes(config)
    return config


def pretrain(
    dataset: Dataset,
    config: PretrainConfig,
    out: Path,
    *,
    force: bool = False,
    resume: bool = False,
    reporter: Reporter | None = None,
    programs: Programs | None = None,
) -> Pretrained:
    """Pretrain an encoder on the training part of ``dataset`` and write it to ``out``.

    Args:
        dataset: the pool; its test part is never looked at, its labels only when the strategy needs them.
        config: all that decides the run.
        out: the weights file to write; checkpoints lie in ``out`` + ".checkpoints" until the end.
        force: replace ``out`` and drop an interrupted run's checkpoints.
        resume: go on from the newest checkpoint, or start when there is none.
        reporter: what shows the progress; None is silent.
        programs: compiled steps to share with other runs.

    Raises:
        InputError: the configuration, the data or the output cannot be used; nothing was written.
        NonFiniteError: training became non-finite; nothing was exported.
        Interrupted: Ctrl-C; a checkpoint was written.
    """
    plan = Plan.make(dataset, config)
    check_output(out, force=force or resume)

    from pretrain.encoder import Encoder, seeded
    from pretrain.engine.checkpoint import Checkpoints
    from pretrain.engine.program import Programs
    from pretrain.engine.progress import Reporter
    from pretrain.engine.train import Run, train
    from pretrain.runtime import settings

    began = time.monotonic()
    surroundings = settings()
    identity = {**plan.to_json(), "data": dataset.fingerprint, **surroundings}
    checkpoints = Checkpoints.beside(out, identity)
    done = checkpoints.start(out, force=force, resume=resume)
    if done:
        weights = WeightsFile.read(out)
        if weights.metadata.get("identity") == checkpoints.identity:
            return Pretrained(
                weights=weights,
                path=out,
                history=[],
                updates=0,
                seconds=0.0,
                resumed_from="the end",
            )
        raise InputError(f"{out} exists and is another run's. Give another --out, or --force.")
    arrays, held_out = _split(dataset, plan)
    run = Run(
        seed=plan.seed,
        key=_sharing_key(plan, dataset.n_classes),
        programs=programs or Programs(),
        reporter=reporter or Reporter(),
        checkpoints=checkpoints,
        resume=resume,
    )
    with seeded(plan.seed):
        encoder = Encoder(plan.encoder, plan.seed)
        setup = Setup(
            encoder=encoder,
            preprocess=plan.preprocessing,
            arrays=arrays,
            validation=held_out,
            n_classes=dataset.n_classes if plan.row.needs_labels else 0,
            options=plan.options,
            recipe=plan.recipe,
        )
        train(plan.row.stages(setup), run)
    weights = WeightsFile(
        encoder=plan.encoder,
        preprocessing=plan.preprocessing.to_json(),
        tensors=encoder.tensors(),
        metadata={
            "strategy": plan.row.name,
            "options": plan.options,
            "recipe": asdict(plan.recipe),
            "validation": plan.validation,
            "seed": plan.seed,
            "updates": run.updates,
            "metrics": {k: v for k, v in (run.history or [{}])[-1].items() if k != "stage"},
            "data": {
                "name": dataset.name,
                "fingerprint": dataset.fingerprint,
                "examples": len(dataset.x),
                "labels_used": plan.row.needs_labels,
            },
            "identity": checkpoints.identity,
            **surroundings,
        },
    ).write(out, force=True)
    checkpoints.clear()
    return Pretrained(
        weights=weights,
        path=out,
        history=run.history,
        updates=run.updates,
        seconds=time.monotonic() - began,
        resumed_from=run.resumed_from,
    )


def _split(
    dataset: Dataset, plan: Plan
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray] | None]:
    """Return the pool's arrays to train on, and the held-out ones or None."""
    whole = {"x": dataset.x}
    if plan.row.needs_labels and dataset.y is not None:
        whole["y"] = dataset.y.astype(np.int32)
    if not plan.validation:
        return whole, None
    labels = dataset.y if plan.row.needs_labels else None
    kept, held = stratified_split(labels, len(dataset.x), plan.validation, plan.seed)
    if not len(held):
        return whole, None
    return {n: a[kept] for n, a in whole.items()}, {n: a[held] for n, a in whole.items()}


def _sharing_key(plan: Plan, n_classes: int) -> str:
    """Return what the stages' computation depends on, but for seed and data."""
    parts = {k: v for k, v in plan.to_json().items() if k not in ("seed", "validation")}
    return json.dumps({**parts, "n_classes": n_classes}, sort_keys=True)
