"""One pretraining run: from a pool of examples to a weights file."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.errors import HeadstartError, InputError
from headstart.files import check_output
from pretrain.config import KEEP_BEST, Plan, PretrainConfig, choose_encoder
from pretrain.monitoring.artifacts import Companions
from pretrain.weights.file import WeightsFile
from tasks.dataset import Dataset
from tasks.duplicates.fingerprints import Fingerprints

if TYPE_CHECKING:
    from pretrain.engine.program import Programs
    from pretrain.engine.progress import Reporter


@dataclass(frozen=True, kw_only=True)
class Pretrained:
    """What a run made: the weights file as written, its epochs, and what it cost.

    seconds: from the beginning, with what interrupted parts of the run took up to their checkpoints.
    before: of that, what these parts took, of the clock and of the processor.
    kept: of each stage the row of the epoch whose weights it ended with.
    companions: the files written beside the weights.
    """

    weights: WeightsFile
    path: Path
    history: list[dict[str, Any]]
    updates: int
    seconds: float
    resumed_from: str | None
    before: tuple[float, float] = (0.0, 0.0)
    kept: list[Mapping[str, Any]] = field(default_factory=list)
    companions: list[Path] = field(default_factory=list)


def pretrain(
    dataset: Dataset,
    config: PretrainConfig,
    out: Path,
    *,
    force: bool = False,
    resume: bool = False,
    checkpoint_seconds: float = 5.0,
    reporter: Reporter | None = None,
    programs: Programs | None = None,
    probe: Dataset | None = None,
    companions: bool = True,
    fingerprints: bool = True,
) -> Pretrained:
    """Pretrain an encoder on the training part of ``dataset`` and write it to ``out``.

    Args:
        dataset: the pool; its test part is never looked at, its labels only when the strategy needs them.
        config: all that decides the run.
        out: the weights file to write; checkpoints lie in ``out`` + ".checkpoints" until the end.
        force: replace ``out`` and drop an interrupted run's checkpoints.
        resume: go on from the newest checkpoint, or start when there is none.
        checkpoint_seconds: save a checkpoint about so often.
        reporter: what shows the progress; None is silent.
        programs: compiled steps to share with other runs.
        probe: a labelled set to measure the features on as the training goes on; its training part only.
        companions: write the epochs as a table and as curves, and pictures, beside the weights.
        fingerprints: put the pool's into the file, so that a transfer can tell what was in it.

    Raises:
        InputError: the configuration, the data or the output cannot be used; nothing was written.
        CollapseError: the features collapsed; nothing was exported.
        NonFiniteError: training became non-finite; nothing was exported.
        Interrupted: Ctrl-C; a checkpoint was written.
    """
    plan = Plan.make(dataset, config, probe)
    check_output(out, force=force or resume)
    beside = Companions(out=out)
    if companions:
        beside.check(force=force or resume)

    from pretrain.augment.check import check_views
    from pretrain.encoders.encoder import Encoder
    from pretrain.engine.checkpoint import Checkpoints
    from pretrain.engine.program import Programs
    from pretrain.engine.progress import Reporter
    from pretrain.engine.runtime import settings
    from pretrain.engine.train import Run, train
    from pretrain.run_callbacks import Watcher, check_keeping, kept_rows

    began = time.monotonic()
    if plan.augmentation is not None:
        check_views(dataset, plan.augmentation, plan.row.name)
    surroundings = settings()
    identity = {**plan.to_json(), "data": dataset.fingerprint, **surroundings}
    checkpoints = Checkpoints.beside(out, identity, checkpoint_seconds)
    done = checkpoints.start(out, force=force, resume=resume)
    if done:
        return _finished(out, checkpoints.identity)
    if not checkpoints.files():
        checkpoints.clear()  # pictures of a run that was cut off before its first checkpoint
    arrays, held_out = plan.split(dataset)
    reporter = reporter or Reporter()
    run = Run(
        seed=plan.seed,
        key=plan.sharing_key(dataset.n_classes),
        programs=programs or Programs(),
        reporter=reporter,
        checkpoints=checkpoints,
        resume=resume,
        keep_best=KEEP_BEST[plan.keep_best] if plan.keep_best else None,
        gallery=_gallery(beside, plan.row.name, reporter) if companions else None,
    )
    encoder = Encoder(plan.encoder, plan.seed)
    with plan.setting_up(encoder, arrays, held_out, dataset.n_classes) as setup:
        run.watch = Watcher(plan, encoder, arrays, held_out, run.history, reporter.say)
        train(check_keeping(plan.row.stages(setup), plan.keep_best, reporter.say), run)
    kept = kept_rows(run.history, plan.keep_best)
    weights = WeightsFile(
        encoder=plan.encoder,
        preprocessing=plan.preprocessing.to_json(),
        tensors=encoder.tensors(),
        metadata={
            **_about(plan, dataset),
            "updates": run.updates,
            "metrics": {k: v for k, v in (kept or [{}])[-1].items() if k != "stage"},
            **_kept(plan, kept),
            "identity": checkpoints.identity,
            **surroundings,
        },
        fingerprints=Fingerprints.of(dataset.x, dataset.value_range) if fingerprints else None,
    ).write(out, force=True)
    written: list[Path] = []
    if companions and run.history:
        written, said = beside.write(run.history, kept if plan.keep_best else ())
        for line in said:
            reporter.say(line)
    checkpoints.clear()
    return Pretrained(
        weights=weights,
        path=out,
        history=run.history,
        updates=run.updates,
        seconds=time.monotonic() - began + checkpoints.before[0],
        resumed_from=run.resumed_from,
        before=checkpoints.before,
        kept=kept,
        companions=written,
    )


def _finished(out: Path, identity: str) -> Pretrained:
    """Return what an earlier, equal run made. Raises InputError when it was another."""
    weights = WeightsFile.read(out)
    if weights.metadata.get("identity") != identity:
        raise InputError(f"{out} exists and is another run's. Give another --out, or --force.")
    return Pretrained(
        weights=weights, path=out, history=[], updates=0, seconds=0.0, resumed_from="the end"
    )


def _about(plan: Plan, dataset: Dataset) -> dict[str, Any]:
    """Return the part of the metadata that was known before the run."""
    return {
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
    }


def _kept(plan: Plan, kept: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Return which epoch of each stage was kept, when that need not be the last."""
    if plan.keep_best is None:
        return {}
    name, _ = KEEP_BEST[plan.keep_best]
    rows = [{"stage": r["stage"], "epoch": r["epoch"], name: r.get(name)} for r in kept]
    return {"keep_best": plan.keep_best, "kept": rows}


def _gallery(beside: Companions, strategy: str, reporter: Reporter) -> Any:
    """Return what writes a stage's pictures; a full disk is told and does not end the run."""

    def show(name: str, row: Mapping[str, Any], picture: np.ndarray) -> None:
        try:
            beside.show(name, row, strategy, picture)
        except HeadstartError as error:
            reporter.say(f"Warning: {error}")

    return show


__all__ = ["Plan", "PretrainConfig", "Pretrained", "choose_encoder", "pretrain"]
