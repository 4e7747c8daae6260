"""The race itself: rungs, the winner's training, and the record of both in its weights file."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from headstart.errors import HeadstartError, Interrupted, arg, option_spelling
from headstart.options import arguments
from pretrain.config import PretrainConfig, whole_if_equal
from pretrain.cost import survey
from pretrain.encoders.encoder import Encoder
from pretrain.engine.checkpoint import Checkpoints, identity_of
from pretrain.engine.program import Programs
from pretrain.engine.runtime import keras_defaults
from pretrain.engine.session import Session
from pretrain.plan import PretrainPlan
from pretrain.race.candidates import entry
from pretrain.race.pace import Pace, Stopwatch
from pretrain.race.plan import NOTE, RacePlan
from pretrain.race.schedule import ETA, rungs, short_list
from pretrain.run import Pretrained, pretrain
from pretrain.strategies import strategy
from pretrain.weights.file import WeightsFile, assign
from tasks.duplicates.fingerprints import Fingerprints

LEAST_FINAL = 0.25
"""The part of the time that the winner gets at least, however late the rungs end."""
NO_TIME = "There was no time left for it."
WRITING_SECONDS = 2.5
"""For table, curves and the weights file, about."""
SAMPLED = 2000


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One training of a candidate, and the measure of its features.

    Attributes:
        rung: counted from 1.
        strategy: its name.
        epochs: of the training.
        updates: steps that it made.
        seconds: from setting up to measuring.
        score: by the race's measure, more is better; None where the training failed.
        tie: decides between scores that are not far enough apart.
        failed: why, or None.
    """

    rung: int
    strategy: str
    epochs: float
    updates: int
    seconds: float
    score: float | None
    tie: float = 0.0
    failed: str | None = None


def race(plan: RacePlan, session: Session | None = None) -> Pretrained:
    """Race the candidates of a plan, train the winner anew, and write its weights where the plan says.

    Args:
        plan: made by ``RacePlan.make`` with the same session; nothing is checked again here.
        session: progress and checkpoints.

    Returns:
        The winner's training, whose weights say under "race" how it was found.

    Raises:
        HeadstartError: no candidate could be trained; the reasons of all.
        Interrupted: Ctrl-C; the finished trainings are known when it is resumed.
    """
    session = (session or Session()).start()
    if plan.finished is not None:
        return Pretrained(weights=plan.finished, path=plan.out, resumed_from="the end")
    return _Race(plan, session).run()


