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
from pretrain.engine.runtime import keras_defaults
from tasks.task import TargetTask
from transfer.data.input_adapter import InputAdapter
from transfer.data.leakage import leakage, leaks, refuse
from transfer.metrics.scores import check_outputs
from transfer.plan import Plan, Source, TransferConfig
from transfer.recipes import TransferRecipe

if TYPE_CHECKING:
    from pretrain.engine.checkpoint import Checkpoints
    from pretrain.engine.program import Programs
    from pretrain.engine.progress import Reporter
    from transfer.semi_supervised.unlabelled import Pool
    from transfer.targets.base import Target


@dataclass(frozen=True, kw_only=True)
class Transferred:
    """A trained model and what it measured.

    model: raw examples to probabilities, stock Keras layers only: (B, 1) of class 1 for two
        classes, else (B, K), of labels too; or to numbers (B, 1) in their own units.
    result: one JSON object, the Result.
    """

    model: Any
    inputs: InputAdapter
    result: dict[str, Any]
    history: list[dict[str, Any]]


@keras_defaults()
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
    guard: bool = True,
) -> Transferred:
    """Train ``source``'s encoder and a new head on a budget of ``task``'s labels, and test it once.

    pool: examples without labels that may help (transfer.semi_supervised.selection); whoever keeps
        checkpoints names it in their identity.
    guard: look the examples up in the pool of the weights file, and note it under ``leakage`` in the result
        (transfer.data.leakage). False where whoever calls has done so.

    Raises:
        InputError: the configuration does not fit the encoder or the data, or the pretraining used labels
            of test examples.
        NonFiniteError: training became non-finite.
        Interrupted: Ctrl-C.
    """
    plan = Plan.make(task, source, config)
    leaked = leakage(task, plan.rows, source.weights) if guard and source.weights else None
    if leaked is not None:
        refuse(leaked, task.name, f"the encoder {source.digest}")

    from transfer.export.keras_file import whole_model
    from transfer.inference import predict_batched
    from transfer.model.feature_cache import Prepared
    from transfer.targets import target_of
    from transfer.training.fit import fit

    began = time.monotonic()
    target, found = target_of(task, plan.rows), None
    if config.search is not None:
        found = _searched(
            task, target, source, config, plan, reporter, programs, checkpoints, resume
        )
        plan = plan.taking(found)
    x, y, weights = task.x[plan.rows], target.encode(task.y[plan.rows]), None
    pooled = None
    if pool is not None:
        from transfer.semi_supervised.selection import pooling

        budget = config.recipe if found is None else TransferRecipe.from_json(found["recipe"])
        pooled, plan, lesson = pooling(
            x,
            y,
            pool,
            source,
            plan,
            budget,
            target=target,
            seed=config.seed,
            reporter=reporter,
            programs=programs,
            checkpoints=checkpoints,
            resume=resume,
        )
        x, y, weights = lesson or (x, y, None)
    fitted = fit(
        x if weights is None else Prepared(x),
        y,
        source,
        plan,
        target=target,
        seed=config.seed,
        weights=weights,
        reporter=reporter,
        programs=programs,
        checkpoints=checkpoints,
        resume=resume,
    )
    front, encoder, head, run = fitted.front, fitted.encoder, fitted.head, fitted.run
    logits = encoder.head_row.logits
    model = whole_model(front, encoder, head, last=target.layer(logits=logits))
    trained = time.monotonic() - began + (checkpoints.before[0] if checkpoints else 0.0)
    outputs = predict_batched((front, encoder.model, head), task.x_test)
    check_outputs(outputs, "The trained model", f"test examples of {task.name!r}")
    predicted = target.predictions(outputs, logits=logits)
    measured = target.measure(predicted, task.y_test)
    result = {
        "data": task.name,
        "target": target.name,
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
        **({} if fitted.line is None else {"interpolated": fitted.line.share}),
        **({} if found is None else {"search": found}),
        **({} if fitted.curve is None else {"learning_rate": fitted.curve.to_json()}),
        **({} if pooled is None else {"pool": pooled}),
        **({} if leaked is None else {"leakage": {**leaked, "leaks": leaks(leaked)}}),
        "updates": run.updates,
        "source_digest": source.digest,
        "digest": tensors_digest(encoder.tensors()),
        "seconds": round(trained, 3),
    }
    return Transferred(model=model, inputs=plan.inputs, result=result, history=run.history)


def _searched(
    task: TargetTask,
    target: Target,
    source: Source,
    config: TransferConfig,
    plan: Plan,
    reporter: Reporter | None,
    programs: Programs | None,
    checkpoints: Checkpoints | None,
    resume: bool,
) -> dict[str, Any]:
    """Return the search's result as JSON: that of the interrupted run, or of a new search."""
    from transfer.selection.search import search

    kept = checkpoints.read_note("search") if checkpoints and resume else None
    if kept is not None:
        return kept
    assert config.search is not None
    found = search(
        task.x[plan.rows],
        task.y[plan.rows].astype(np.int32),
        source,
        replace(plan, recipe=config.recipe),
        target=target,
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
    from pretrain.engine.runtime import settings

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
