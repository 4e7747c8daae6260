"""One pretraining run: from a plan to a weights file."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from headstart.errors import NonFiniteError, arg
from pretrain.config import KEEP_BEST
from pretrain.encoders.encoder import Encoder, features, sample
from pretrain.engine.checkpoint import identity_of
from pretrain.engine.runtime import keras_defaults, settings
from pretrain.engine.session import Session
from pretrain.engine.stage import Stage
from pretrain.engine.train import Run, train
from pretrain.monitoring import collapse
from pretrain.monitoring.artifacts import Companions
from pretrain.monitoring.probe import probe
from pretrain.plan import PretrainPlan
from pretrain.weights.file import WeightsFile
from tasks.duplicates.fingerprints import Fingerprints


@dataclass(frozen=True, kw_only=True)
class Pretrained:
    """The result of a run.

    Attributes:
        weights: as written and read back; without an output, in memory only.
        path: where they were written, or None.
        history: a row an epoch: stage, epoch, and its metrics.
        updates: steps of the whole run.
        seconds: from the beginning, interrupted parts included up to their last checkpoints.
        resumed_from: where it went on, "the end" when an equal run had finished, or None.
        before: of ``seconds``, those of interrupted parts: wall-clock and processor seconds.
        kept: for each stage the row of the epoch whose weights it ended with.
        companions: the files written beside the weights.
    """

    weights: WeightsFile
    path: Path | None
    history: list[dict[str, Any]] = field(default_factory=list)
    updates: int = 0
    seconds: float = 0.0
    resumed_from: str | None = None
    before: tuple[float, float] = (0.0, 0.0)
    kept: list[Mapping[str, Any]] = field(default_factory=list)
    companions: list[Path] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return what the command prints."""
        about = self.weights.metadata
        return {
            "out": None if self.path is None else str(self.path),
            "digest": self.weights.digest,
            "strategy": about["strategy"],
            "data": about["data"]["name"],
            "seed": about["seed"],
            "updates": self.updates,
            "metrics": about["metrics"],
            "receipt": self.weights.receipt(),
            "seconds": round(self.seconds, 2),
            "resumed_from": self.resumed_from,
            "kept": about.get("kept"),
            "companions": [str(path) for path in self.companions],
            **({"race": about["race"]} if "race" in about else {}),
            "history": self.history,
        }


@keras_defaults()
def pretrain(plan: PretrainPlan, session: Session | None = None) -> Pretrained:
    """Pretrain an encoder by a plan, and write its weights where the plan says.

    Args:
        plan: made by ``PretrainPlan.make`` with the same session; nothing is checked again here.
        session: progress, checkpoints, and compiled steps to share with other runs.

    Raises:
        CollapseError: the features collapsed; nothing was exported.
        NonFiniteError: training became non-finite; nothing was exported.
        Interrupted: Ctrl-C; a checkpoint was written.

    Example:
        >>> from tasks.loading.resolve import load_dataset
        >>> config = PretrainConfig(strategy="autoencoder", epochs=5)
        >>> session = Session(threads=1)
        >>> plan = PretrainPlan.make(load_dataset("digits"), config, session=session)
        >>> weights = pretrain(plan, session).weights
    """
    session = (session or Session()).start()
    say = session.reporter.say
    if plan.finished is not None:
        return Pretrained(weights=plan.finished, path=plan.out, resumed_from="the end")
    began = time.monotonic()
    checkpoints = plan.checkpoints(session)
    if checkpoints is not None and (not session.resume or not checkpoints.files()):
        # Of a run that is started anew, or that was cut off before its first checkpoint.
        checkpoints.clear()
    beside = None if plan.out is None or not plan.companions else Companions(out=plan.out)
    arrays, held_out = plan.split()
    run = Run(
        seed=plan.seed,
        key=plan.sharing_key(),
        session=session.saving(checkpoints),
        keep_best=KEEP_BEST[plan.keep_best] if plan.keep_best else None,
        gallery=None if beside is None else partial(beside.show, strategy=plan.row.name, say=say),
    )
    encoder = Encoder(plan.encoder, plan.seed)
    with plan.setting_up(encoder, arrays, held_out) as setup:
        run.watch = EpochMonitor(plan, encoder, arrays, held_out, run.history, say)
        train(announce_last_epochs(plan.row.stages(setup), plan.keep_best, say), run)
    kept = kept_rows(run.history, plan.keep_best)
    _check_finite(plan, kept)
    weights = _weights(plan, encoder, run, kept)
    weights = weights.sealed() if plan.out is None else weights.write(plan.out, force=True)
    written: list[Path] = []
    if beside is not None and run.history:
        written = beside.write(run.history, kept if plan.keep_best else (), say)
    if checkpoints is not None:
        checkpoints.clear()
    before = (0.0, 0.0) if checkpoints is None else checkpoints.before
    return Pretrained(
        weights=weights,
        path=plan.out,
        history=run.history,
        updates=run.updates,
        seconds=time.monotonic() - began + before[0],
        resumed_from=run.resumed_from,
        before=before,
        kept=kept,
        companions=written,
    )


