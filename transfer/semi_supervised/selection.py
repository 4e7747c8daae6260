"""Training with unlabelled examples, by the method that validates best, or without them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from transfer.data.folds import folds
from transfer.inference import FeatureCache, predict_batched
from transfer.metrics.temperature import fit_temperature, losses
from transfer.selection.decision import paired_error
from transfer.selection.search import NOT_VALIDATED
from transfer.semi_supervised import consistency
from transfer.semi_supervised.consistency import Consistency
from transfer.semi_supervised.graph import Graphs, Taught, representations
from transfer.semi_supervised.innocence import MIN_SHARE, flip_share, without_flips
from transfer.semi_supervised.resemblance import resemblance
from transfer.semi_supervised.self_training import soft_labels, student_examples, student_recipe
from transfer.semi_supervised.unlabelled import UnlabelledSet, no_consistency
from transfer.training.fit import Examples, fit

if TYPE_CHECKING:
    from pretrain.augment.recipes import Augmentation
    from pretrain.engine.session import Session
    from transfer.training.fit import FitPlan, Fitted

PLAIN, SELF, SPREAD, CONSISTENCY = "plain", "self-training", "spreading", "consistency"
PREFERRED = (CONSISTENCY, SPREAD, SELF)
# Standard errors by which a method's loss must be below that of plain, chosen on held-out training images
# (docs/unlabelled.md). Where the pool was of the labels' kind, consistency was never worse, and its
# validation, by shorter runs, looked up to 0.7 worse: so it is enough that it is not shown to be.
MIN_LEADS = {CONSISTENCY: -1.0, SPREAD: 0.0, SELF: 2.0}
# No probability counts as lower than this.
LEAST = 1e-3
# Consistency training is validated by shorter runs than the one that is taken.
FOLDS, FOLD_UPDATES = 3, 300
OTHER_KIND = (
    "the unlabelled examples are further from the labelled ones than from one another: they seem to show "
    "other things, so the pool is not used"
)
NOTHING_TRIED: dict[str, Any] = {"tried": [], "folds": 0, "seconds": 0.0}


class SemiSupervised:
    """The trainings with unlabelled examples, for one plan; it decides which of them to use."""

    def __init__(
        self,
        x: np.ndarray,
        y: np.ndarray,
        unlabelled: UnlabelledSet,
        plan: FitPlan,
        session: Session,
    ) -> None:
        """Take raw labelled examples (N, ...) and classes int32 (N,); compute all features."""
        self.raw, self.y, self.unlabelled = x, y, unlabelled
        self.plan, self.reporter, self.session = plan, session.reporter, session.aside()
        self.network = plan.network()
        self.x = predict_batched(plan.inputs.model(), x)
        self.unlabelled_x = predict_batched(unlabelled.inputs.model(), unlabelled.x)
        kept = [block for _, block in self.network.kept]

        def flat(part: np.ndarray) -> np.ndarray:
            # Maps are averaged over places.
            if part.ndim == 4 and kept:
                part = part.mean(axis=(1, 2))
            return part.reshape(len(part), -1)

        self.features, self.unlabelled_features = (
            predict_batched(kept, part, then=flat) for part in (self.x, self.unlabelled_x)
        )

    def plain(self, rows: np.ndarray) -> Fitted:
        """Train on these labelled rows alone."""
        return self._fit(Examples(FeatureCache(self.x[rows]), self.y[rows]), self.plan)

    def soft_labels(
        self, method: str, rows: np.ndarray, teacher: Fitted | None = None
    ) -> np.ndarray:
        """Return distributions (P, K) of the unlabelled examples, by a method, learnt from labelled rows.

        teacher: ``plain(rows)``, where it was trained already.
        """
        if method == SELF:
            outputs = self._outputs(teacher or self.plain(rows), self.unlabelled_x)
            return soft_labels(outputs, self.unlabelled.temperature)
        return self.taught(rows).soft[len(self.y) :]

    @cached_property
    def spaces(self) -> dict[str, np.ndarray]:
        """The spaces in which the labelled and then the unlabelled examples are compared."""
        x = np.concatenate([self.x, self.unlabelled_x])
        features = np.concatenate([self.features, self.unlabelled_features])
        return representations(x, features if self.network.kept else None, self.plan.seed)

    @cached_property
    def graphs(self) -> Graphs:
        """The graphs in these spaces."""
        return Graphs(self.spaces)

    def taught(self, rows: np.ndarray) -> Taught:
        """Return what the graph that the labels of ``rows`` prefer says of all examples."""
        classes = len(self.plan.target.names)
        return self.graphs.teach(rows, self.y[rows], classes=classes, seed=self.plan.seed)

    @cached_property
    def views(self) -> tuple[Augmentation, float | None]:
        """The augmentation of consistency training, and the ``flip_share`` that decided it, if one did."""
        views = self.unlabelled.augmentation
        assert views is not None
        if not self.unlabelled.guessed or not views.options.get("flip"):
            return views, None
        soft = self.taught(np.arange(len(self.y))).soft[len(self.y) :]
        share = flip_share(self.unlabelled_x, soft, self.plan.seed)
        if share >= MIN_SHARE:
            return views, share
        return without_flips(views, self.unlabelled_x.shape[1:]), share

    def trained(
        self, method: str, rows: np.ndarray, soft: np.ndarray, updates: int | None = None
    ) -> Fitted:
        """Train by a method on labelled rows and the soft labels (P, K), from the source's weights."""
        plan, examples = self._training(method, rows, soft, updates or consistency.UPDATES)
        return self._fit(examples, plan)

    def choose(self) -> dict[str, Any]:
        """Return the method to take, and the reason, as JSON."""
        method = self.unlabelled.method
        if method == "auto":
            self.reporter.say("Unlabelled examples: validating whether they help")
            found = self.validate()
        else:
            found = {"chosen": method, "reason": "it was asked for", **NOTHING_TRIED}
        if found["chosen"] in (SPREAD, CONSISTENCY):
            found["graph"] = self.taught(np.arange(len(self.y))).about
        if found["chosen"] == CONSISTENCY:
            views, share = self.views
            found["augmentation"] = {**views.to_json(), "flip_share": share}
        return {**self.unlabelled.to_json(), **found}

    def validate(self) -> dict[str, Any]:
        """Return what each method validated at on stratified folds of the labels, and the choice."""
        began = time.monotonic()
        alike = resemblance(self.spaces, len(self.y), self.plan.seed)
        if not alike.same_kind:
            nothing = {**NOTHING_TRIED, "seconds": round(time.monotonic() - began, 3)}
            return {"chosen": PLAIN, "reason": OTHER_KIND, **nothing, **alike.to_json()}
        said, count = self.held_out
        seen = ~np.isnan(said[PLAIN][:, 0])
        if not seen.any():
            return {"chosen": PLAIN, "reason": NOT_VALIDATED, **NOTHING_TRIED}
        chosen, reason, tried = choose({n: each[seen] for n, each in said.items()}, self.y[seen])
        return {
            "chosen": chosen,
            "reason": reason,
            "tried": tried,
            "folds": count,
            "seconds": round(time.monotonic() - began, 3),
            **alike.to_json(),
        }

    @cached_property
    def held_out(self) -> tuple[dict[str, np.ndarray], int]:
        """Return what each method says of labels that it was not given, (N, K), and the number of folds.

        NaN for an example that no fold holds out.
        """
        classes, parts = len(self.plan.target.names), folds(self.y, self.plan.seed, most=FOLDS)
        said = {name: np.full((len(self.y), classes), np.nan) for name in (PLAIN, *self.methods)}
        for train, held in parts:
            # All learn in one network, each anew: the teacher must have labelled before a student is trained.
            teacher = self.plain(train)
            said[PLAIN][held] = self._said(teacher, held)
            soft = {name: self.soft_labels(name, train, teacher) for name in self.methods}
            for name in self.methods:
                plan, examples = self._training(name, train, soft[name], FOLD_UPDATES)
                said[name][held] = self._said(self._fit(examples, plan), held)
        return said, len(parts)

    @property
    def methods(self) -> list[str]:
        """The methods that can be used here, beside plain transfer."""
        # Of vectors it was not measured yet: there it is used when asked for.
        images = self.unlabelled_x.ndim == 4
        usable = images and not no_consistency(self.plan, self.unlabelled.augmentation)
        return [SELF, SPREAD, *([CONSISTENCY] if usable else [])]

    def resolve(self, method: str) -> tuple[FitPlan, Examples]:
        """Return a method's training, and what it learns from: raw examples, or a student's."""
        if method == PLAIN:
            return self.plan, Examples(self.raw, self.y)
        rows = np.arange(len(self.y))
        return self._training(method, rows, self.soft_labels(method, rows), consistency.UPDATES)

    def _training(
        self, method: str, rows: np.ndarray, soft: np.ndarray, updates: int
    ) -> tuple[FitPlan, Examples]:
        if method == CONSISTENCY:
            how: dict[str, Any] = {"soft": soft, "augmentation": self.views[0], "updates": updates}
            further = Consistency(x=self.unlabelled_x, columns=self.plan.columns, **how)
            return self.plan, Examples(FeatureCache(self.x[rows]), self.y[rows], None, further)
        x, y, weights = student_examples(self.x[rows], self.y[rows], self.unlabelled_x, soft)
        plan = replace(self.plan, recipe=student_recipe(self.plan.recipe, len(x)))
        return plan, Examples(FeatureCache(x), y, weights)

    def _fit(self, examples: Examples, plan: FitPlan) -> Fitted:
        return fit(**examples._asdict(), plan=plan, session=self.session, network=self.network)

    def _outputs(self, fitted: Fitted, x: np.ndarray) -> np.ndarray:
        return predict_batched(fitted.network.head, predict_batched(fitted.network.model, x))

    def _said(self, fitted: Fitted, rows: np.ndarray) -> np.ndarray:
        return self.plan.target.probabilities(self._outputs(fitted, self.x[rows]))


