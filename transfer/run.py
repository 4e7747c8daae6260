"""One transfer: an encoder, a new head, the frozen stage, the fine-tuning, one result."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pretrain.encoders import block_names
from pretrain.weights import WeightsFile
from tasks.errors import InputError
from tasks.kinds import KINDS
from tasks.target import TargetTask
from transfer.arrangement import Arrangement
from transfer.inputs import Inputs
from transfer.recipes import TransferRecipe

if TYPE_CHECKING:
    from pretrain.engine.checkpoint import Checkpoints
    from pretrain.engine.program import Programs
    from pretrain.engine.progress import Reporter
    from transfer.pool import Pool


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where the encoder comes from: a weights file, or a fresh one (``tensors`` is None)."""

    encoder: dict[str, Any]
    preprocessing: dict[str, Any]
    tensors: Mapping[str, np.ndarray] | None = None
    digest: str | None = None

    @classmethod
    def from_weights(cls, weights: WeightsFile) -> Source:
        """Take everything from a weights file that was read."""
        return cls(
            encoder=weights.encoder,
            preprocessing=weights.preprocessing,
            tensors=weights.tensors,
            digest=weights.digest,
        )

    def identity(self) -> dict[str, Any]:
        """Return what decides the source's bits."""
        return {
            "encoder": self.encoder,
            "preprocessing": self.preprocessing,
            "fresh": self.tensors is None,
            "digest": self.digest,
        }


@dataclass(frozen=True, kw_only=True)
class TransferConfig:
    """All that decides a transfer, but for the source and the data.

    labels: the label budget; None takes every training example.
    rows: exactly these rows of the training part, in place of a budget that is drawn.
    reuse: how many of the lowest blocks to keep; None keeps all, 0 none (from scratch).
    above, head: what comes above them (transfer.arrangement).
    search: choose reuse, above and schedule on validation inside the budget (transfer.search), for at most
        so many seconds; None takes them as they are given.
    """

    recipe: TransferRecipe
    labels: int | None = None
    reuse: int | None = None
    seed: int = 0
    rows: tuple[int, ...] | None = None
    above: str = "reset"
    head: str = "linear"
    search: float | None = None