class EpochMonitor:
    """Measures the encoder after each epoch; called by the engine."""

    def __init__(
        self,
        plan: PretrainPlan,
        encoder: Encoder,
        arrays: Mapping[str, np.ndarray],
        held_out: Mapping[str, np.ndarray] | None,
        history: Sequence[Mapping[str, Any]],
        say: Callable[[str], None],
    ) -> None:
        """Called before the first step; ``history`` is the run's own list, which the engine fills."""
        self.plan, self.encoder, self.history = plan, encoder, history
        # Held-out examples first: what was learnt by heart may look spread where nothing else does.
        pools = [part["x"] for part in (held_out, arrays) if part is not None]
        self.examples = sample(collapse.EXAMPLES, *pools)
        self.monitor = collapse.Monitor(
            limits=collapse.Limits.of(
                np.asarray(plan.preprocessing(self.examples)),
                self._features(self.examples),
                compares=plan.row.augments,
                labelled=plan.labelled,
            ),
            mode=plan.collapse,
            advice=plan.row.advice,
            say=say,
        )

    def __call__(self, stage: Stage, row: Mapping[str, Any]) -> dict[str, float]:
        """Return the numbers to add to the epoch's row. Raises CollapseError."""
        found: dict[str, float] = {}
        if collapse.due(row["epoch"], stage.passes):
            found |= collapse.measure(self._finite(self.examples, stage, row))
            self.monitor.judge(self.history, {**row, **found})
        asked = self.plan.probe
        if asked is not None and asked.due(row["epoch"], stage.passes):
            found |= probe(self._finite(asked.x, stage, row), asked.y)
        return found

    def _finite(self, x: np.ndarray, stage: Stage, row: Mapping[str, Any]) -> np.ndarray:
        """Return the features; raises NonFiniteError, for weights can be finite and yet overflow."""
        found = self._features(x)
        if not np.isfinite(found).all():
            where = f"the features after epoch {row['epoch']} of stage {stage.name!r} overflow"
            raise _non_finite(where, stage.learning_rate)
        return found

    def _features(self, x: np.ndarray) -> np.ndarray:
        return features(self.encoder, self.plan.preprocessing, x)


def announce_last_epochs(
    stages: Iterable[Stage], keep_best: str | None, say: Callable[[str], None]
) -> Iterator[Stage]:
    """Yield the stages; say of those without one validation loss that their last epoch is kept.

    Of the first stage a plan has made sure that it has one (``Strategy.measures``).
    """
    for stage in stages:
        several = len(stage.objectives) > 1
        if keep_best == "validation" and (several or stage.validation is None):
            why = (
                f"has {len(stage.objectives)} objectives, and so no single validation loss"
                if several
                else "measures nothing on held-out examples"
            )
            say(f"The stage {stage.name!r} {why}: its last epoch is kept, not its best.")
        yield stage


def kept_rows(
    history: Sequence[Mapping[str, Any]], keep_best: str | None
) -> list[Mapping[str, Any]]:
    """Return of each stage the row of the epoch whose variables it ended with.

    The last one's, or with ``keep_best`` the first of the best, as the engine decides it.
    """
    stages: list[list[Mapping[str, Any]]] = []
    for row in history:
        if row["epoch"] == 1:
            stages.append([])
        stages[-1].append(row)
    name, sign = KEEP_BEST[keep_best] if keep_best else ("", 0)
    return [
        max((r for r in rows if name in r), key=lambda r: sign * r[name], default=rows[-1])
        for rows in stages
    ]


def _check_finite(plan: PretrainPlan, kept: list[Mapping[str, Any]]) -> None:
    """Refuse weights whose held-out loss overflows, though they and the training loss are finite."""
    values = _last(kept)
    bad = [name for name, value in values.items() if not math.isfinite(value)]
    if bad:
        raise _non_finite(
            f"{', '.join(bad)} after epoch {values['epoch']}", plan.recipe.learning_rate
        )


def _non_finite(where: str, rate: float) -> NonFiniteError:
    return NonFiniteError(
        f"Training became non-finite: {where}. Nothing was exported.",
        hint=f"Use a smaller {arg.learning_rate} (it was {rate:g}).",
    )


def _last(kept: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the numbers of the epoch whose weights are written."""
    return {k: v for k, v in (kept or [{}])[-1].items() if k != "stage"}


def _weights(
    plan: PretrainPlan, encoder: Encoder, run: Run, kept: list[Mapping[str, Any]]
) -> WeightsFile:
    """Return what is to be written."""
    dataset = plan.dataset
    metadata: dict[str, Any] = {
        "strategy": plan.row.name,
        "options": plan.options,
        "augmentation": plan.augmentation and plan.augmentation.to_json(),
        "recipe": asdict(plan.recipe),
        "validation": plan.validation,
        "seed": plan.seed,
        "data": {
            "name": dataset.name,
            "fingerprint": dataset.fingerprint,
            "examples": len(dataset.x),
            "labels_used": plan.labelled,
        },
        **({"probe": plan.probe.to_json()} if plan.probe else {}),
        "updates": run.updates,
        "metrics": _last(kept),
    }
    if plan.keep_best is not None:
        name, _ = KEEP_BEST[plan.keep_best]
        rows = [{"stage": r["stage"], "epoch": r["epoch"], name: r.get(name)} for r in kept]
        metadata |= {"keep_best": plan.keep_best, "kept": rows}
    return WeightsFile(
        encoder=plan.encoder,
        preprocessing=plan.preprocessing.to_json(),
        tensors=encoder.tensors(),
        metadata={**metadata, "identity": identity_of(plan.identity()), **settings()},
        fingerprints=Fingerprints.of(dataset.x, dataset.value_range) if plan.fingerprints else None,
    )