def choose(said: Mapping[str, np.ndarray], y: np.ndarray) -> tuple[str, str, list[dict[str, Any]]]:
    """Return the method to take, why, and the table.

    Unlabelled examples cost time and can do harm, so they must show that they help. A method is ahead of
    plain when it is as often right, and its calibrated loss is lower by so many standard errors as MIN_LEADS
    says: with few labels the loss sees what the accuracy cannot. Of those ahead the first of PREFERRED is
    taken, unless a later one is right more often by more than two standard errors.

    Args:
        said: distributions (N, K) of held-out labels by method, plain and others.
        y: int (N,), their classes.
    """
    right, lost = {}, {}
    for name, p in said.items():
        p = np.clip(p.astype(np.float64), LEAST, 1)
        right[name] = (p.argmax(axis=1) == y).astype(np.float64)
        lost[name] = losses(p, y, fit_temperature(p, y))
    tried: list[dict[str, Any]] = []
    for name in said:
        apart, lower = right[name] - right[PLAIN], lost[PLAIN] - lost[name]
        tried.append(
            {
                "method": name,
                "accuracy": float(right[name].mean()),
                "minus_plain": float(apart.mean()),
                "standard_error": paired_error(apart),
                "loss": float(lost[name].mean()),
                "below_plain": float(lower.mean()),
                "loss_standard_error": paired_error(lower),
            }
        )
    rows = {row["method"]: row for row in tried}
    ahead = [name for name in PREFERRED if name in said and _ahead(rows[name])]
    others = [name for name in said if name != PLAIN]
    best = ahead[0] if ahead else max(others, key=lambda name: rows[name]["below_plain"])
    for name in ahead[1:]:
        apart = right[name] - right[best]
        if apart.mean() > 2 * paired_error(apart):
            best = name
    row = rows[best]
    reason = (
        f"{best} validated {100 * row['minus_plain']:+.2f} points from plain, and its loss "
        f"{row['below_plain']:.2f} below, standard error {row['loss_standard_error']:.2f}"
    )
    if ahead:
        return best, reason, tried
    return PLAIN, f"{reason}: that is not ahead of plain, so the pool is not used", tried


def _ahead(row: Mapping[str, Any]) -> bool:
    least = MIN_LEADS[row["method"]]
    lower = row["below_plain"] > least * row["loss_standard_error"]
    if row["method"] == SELF:  # softer labels lower the loss alone, too
        return bool(lower and row["minus_plain"] > least * row["standard_error"])
    return bool(lower and row["minus_plain"] >= 0)