class _Race:
    """A race in progress; ``trials``, ``paces`` and ``final`` are all that it has decided."""

    def __init__(self, plan: RacePlan, session: Session) -> None:
        self.plan, self.session, self.notes = plan, session, plan.notes()
        self.trials: list[Trial] = []
        self.paces: dict[str, Pace] = {}
        self.final: dict[str, Any] | None = None
        self.before = 0.0
        self.resumed = False
        if self.notes is not None:
            self._take_up(self.notes)

    def _take_up(self, notes: Checkpoints) -> None:
        """Take up the decisions of an interrupted race, or drop those of one that is started anew."""
        note = notes.read_note(NOTE) if self.session.resume else None
        if note is None:
            notes.clear()
            if self.plan.out is not None:  # of a run that is not resumed either
                Checkpoints.beside(self.plan.out, {}).clear()
            return
        self.trials = [Trial(**trial) for trial in note["trials"]]
        self.paces = {name: Pace.from_json(pace) for name, pace in note["paces"].items()}
        self.final, self.before, self.resumed = note["final"], note["seconds"], True
        self._say(f"Resuming after {len(self.trials)} trainings of the race.")

    def run(self) -> Pretrained:
        """Run the rungs that are left, then the winner's training."""
        if self.final is None:
            winner = self._rungs()
            epochs = self._last_epochs(winner)
            self.final = {"strategy": winner, "epochs": epochs}
            self._keep()
        name, epochs = self.final["strategy"], self.final["epochs"]
        if len(self.plan.candidates.plans) > 1:
            self._say(f"{name} won; it is now trained anew, for {epochs:g} epochs.")
        done = self._train_winner(name, epochs)
        seconds = self._seconds()
        weights = replace(
            done.weights,
            metadata={**done.weights.metadata, "race": self._record(done.weights, seconds)},
        )
        out = self.plan.out
        weights = weights.sealed() if out is None else weights.write(out, force=True)
        if self.notes is not None:
            self.notes.clear()
        return replace(done, weights=weights, seconds=seconds)

    def _rungs(self) -> str:
        """Return the name of the winner."""
        total = 60 * self.plan.minutes
        names = list(self.plan.candidates.plans)
        names = names[: short_list(len(names), total)]
        for number, rung in enumerate(rungs(len(names), total), start=1):
            begun = number == 1 or any(trial.rung == number for trial in self.trials)
            if not begun and (len(names) == 1 or self._late()):
                break
            self._say(
                f"Rung {number}: {', '.join(names)}; {rung.seconds:.0f} s each, by {self.plan.measure.name}"
            )
            trials: list[Trial] = []
            for name in names:
                waits = self._late() and any(trial.score is not None for trial in trials)
                trials.append(self._trial(number, name, 0.0 if waits else rung.seconds))
            scores = [trial.score for trial in trials if trial.score is not None]
            margin = self.plan.measure.margin(max(scores, default=0.0))
            names = survivors(trials, max(1, rung.size // ETA), margin)
            if not names:
                reasons = "; ".join(f"{trial.strategy}: {trial.failed}" for trial in trials)
                raise HeadstartError(f"No strategy of the race could be trained. {reasons}")
        return names[0]

    def _late(self) -> bool:
        """Say whether only the winner's least part of the time is left, as on a machine that is busy."""
        return self._seconds() > (1 - LEAST_FINAL) * 60 * self.plan.minutes

    def _trial(self, number: int, name: str, seconds: float) -> Trial:
        """Return a candidate's training in a rung, as it is known or by carrying it out.

        seconds: for it; 0: there is no time left.
        """
        for trial in self.trials:
            if (trial.rung, trial.strategy) == (number, name):
                return trial
        began = self.plan.clock()
        try:
            if not seconds:
                raise HeadstartError(NO_TIME)
            trial = self._train(number, name, seconds)
        except Interrupted as error:
            resume = f"Repeat it with {arg.resume:True} to go on."
            hint = error.marked_hint if self.notes is None else resume
            raise Interrupted(error.marked_rule, hint=hint) from None
        except HeadstartError as error:  # no time, collapsed, or no longer finite
            taken = self.plan.clock() - began
            trial = Trial(
                rung=number,
                strategy=name,
                epochs=0,
                updates=0,
                seconds=round(taken, 2),
                score=None,
                failed=str(error),
            )
        self.trials.append(trial)
        self._keep()
        after = f"after {trial.epochs:g} epochs and {trial.seconds:.1f} s"
        self._say(
            f"{name}: {trial.failed if trial.score is None else f'{trial.score:.4f}, {after}'}"
        )
        return trial

    def _train(self, number: int, name: str, seconds: float) -> Trial:
        plan, clock = self.plan, self.plan.clock
        began = clock()
        unset = plan.candidates.plans[name]
        if name not in self.paces:
            with keras_defaults():
                costs = list(survey(unset, clock))
            self.paces[name] = Pace.of(costs, clock() - began)
        pace, watch = self.paces[name], Stopwatch(clock)
        epochs = pace.fill(seconds - pace.scoring - (clock() - began))
        session = self.session.aside()
        # Its compiled steps serve no other training: the epochs differ.
        session = replace(session, reporter=watch, programs=Programs(len(pace.costs)))
        trained = clock()
        done = pretrain(_with_epochs(unset, epochs), session)
        scored = clock()
        score, tie = self._score(done.weights, unset)
        self.paces[name] = pace.after(
            watch, epochs, training=scored - trained, scoring=clock() - scored
        )
        return Trial(
            rung=number,
            strategy=name,
            epochs=epochs,
            updates=done.updates,
            seconds=round(clock() - began, 2),
            score=score,
            tie=tie,
        )

    @keras_defaults()
    def _score(self, weights: WeightsFile, plan: PretrainPlan) -> tuple[float, float]:
        """Return the measure of a training's features, and what decides between equals."""
        encoder = Encoder(weights.encoder, seed=None)
        assign(weights.tensors, encoder.variables)
        score, tie = self.plan.measure.score(encoder, plan.preprocessing)
        return round(score, 6), round(tie, 6)

    def _last_epochs(self, name: str) -> float:
        """Return the epochs of the winner's own training, which fill the time that is left."""
        plan, clock = self.plan, self.plan.clock
        if name not in self.paces:  # of a single candidate
            began = clock()
            with keras_defaults():
                costs = list(survey(plan.candidates.plans[name], clock))
            self.paces[name] = Pace.of(costs, clock() - began)
        after = WRITING_SECONDS if plan.companions else 0.0
        if plan.config.fingerprints:
            x, began = plan.dataset.x, clock()
            Fingerprints.of(x[:SAMPLED], plan.dataset.value_range)
            after += (clock() - began) * len(x) / min(len(x), SAMPLED)
        total = 60 * plan.minutes
        left = max(total - self._seconds(), LEAST_FINAL * total)
        return self.paces[name].fill(left - after)

    def _train_winner(self, name: str, epochs: float) -> Pretrained:
        """Train the winner as a plain run would, and write its weights."""
        plan, session = self.plan, self.session
        config = entry(plan.config, strategy(name), epochs)
        made = PretrainPlan.resolve(plan.dataset, config)
        made = replace(made, out=plan.out, companions=plan.companions)
        saved = made.checkpoints(session)
        out, over = plan.out, self.resumed and saved is not None and not saved.files()
        if over and out is not None and out.exists():
            # Cut off after the weights were written, with the race in them or not yet.
            weights = WeightsFile.read(out)
            if saved is not None and weights.metadata.get("identity") == saved.identity:
                plain = {k: v for k, v in weights.metadata.items() if k != "race"}
                made = replace(made, finished=replace(weights, metadata=plain).sealed())
        return pretrain(made, session)

    def _record(self, weights: WeightsFile, seconds: float) -> dict[str, Any]:
        """Return what the weights file says of the race.

        weights: as the plain command writes them.
        """
        plan, config = self.plan, self.plan.config
        assert self.final is not None
        won = entry(config, strategy(self.final["strategy"]), self.final["epochs"])
        return {
            "identity": identity_of(plan.identity()),
            "minutes": plan.minutes,
            "seconds": round(seconds, 1),
            "measure": plan.measure.to_json(),
            "labels_used": self._labels_used(),
            "trials": [asdict(trial) for trial in self.trials],
            "left_out": dict(plan.candidates.left_out),
            **self.final,
            "command": command(plan.dataset.name, won, self.session.threads),
            "digest": weights.digest,
        }

    def _labels_used(self) -> bool:
        """Say whether labels took part, of a probe to choose by or of the pool to learn from."""
        plans = self.plan.candidates.plans
        tried = {trial.strategy for trial in self.trials}
        return self.plan.measure.labels > 0 or any(plans[name].labelled for name in tried)

    def _seconds(self) -> float:
        """Return the race's seconds up to now, those before an interruption included."""
        return self.before + self.plan.clock() - self.plan.began

    def _keep(self) -> None:
        """Write the decisions down."""
        if self.notes is None:
            return
        note = {
            "trials": [asdict(trial) for trial in self.trials],
            "paces": {name: pace.to_json() for name, pace in self.paces.items()},
            "final": self.final,
            "seconds": self._seconds(),
        }
        self.notes.write_note(NOTE, note)

    def _say(self, line: str) -> None:
        self.session.reporter.say(line)


def survivors(trials: Sequence[Trial], most: int, margin: float) -> list[str]:
    """Return the names of the best ``most`` candidates of a rung, the best first.

    Those whose score is at most ``margin`` below the best are sorted by ``tie``; of equals the earlier wins.
    """
    scored = [(trial, trial.score) for trial in trials if trial.score is not None]
    least = max((score for _, score in scored), default=0.0) - margin
    key = {t.strategy: (0, -t.tie) if s >= least and margin else (1, -s) for t, s in scored}
    return sorted(key, key=key.__getitem__)[:most]


def command(data: str, config: PretrainConfig, threads: int | None) -> str:
    """Return the plain command that gives the winner's weights.

    Args:
        data: the name of the pool.
        config: of the winner's training.
        threads: of the session.
    """
    parts = ["pretrain", option_spelling("data", None), data, *arguments(config)]
    if threads is not None:
        parts += [option_spelling("threads", None), str(threads)]
    return shlex.join(parts)


def _with_epochs(plan: PretrainPlan, epochs: float) -> PretrainPlan:
    """Return a plan in memory, for a training that is only measured."""
    recipe = replace(plan.recipe, epochs=whole_if_equal(epochs))
    return replace(plan, recipe=recipe, fingerprints=False)
