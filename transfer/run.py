"""One transfer: an encoder, a new head, the frozen stage, the fine-tuning, one result."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pretrain.encoders import block_names
from pretrain.weights import WeightsFile
from tasks.errors import InputError
from tasks.target import TargetTask
from transfer.inputs import Inputs
from transfer.metrics import measure
from transfer.recipes import TransferRecipe

if TYPE_CHECKING:
    from pretrain.engine.checkpoint import Checkpoints
    from pretrain.engine.program import Programs
    from pretrain.engine.progress import Reporter


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
    """

    recipe: TransferRecipe
    labels: int | None = None
    reuse: int | None = None
    seed: int = 0
    rows: tuple[int, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Transferred:
    """A trained model and what it measured.

    model: raw examples to probabilities, stock Keras layers only: (B, 1) of class 1 for two
        classes, else (B, K).
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
    reuse: int
    rows: np.ndarray
    recipe: TransferRecipe

    @classmethod
    def make(cls, task: TargetTask, source: Source, config: TransferConfig) -> Plan:
        """Check everything that can be, without TensorFlow. Raises InputError."""
        reuse = reused(source, config.reuse)
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
            inputs=inputs, reuse=reuse, rows=rows, recipe=config.recipe.for_budget(len(rows))
        )


def reused(source: Source, reuse: int | None) -> int:
    """Return how many of the lowest blocks are kept; None keeps all there are. Raises InputError."""
    blocks = block_names(source.encoder)
    if reuse is None:
        return 0 if source.tensors is None else len(blocks)
    if not 0 <= reuse <= len(blocks):
        raise InputError(
            f"--reuse must be 'all' or 0 to {len(blocks)}, the number of the encoder's blocks "
            f"({', '.join(blocks)}). Got {reuse}."
        )
    return reuse


def transfer(
    task: TargetTask,
    source: Source,
    config: TransferConfig,
    *,
    reporter: Reporter | None = None,
    programs: Programs | None = None,
    checkpoints: Checkpoints | None = None,
    resume: bool = False,
) -> Transferred:
    """Train ``source``'s encoder and a new head on a budget of ``task``'s labels, and test it once.

    Raises:
        InputError: the configuration does not fit the encoder or the data.
        NonFiniteError: training became non-finite.
        Interrupted: Ctrl-C.
    """
    plan = Plan.make(task, source, config)

    from transfer.export import probabilities, whole_model
    from transfer.fit import fit

    began = time.monotonic()
    fitted = fit(
        task.x[plan.rows],
        task.y[plan.rows].astype(np.int32),
        source,
        plan,
        outputs=1 if task.n_classes == 2 else task.n_classes,
        seed=config.seed,
        reporter=reporter,
        programs=programs,
        checkpoints=checkpoints,
        resume=resume,
    )
    front, encoder, head, run = fitted.front, fitted.encoder, fitted.head, fitted.run
    model = whole_model(front, encoder, head, task.n_classes)
    trained = time.monotonic() - began
    measured = measure(probabilities(front, encoder, head, task.x_test), task.y_test)
    tensors = encoder.tensors() | {f"head/{weight.name}": weight.numpy() for weight in head.weights}
    result = {
        "data": task.name,
        "classes": list(task.class_names),
        "labels": len(plan.rows),
        "seed": config.seed,
        "test": {"n": measured["n"], "origin": task.test_origin},
        **{k: v for k, v in measured.items() if k != "n"},
        "encoder": source.encoder["architecture"],
        "reuse": plan.reuse,
        "blocks": len(encoder.blocks),
        "inputs": list(plan.inputs.changes),
        "recipe": asdict(plan.recipe),
        "updates": run.updates,
        "source_digest": source.digest,
        "digest": tensors_digest(tensors),
        "seconds": round(trained, 3),
    }
    return Transferred(model=model, inputs=plan.inputs, result=result, history=run.history)


def tensors_digest(tensors: Mapping[str, np.ndarray]) -> str:
    """Return the sha256 (hex) over names, shapes and bytes of float32 ``tensors``."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(json.dumps([name, list(tensor.shape)]).encode())
        digest.update(np.ascontiguousarray(tensor, "<f4").tobytes())
    return digest.hexdigest()


def checkpoints_of(
    out: Path, task: TargetTask, source: Source, config: TransferConfig, fingerprint: str
) -> Checkpoints:
    """Return the checkpoints of the transfer that writes ``out``."""
    from pretrain.engine.checkpoint import Checkpoints
    from pretrain.runtime import settings

    identity = {
        "source": source.identity(),
        "recipe": asdict(config.recipe),
        "labels": config.labels if config.rows is None else list(config.rows),
        "reuse": config.reuse,
        "seed": config.seed,
        "data": fingerprint,
        "task": task.name,
        **settings(),
    }
    return Checkpoints.beside(out, identity)