@dataclass(frozen=True, kw_only=True)
class Transferred:
    """A trained model and what it measured.

    model: raw examples to probabilities, stock Keras layers only: (B, 1) of class 1 for two
        classes, else (B, K), of labels too; or to numbers (B, 1) in their own units.
    result: one JSON object, the Result.
    """

    model: Any
    inputs: Inputs
    result: dict[str, Any]
    history: list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A transfer checked: nothing in it can be refused any more."""

    inputs: Inputs
    arrangement: Arrangement
    rows: np.ndarray
    recipe: TransferRecipe

    @classmethod
    def make(cls, task: TargetTask, source: Source, config: TransferConfig) -> Plan:
        """Check everything that can be, without TensorFlow. Raises InputError."""
        arrangement = arranged(source, config.reuse, config.above, config.head)
        _check_target(task, config)
        inputs = Inputs.match(
            task.input_shape,
            str(task.x.dtype),
            task.value_range,
            tuple(source.encoder["input_shape"]),
            source.preprocessing,
        )
        labels = len(task.x) if config.labels is None else config.labels
        rows = task.labels(labels, config.seed) if config.rows is None else np.array(config.rows)
        return cls(
            inputs=inputs,
            arrangement=arrangement,
            rows=rows,
            recipe=config.recipe.for_budget(len(rows)),
        )

    def taking(self, found: Mapping[str, Any]) -> Plan:
        """Return the plan with what a search chose, as its JSON says."""
        return replace(
            self,
            arrangement=Arrangement(**found["arrangement"]),
            recipe=TransferRecipe.from_json(found["recipe"]).for_budget(len(self.rows)),
        )


def _check_target(task: TargetTask, config: TransferConfig) -> None:
    """Refuse what only classes have. Raises InputError."""
    if task.target == "classes":
        return
    for option, given in (("--reuse auto", config.search), ("--balance", config.recipe.balance)):
        if given:
            raise InputError(
                f"{option} works on classes, and y of {task.name!r} is {KINDS[task.target]}: leave it "
                f"out."
            )


def arranged(
    source: Source, reuse: int | None, above: str = "reset", head: str = "linear"
) -> Arrangement:
    """Return the arrangement; ``reuse`` None keeps all blocks that there are. Raises InputError."""
    if reuse is None:
        reuse = 0 if source.tensors is None else len(block_names(source.encoder))
    arrangement = Arrangement(reuse=reuse, above=above, head=head)
    arrangement.check(source.encoder)
    return arrangement


def transfer(
    task: TargetTask,
    source: Source,
    config: TransferConfig,
    *,
    reporter: Reporter | None = None,
    programs: Programs | None = None,
    checkpoints: Checkpoints | None = None,
    resume: bool = False,
    pool: Pool | None = None,
) -> Transferred:
    """Train ``source``'s encoder and a new head on a budget of ``task``'s labels, and test it once.

    pool: examples without labels that may help (transfer.pooling); whoever keeps checkpoints names it in
        their identity.

    Raises:
        InputError: the configuration does not fit the encoder or the data.
        NonFiniteError: training became non-finite.
        Interrupted: Ctrl-C.
    """
    plan = Plan.make(task, source, config)

    from transfer.aim import Aim
    from transfer.export import whole_model
    from transfer.fit import fit
    from transfer.inputs import apply

    began = time.monotonic()
    found = None
    if config.search is not None:
        found = _searched(task, source, config, plan, reporter, programs, checkpoints, resume)
        plan = plan.taking(found)
    aim = Aim.of(task, plan.rows)
    x, y, weights = task.x[plan.rows], aim.encode(task.y[plan.rows]), None
    pooled = None
    if pool is not None:
        from transfer.pooling import pooling

        budget = config.recipe if found is None else TransferRecipe.from_json(found["recipe"])
        pooled, plan, lesson = pooling(
            x,
            y,
            pool,
            source,
            plan,
            budget,
            outputs=aim.outputs,
            seed=config.seed,
            reporter=reporter,
            programs=programs,
            checkpoints=checkpoints,
            resume=resume,
        )
        x, y, weights = lesson or (x, y, None)
    fitted = fit(
        x,
        y,
        source,
        plan,
        outputs=aim.outputs,
        seed=config.seed,
        weights=weights,
        prepared=weights is not None,
        target=aim.kind,
        reporter=reporter,
        programs=programs,
        checkpoints=checkpoints,
        resume=resume,
    )
    front, encoder, head, run = fitted.front, fitted.encoder, fitted.head, fitted.run
    model = whole_model(front, encoder, head, last=aim.layer(logits=fitted.logits))
    trained = time.monotonic() - began
    outputs = apply(head, apply(encoder.model, apply(front, task.x_test)))
    predicted = aim.predictions(outputs, logits=fitted.logits)
    measured = aim.measure(predicted, task.y_test)
    result = {
        "data": task.name,
        "target": aim.kind,
        "classes": list(task.class_names),
        "labels": len(plan.rows),
        "seed": config.seed,
        "test": {"n": measured["n"], "origin": task.test_origin},
        **{k: v for k, v in measured.items() if k != "n"},
        "encoder": source.encoder["architecture"],
        "reuse": plan.arrangement.reuse,
        "blocks": len(block_names(source.encoder)),
        "above": plan.arrangement.above,
        "head": plan.arrangement.head,
        **({} if fitted.chosen is None else {"head_choice": fitted.chosen}),
        "inputs": list(plan.inputs.changes),
        "recipe": asdict(plan.recipe),
        **({} if found is None else {"search": found}),
        **({} if fitted.curve is None else {"learning_rate": fitted.curve.to_json()}),
        **({} if pooled is None else {"pool": pooled}),
        "updates": run.updates,
        "source_digest": source.digest,
        "digest": tensors_digest(encoder.tensors()),
        "seconds": round(trained, 3),
    }
    return Transferred(model=model, inputs=plan.inputs, result=result, history=run.history)


def _searched(
    task: TargetTask,
    source: Source,
    config: TransferConfig,
    plan: Plan,
    reporter: Reporter | None,
    programs: Programs | None,
    checkpoints: Checkpoints | None,
    resume: bool,
) -> dict[str, Any]:
    """Return the search's result as JSON: that of the interrupted run, or of a new search."""
    from transfer.search import search

    kept = checkpoints.read_note("search") if checkpoints and resume else None
    if kept is not None:
        return kept
    assert config.search is not None
    found = search(
        task.x[plan.rows],
        task.y[plan.rows].astype(np.int32),
        source,
        replace(plan, recipe=config.recipe),
        outputs=1 if task.n_classes == 2 else task.n_classes,
        seed=config.seed,
        most_seconds=config.search,
        programs=programs,
        reporter=reporter,
    ).to_json()
    if checkpoints:
        checkpoints.write_note("search", found)
    return found


def tensors_digest(tensors: Mapping[str, np.ndarray]) -> str:
    """Return the sha256 (hex) over names, shapes and bytes of float32 ``tensors``."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(json.dumps([name, list(tensor.shape)]).encode())
        digest.update(np.ascontiguousarray(tensor, "<f4").tobytes())
    return digest.hexdigest()


def checkpoints_of(
    out: Path,
    task: TargetTask,
    source: Source,
    config: TransferConfig,
    fingerprint: str,
    seconds: float = 5.0,
) -> Checkpoints:
    """Return the checkpoints of the transfer that writes ``out``."""
    from pretrain.engine.checkpoint import Checkpoints
    from pretrain.runtime import settings

    identity = {
        "source": source.identity(),
        "recipe": asdict(config.recipe),
        "labels": config.labels if config.rows is None else list(config.rows),
        "reuse": config.reuse,
        "above": config.above,
        "head": config.head,
        "search": config.search,
        "seed": config.seed,
        "data": fingerprint,
        "task": task.name,
        **settings(),
    }
    return Checkpoints.beside(out, identity, seconds)
