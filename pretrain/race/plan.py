"""The plan of a race: a configuration checked against a pool and the labels that are to judge."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from headstart.errors import InputError, arg, require
from headstart.files import check_output
from headstart.options import check_options
from pretrain.config import PretrainConfig
from pretrain.engine.checkpoint import Checkpoints, identity_of
from pretrain.engine.runtime import settings
from pretrain.engine.session import Session
from pretrain.monitoring.artifacts import Companions
from pretrain.monitoring.probe import Probe
from pretrain.race.candidates import Candidates
from pretrain.race.measures import Measure, by_labels, without_labels
from pretrain.strategies import AUTO
from pretrain.weights.file import WeightsFile
from tasks.dataset import Dataset
from tasks.duplicates.exact import overlap

MINUTES = 10.0
NOTE = "race"


@dataclass(frozen=True, kw_only=True, eq=False)
class RacePlan:
    """A configuration checked against a pool: everything that can be refused has been.

    Attributes:
        dataset: the pool; its test part is never looked at.
        config: of the race.
        candidates: the strategies that can race, and why the others cannot.
        measure: of a candidate's features.
        minutes: of the whole race.
        out: the weights file to write; None leaves the weights in memory.
        companions: write the winner's table, curves and pictures beside the weights.
        finished: the weights at ``out``, when an equal race has finished already and is resumed.
        clock: returns seconds.
        began: the clock when the plan was begun: the race's time starts there.
    """

    dataset: Dataset
    config: PretrainConfig
    candidates: Candidates
    measure: Measure
    minutes: float
    out: Path | None = None
    companions: bool = False
    finished: WeightsFile | None = None
    clock: Callable[[], float] = field(default=time.monotonic)
    began: float = 0.0

    @classmethod
    def make(
        cls,
        dataset: Dataset,
        config: PretrainConfig,
        *,
        probe: Dataset | None = None,
        out: Path | None = None,
        session: Session | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> RacePlan:
        """Check everything, start the session, and return a plan that ``race`` can run.

        Args:
            dataset: the pool.
            config: all that decides the race, but the machine's speed; its strategy is "auto".
            probe: labelled examples that judge the candidates; None: a measure without labels does.
            out: the weights file to write; the race's decisions lie in ``out`` + ".race" until the end.
            session: surrounds the race; None is a new one.
            clock: returns seconds.

        Raises:
            InputError: the configuration, the data or an output cannot be used; nothing was written.
        """
        session, began = session or Session(), clock()
        plan = replace(cls.resolve(dataset, config, probe=probe), clock=clock, began=began, out=out)
        if out is not None:
            replaced = session.force or session.resume
            check_output(out, force=replaced)
            Companions(out=out).check(force=replaced)
            plan = replace(plan, companions=True)
        # Only now: TensorFlow takes seconds to import.
        session.start()
        for entered in plan.candidates.plans.values():
            if entered.augmentation is not None:
                entered.check_views()  # the views are the same for all
                break
        return plan._resumed(session)

    @classmethod
    def resolve(
        cls, dataset: Dataset, config: PretrainConfig, *, probe: Dataset | None = None
    ) -> RacePlan:
        """Check the configuration against the data without TensorFlow and without an output.

        Raises:
            InputError: as ``make``, except for outputs and for views that do not differ.
        """
        check_options(config)
        _check_alone(config)
        judge = None if probe is None else Probe.of(probe, dataset)
        # A network that learnt the probe's own labels would have learnt them by heart.
        apart = judge is not None and not len(overlap(dataset.x, judge.x))
        candidates = Candidates.of(dataset, config, labels=apart)
        views = without_labels(dataset, config)
        measure: Measure = views if judge is None else by_labels(judge, views)
        return cls(
            dataset=dataset,
            config=config,
            candidates=candidates,
            measure=measure,
            minutes=MINUTES if config.minutes is None else float(config.minutes),
        )

    def identity(self) -> dict[str, Any]:
        """Return all that decides the race but the machine's speed, as JSON. TensorFlow must run."""
        plans = self.candidates.plans.items()
        return {
            "race": list(self.candidates.plans),
            "plans": identity_of({name: plan.to_json() for name, plan in plans}),
            "minutes": self.minutes,
            "measure": self.measure.to_json(),
            "fingerprints": self.config.fingerprints,
            "seed": self.config.seed,
            "data": self.dataset.fingerprint,
            **settings(),
        }

    def notes(self) -> Checkpoints | None:
        """Return where the race keeps its decisions; None without an output."""
        if self.out is None:
            return None
        return Checkpoints(self.out.with_name(self.out.name + ".race"), self.identity())

    def _resumed(self, session: Session) -> RacePlan:
        """Return the plan, with the weights of an equal race that has finished and is resumed.

        Raises:
            InputError: an interrupted run or race lies at the output, and it is not this one or nothing
                was chosen for it; or what is resumed has finished and is another's.
        """
        notes, out = self.notes(), self.out
        if notes is None or out is None:
            return self
        saved = Checkpoints.beside(out, {}, session.checkpoint_seconds)
        here = notes.folder if (notes.folder / f"{NOTE}.json").exists() else saved.folder
        interrupted = notes.folder == here or bool(saved.files())
        if not session.resume:
            if interrupted and not session.force:
                raise InputError(
                    f"An interrupted run lies in {here}.",
                    hint=f"Repeat it with {arg.resume:True} to go on, or with {arg.force:True} to start "
                    f"anew.",
                )
            return self
        if notes.read_note(NOTE) is not None:
            return self
        if saved.files():
            raise InputError(
                f"The interrupted run in {here} is no race.",
                hint=f"Give its own strategy to resume it, or {arg.force:True} to start anew.",
            )
        if not out.exists():
            return self
        weights = WeightsFile.read(out)
        if weights.metadata.get("race", {}).get("identity") != notes.identity:
            raise InputError(
                f"{out} exists and is another run's.",
                hint=f"Give another {arg.out}, or {arg.force:True}.",
            )
        return replace(self, finished=weights)


def _check_alone(config: PretrainConfig) -> None:
    """Refuse options that a race decides by itself, or that belong to one strategy. Raises InputError."""
    rule = f"cannot be given with {arg.strategy:auto}, which"
    unfit: Mapping[str, tuple[str, bool]] = {
        "options": ("tries several strategies, and an option belongs to one", not config.options),
        "epochs": ("trains for the minutes that it is given", config.epochs is None),
        "keep_best": ("keeps the last epoch of a training", config.keep_best is None),
        "probe_every": ("probes at the end of each training", config.probe_every is None),
    }
    for name, (why, good) in unfit.items():
        hint = f"Give {arg.minutes}, or a {arg.strategy} of your choice."
        require(good, name, f"{rule} {why}", value=getattr(config, name), hint=hint)
    assert config.strategy == AUTO
