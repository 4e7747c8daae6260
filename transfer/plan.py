"""A transfer, planned: everything that can be refused is refused here, before anything is trained."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from headstart.errors import InputError, arg
from headstart.files import read_json
from pretrain.engine.checkpoint import Checkpoints
from pretrain.engine.runtime import settings
from pretrain.engine.session import Session
from tasks.dataset import Dataset
from tasks.targets import KINDS
from tasks.task import TargetTask
from transfer.active_learning.selection_file import read_selection
from transfer.config import SEARCH_SECONDS, TransferConfig
from transfer.data.input_adapter import InputAdapter
from transfer.data.leakage import describe, leakage, refuse
from transfer.encoder_source import EncoderSource
from transfer.heads import head_of
from transfer.report.artifacts import Artifacts
from transfer.selection.views import views_to_try
from transfer.semi_supervised.unlabelled import UnlabelledSet
from transfer.targets import TARGETS, target_of
from transfer.training.fit import FitPlan


@dataclass(frozen=True, kw_only=True)
class TransferPlan:
    """A transfer that nothing refuses any more.

    Attributes:
        task: the labelled data.
        config: as it was given.
        fit: the training; of a reuse search, where it begins.
        rows: int64 (n,), the examples of ``task.x`` whose labels are used.
        unlabelled: more examples, and what to do with them; None without any.
        views: the random views to choose among; () where there is no choice.
        leakage: how many of the examples the pretraining saw; None where nobody looked.
        artifacts: the files to write; None: none.
        checkpoints: beside the files; None without any.
        finished: the result of the same run, which is over already; None where there is none.
        lines: for a person, about what is going to be done.

    Example:
        ``TransferPlan.make(task, source, TransferConfig(labels=200), out=Path("model.keras"))``
    """

    task: TargetTask
    config: TransferConfig
    fit: FitPlan
    rows: np.ndarray
    unlabelled: UnlabelledSet | None = None
    views: tuple[str, ...] = ()
    leakage: dict[str, Any] | None = None
    artifacts: Artifacts | None = None
    checkpoints: Checkpoints | None = None
    finished: dict[str, Any] | None = None
    lines: tuple[str, ...] = ()

    @classmethod
    def make(
        cls,
        task: TargetTask,
        source: EncoderSource,
        config: TransferConfig,
        *,
        unlabelled: Dataset | None = None,
        out: Path | None = None,
        session: Session | None = None,
    ) -> TransferPlan:
        """Check everything, what needs TensorFlow last.

        Args:
            task: labelled examples, and those to test on.
            source: the encoder.
            config: all else that decides the result.
            unlabelled: more examples, which may help.
            out: the ``.keras`` file to write, with its companions beside it; None writes nothing, and
                TensorFlow is not started.
            session: says whether outputs are replaced or an interrupted run is resumed.

        Raises:
            InputError: something contradicts something else, does not fit or would be overwritten, or the
                pretraining used labels of test examples.
        """
        session = session or Session()
        artifacts = None if out is None else Artifacts.of(out, config, session)
        _check_kind(task, config, unlabelled)
        inputs = InputAdapter.of(task, source.encoder["input_shape"], source.preprocessing)
        if config.labels_from is not None:
            rows = np.array(read_selection(config.labels_from, task.x))
        elif config.rows is not None:
            rows = np.array(config.rows)
        else:
            rows = task.labels(len(task.x) if config.labels is None else config.labels, config.seed)
        target, trained = target_of(task, rows), unlabelled is not None
        fit = FitPlan.make(config, source, inputs, target, data=task.name, trained=trained)
        lines = [f"Data: {task.name}, {task.source}; test part: {task.test_origin}"]
        lines += task.notes
        lines += [f"Inputs: {change}, to fit the encoder" for change in fit.inputs.changes]
        found = None
        if source.weights is not None:
            found = leakage(task, rows, source.weights)
            if not config.allow_leakage:
                refuse(found, task.name, source.name or f"the encoder {source.digest}")
            lines.append(describe(found))
        more = None
        if unlabelled is not None:
            more = UnlabelledSet.make(unlabelled, task, rows, fit, **config.unlabelled)
            lines.append(more.describe())
        if not fit.target.exclusive:
            lines.append(f"Target: {KINDS[task.target]}")
        if lacking := task.absent(rows):
            names = ", ".join(lacking)
            lines.append(f"Warning: no label is of class {names}: the model cannot learn it")
        if found is not None and found["leaks"]:
            lines.append(
                "Warning: the pretraining used their labels, so the test measures memory too"
            )
        lines = [*(artifacts.describe() if artifacts else ()), *lines]
        plan = cls(
            lines=tuple(lines),
            task=task,
            config=config,
            fit=fit,
            rows=rows,
            unlabelled=more,
            views=views_to_try(task, source.encoder["input_shape"]) if config.chooses_views else (),
            leakage=found,
            artifacts=artifacts,
        )
        return plan if artifacts is None else plan._with_checkpoints(artifacts, session)

    def _with_checkpoints(self, artifacts: Artifacts, session: Session) -> TransferPlan:
        """Return the plan with its checkpoints, or with the result of the same run. Raises InputError."""
        session.start()
        out = artifacts.model
        checkpoints = Checkpoints.beside(out, self.identity(), session.checkpoint_seconds)
        checkpoints.check(force=session.force, resume=session.resume)
        finished = None
        if session.resume and not checkpoints.files() and out.exists():
            finished = read_json(artifacts.result) or {}
            if finished.get("identity") != checkpoints.identity:
                finished = None
                if not session.force:
                    raise InputError(
                        f"{out} exists and is another run's.",
                        hint=f"Give another {arg.out}, or {arg.force}.",
                    )
        return replace(self, checkpoints=checkpoints, finished=finished)

    def identity(self) -> dict[str, Any]:
        """Return what decides the result's bits, as JSON; TensorFlow must have been started."""
        config, own = self.config, self.config.rows is None and self.config.labels_from is None
        # The same data with another test part, or other unlabelled examples, is another run.
        data = f"{self.task.fingerprint}, test part: {self.task.test_origin}"
        if self.unlabelled is not None:
            views = self.unlabelled.augmentation
            data += f", pool: {self.unlabelled.fingerprint} {json.dumps(config.unlabelled)}"
            data += f", views: {None if views is None else views.name}"
        if self.views:
            data += f", views to choose among: {', '.join(self.views)}"
        search = config.search_seconds or SEARCH_SECONDS
        return {
            "source": self.fit.source.identity(),
            "recipe": self.fit.recipe.to_json(),
            "labels": config.labels if own else self.rows.tolist(),
            "reuse": config.kept_blocks,
            "above": self.fit.architecture.above,
            "head": self.fit.architecture.head,
            "search": search if config.search else None,
            "seed": config.seed,
            "data": data,
            "task": self.task.name,
            **settings(),
        }

    @property
    def about(self) -> dict[str, Any]:
        """Facts for the result about the files that it was made of."""
        chosen, source = self.config.labels_from, self.fit.source
        found: dict[str, Any] = {} if chosen is None else {"labels_from": chosen.name}
        if source.weights is not None:
            metadata = source.weights.metadata
            found["source"] = {
                "file": source.name,
                "strategy": metadata.get("strategy"),
                "data": metadata.get("data", {}).get("name"),
                "seed": metadata.get("seed"),
            }
        return found


