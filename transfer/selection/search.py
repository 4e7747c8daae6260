"""The reuse search: candidates raced on cross-validation inside the label budget, and one chosen."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from transfer.architecture import TransferArchitecture
from transfer.config import SEARCH_SECONDS
from transfer.data.folds import FEW_FOLDS, FOLDS, folds, restore_class_proportions
from transfer.inference import FeatureCache, predict_batched
from transfer.metrics.temperature import losses
from transfer.selection.candidates import Candidate, candidates, fresh_candidates
from transfer.selection.decision import CandidateResult, choose, could_win
from transfer.training.fit import fit

if TYPE_CHECKING:
    from pretrain.engine.progress import Reporter
    from pretrain.engine.session import Session
    from transfer.model.network import TransferNetwork
    from transfer.training.fit import FitPlan

NOT_VALIDATED = "no class has two labels, so nothing could be validated: the plain transfer"
# Of its epochs, what a trained candidate has in the short run that decides whether it gets a whole one.
SHORT = 5
# So many of them get one besides the plain one, after each fold: by folds.
PLACES = {FOLDS: (2, 2, 1), FEW_FOLDS: (1,)}
# ... and none that is behind the plain one by more than this many standard errors of their difference.
MAX_LAG = 2.0
# Of the outputs of frozen blocks, which every candidate of a depth has from one computation.
MAX_BYTES = 1 << 30


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """The candidates of a search, in their order, and the choice among them."""

    tried: list[CandidateResult]
    chosen: int
    runner_up: int | None
    reason: str
    folds: int
    seconds: float
    complete: bool

    @property
    def candidate(self) -> Candidate:
        """The chosen one."""
        return self.tried[self.chosen].candidate

    def to_json(self) -> dict[str, Any]:
        """Return the table and the choice as plain data."""
        second = None if self.runner_up is None else self.tried[self.runner_up].candidate.name
        return {
            "arrangement": asdict(self.candidate.architecture),
            "recipe": self.candidate.recipe.to_json(),
            "chosen": self.candidate.name,
            "runner_up": second,
            "reason": self.reason,
            "folds": self.folds,
            "seconds": round(self.seconds, 3),
            "complete": self.complete,
            "tried": [row.to_json() for row in self.tried],
        }


def search(
    x: np.ndarray,
    y: np.ndarray,
    plan: FitPlan,
    session: Session,
    *,
    seconds: float = SEARCH_SECONDS,
    among: Sequence[Candidate] | None = None,
) -> SearchResult:
    """Try the candidates on stratified folds of these labels, and choose one.

    Args:
        x: the raw examples (N, ...) of the budget; nothing else is looked at.
        y: their classes, int32 (N,).
        plan: the plain transfer.
        session: shows the progress, and keeps compiled steps.
        seconds: after this, no further training is begun. Only then does the choice depend on the machine's
            speed, and ``complete`` is False.
        among: candidates in place of the usual ones.
    """
    began = time.monotonic()
    race = _Race(
        x=FeatureCache(predict_batched(plan.inputs.model(), x), most_bytes=MAX_BYTES),
        y=y,
        plan=plan,
        session=session.aside(),
        folds=folds(y, plan.seed),
        late=lambda: time.monotonic() - began > seconds,
        reporter=session.reporter,
    )
    make = fresh_candidates if plan.architecture.reuse == 0 else candidates
    true = y[race.validated]
    untried = np.full((len(true), len(plan.target.names)), np.nan)
    tried = [
        CandidateResult(candidate=candidate, y=true, probabilities=untried.copy())
        for candidate in among or make(plan.source.encoder, plan.recipe, len(y))
    ]
    chosen, runner_up, reason = 0, None, NOT_VALIDATED
    if race.folds:
        race.run(tried)
        chosen, runner_up, reason = choose(tried)
    return SearchResult(
        tried=tried,
        chosen=chosen,
        runner_up=runner_up,
        reason=reason,
        folds=len(race.folds),
        seconds=time.monotonic() - began,
        complete=not race.was_late,
    )


@dataclass(kw_only=True)
class _Race:
    x: FeatureCache
    y: np.ndarray
    plan: FitPlan
    session: Session
    folds: list[tuple[np.ndarray, np.ndarray]]
    late: Callable[[], bool]
    reporter: Reporter
    was_late: bool = False
    networks: dict[TransferArchitecture, TransferNetwork] = field(default_factory=dict)

    @cached_property
    def validated(self) -> np.ndarray:
        """The rows of x and y that are validated on at all, in their order; CandidateResult has these."""
        held = [held for _, held in self.folds]
        return np.sort(np.concatenate(held)) if held else np.arange(0)

    def run(self, tried: Sequence[CandidateResult]) -> None:
        """Score every candidate; of the trained ones a short run says which are worth a whole one.

        Successive halving (Jamieson & Talwalkar 2016) with two rungs. The first candidate, the plain
        transfer, is validated whole before the others: all are compared with it, and time that is up should
        not leave it out.
        """
        lines: dict[Candidate, list[CandidateResult]] = {}
        for row in tried:
            lines.setdefault(row.candidate.line, []).append(row)
        first, *others = lines.values()
        for rows in lines.values():
            for fold in range(len(self.folds)) if rows is first or rows[0].candidate.cheap else []:
                self._score(rows, fold)
        trained = [row for row, *_ in others if not row.candidate.cheap]
        for row in trained:
            self._run_shortly(row)
        if trained:
            self.reporter.say(f"Search: {len(trained)} of {len(tried)} candidates had a short run")
        places = PLACES.get(len(self.folds), PLACES[FEW_FOLDS])
        seen = [
            (-row.short[0], row.short[1], i)
            for i, row in enumerate(trained)
            if row.short and could_win(first)
        ]
        going = [trained[i] for *_, i in sorted(seen)[: places[0]]]
        for fold in range(len(self.folds)):
            for row in going:
                self._score([row], fold)
            going = self._kept(tried[0], going, fold, places[min(fold + 1, len(places) - 1)])

    def _kept(
        self, plain: CandidateResult, going: list[CandidateResult], fold: int, places: int
    ) -> list[CandidateResult]:
        """Return those that go on after a fold, at most ``places``."""
        rows = np.concatenate([self._held(i) for i in range(fold + 1)])
        left = len(self.validated) - len(rows)
        whole = [row for row in going if row.seen[rows].all()]
        ranked = sorted(whole, key=lambda row: (-row.correct[rows].mean(), row.loss[rows].mean()))

        def may_win(row: CandidateResult) -> bool:
            behind = plain.correct[rows] - row.correct[rows]
            # Not one that could not catch up with the plain one, were all the rest right.
            could = row.correct[rows].sum() + left >= plain.correct.sum()
            return bool(could and behind.mean() <= MAX_LAG * behind.std() / len(rows) ** 0.5)

        return list(filter(may_win, ranked[:places]))

    def _run_shortly(self, row: CandidateResult) -> None:
        """Train a candidate shortly on all folds but the first and note its predictions of that one."""
        y = self.y[self.folds[0][1]]
        for probabilities in self._validated([row], 0, SHORT):
            correct = probabilities.argmax(axis=1) == y
            row.short = (float(correct.mean()), float(losses(probabilities, y).mean()), len(y))

    def _score(self, rows: Sequence[CandidateResult], fold: int) -> None:
        """Train the candidates of a line on all folds but one and note their predictions of that one."""
        held = self._held(fold)
        if not rows[0].seen[held].all():
            for row, probabilities in zip(rows, self._validated(rows, fold), strict=False):
                row.probabilities[held] = probabilities

    def _held(self, fold: int) -> np.ndarray:
        """Return where the rows held out in a fold are among those that are validated."""
        return np.searchsorted(self.validated, self.folds[fold][1])

    def _validated(
        self, rows: Sequence[CandidateResult], fold: int, part: int = 1
    ) -> Iterator[np.ndarray]:
        """Train a line's candidates for one ``part``-th of their epochs; yield what each predicts."""
        train, held = self.folds[fold]
        if self.late():
            self.was_late = True
            return
        began = time.monotonic()
        # Fit the smallest share: any below 1 keeps both end points, so one fit serves all points of the line.
        candidate = min((row.candidate for row in rows), key=lambda c: c.recipe.interpolate)
        architecture = candidate.architecture
        recipe = candidate.recipe.for_budget(len(train))
        lengths = ("freeze_epochs", "epochs", "scratch_epochs")
        recipe = replace(recipe, **{n: math.ceil(getattr(recipe, n) / part) for n in lengths})
        plan = replace(self.plan, architecture=architecture, recipe=recipe)
        if architecture not in self.networks:
            self.networks[architecture] = plan.network()
        fitted = fit(
            self.x.take(train),
            self.y[train],
            plan,
            self.session,
            # Balanced, all classes count alike in a fold as they do in the whole.
            weights=None if recipe.balance else restore_class_proportions(self.y, train),
            network=self.networks[architecture],
        )
        for row in rows:
            if fitted.line is not None:
                fitted.line.apply(row.candidate.recipe.interpolate)
            probabilities = self.plan.target.probabilities(fitted.outputs(self.x.take(held)))
            row.seconds += time.monotonic() - began
            began = time.monotonic()
            yield probabilities