def _check_kind(task: TargetTask, config: TransferConfig, unlabelled: Dataset | None) -> None:
    """Refuse what another kind of y, or another head, would need. Raises InputError."""
    head = head_of(config.head or "linear")
    asked = {
        "reuse": config.search,
        "balance": bool(config.balance),
        "augment": config.chooses_views,
        "unlabelled": unlabelled is not None,
        "figures": config.figures,
    }
    if not TARGETS[task.target].exclusive:
        for name, given in asked.items():
            if given:
                which = "auto " if name in ("reuse", "augment") else ""
                raise InputError(
                    f"{which}works on classes, and y of {task.name!r} is {KINDS[task.target]}",
                    argument=name,
                    hint="Leave it out.",
                )
    if task.schema is not None and config.export:
        rule = "cannot write a model of a table: it takes columns by name, and only .keras files have them"
        raise InputError(rule, argument="export", value=config.export[0], hint="Leave it out.")
    if unlabelled is not None and head.solved:
        rule = f"trains the network, and {format(arg.head, head.name)} is solved on frozen features"
        raise InputError(rule, argument="unlabelled", hint="Leave one of them out.")
    if unlabelled is None and config.unlabelled:
        rule = "is about unlabelled examples, and none were given"
        hint = f"Give {arg.unlabelled:DATA}."
        raise InputError(rule, argument=f"unlabelled_{next(iter(config.unlabelled))}", hint=hint)
