"""Training with unlabelled examples: self-training, spreading or neither, as validation says."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from transfer.selection.decision import AHEAD, paired_error
from transfer.semi_supervised.label_spreading import spread
from transfer.semi_supervised.self_training import student, teach, together
from transfer.semi_supervised.unlabelled import UnlabelledSet

if TYPE_CHECKING:
    from pretrain.engine.session import Session
    from transfer.training.fit import Examples, Fitted
    from transfer.training.fit_plan import FitPlan

# Prepared examples (M, ...), distributions float32 (M, K), weights float32 (M,).
Lesson = tuple[np.ndarray, np.ndarray, np.ndarray]

PLAIN, SELF, SPREAD = "plain", "self-training", "spreading"
# A method must be better than plain by this many standard errors of the paired difference.
ERRORS = AHEAD
ASKED = "it was asked for"


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
        from transfer.inference import predict_batched

        self.raw, self.y, self.unlabelled = x, y, unlabelled
        self.plan, self.reporter, self.session = plan, session.reporter, session.aside()
        self.x = predict_batched(plan.inputs.model(), x)
        self.unlabelled_x = predict_batched(unlabelled.inputs.model(), unlabelled.x)
        self.network = plan.network()
        kept = [block for _, block in self.network.kept]

        def flat(part: np.ndarray) -> np.ndarray:
            # Maps are averaged over places.
            if part.ndim == 4 and kept:
                part = part.mean(axis=(1, 2))
            return part.reshape(len(part), -1)

        self.features = predict_batched(kept, self.x, then=flat)
        self.unlabelled_features = predict_batched(kept, self.unlabelled_x, then=flat)

    def plain(self, rows: np.ndarray) -> Fitted:
        """Train on these labelled rows alone."""
        return self._fit(self.x[rows], self.y[rows], None, self.plan)

    def lesson(self, method: str, rows: np.ndarray, teacher: Fitted | None = None) -> Lesson:
        """Return examples, distributions and weights that a student of ``method`` learns from."""
        if method == SELF:
            soft = teach(
                _outputs(teacher or self.plain(rows), self.unlabelled_x),
                self.unlabelled.temperature,
            )
        else:
            soft = spread(
                self.features[rows],
                self.y[rows],
                self.unlabelled_features,
                len(self.plan.target.names),
            )
        return together(self.x[rows], self.y[rows], self.unlabelled_x, soft)

    def student(self, lesson: Lesson) -> Fitted:
        """Train a student from the source's weights."""
        x, y, weights = lesson
        return self._fit(x, y, weights, self._student_plan(lesson))

    def _student_plan(self, lesson: Lesson) -> FitPlan:
        return replace(self.plan, recipe=student(self.plan.recipe, len(lesson[0])))

    def validate(self) -> dict[str, Any]:
        """Return what each method validated at on stratified folds of the labels, and the choice."""
        from transfer.data.folds import folds
        from transfer.selection.search import UNTOLD

        began = time.monotonic()
        parts = folds(self.y, self.plan.seed)
        right = {name: np.full(len(self.y), np.nan) for name in (PLAIN, SELF, SPREAD)}
        for train, held in parts:
            teacher = self.plain(train)
            right[PLAIN][held] = self._right(teacher, held)
            # The teacher's network is trained anew for each student: its lesson comes first.
            lesson = self.lesson(SELF, train, teacher)
            right[SELF][held] = self._right(self.student(lesson), held)
            right[SPREAD][held] = self._right(self.student(self.lesson(SPREAD, train)), held)
        seen = ~np.isnan(right[PLAIN])
        if not seen.any():
            return {"chosen": PLAIN, "reason": UNTOLD, "tried": [], "folds": 0, "seconds": 0.0}
        chosen, reason, tried = choose({name: values[seen] for name, values in right.items()})
        return {
            "chosen": chosen,
            "reason": reason,
            "tried": tried,
            "folds": len(parts),
            "seconds": round(time.monotonic() - began, 3),
        }

    def _right(self, fitted: Fitted, rows: np.ndarray) -> np.ndarray:
        probabilities = self.plan.target.probabilities(_outputs(fitted, self.x[rows]))
        found: np.ndarray = probabilities.argmax(axis=1) == self.y[rows]
        return found

    def _fit(
        self, x: np.ndarray, y: np.ndarray, weights: np.ndarray | None, plan: FitPlan
    ) -> Fitted:
        from transfer.model.feature_cache import FeatureCache
        from transfer.training.fit import fit

        return fit(FeatureCache(x), y, plan, self.session, weights=weights, network=self.network)

    def choose(self) -> dict[str, Any]:
        """Return the method to take, and the reason, as JSON."""
        method = self.unlabelled.method
        if method == "auto":
            self.reporter.say("Unlabelled examples: validating whether they help")
            found = self.validate()
        else:
            found = {
                "chosen": method,
                "reason": ASKED,
                "tried": [],
                "folds": 0,
                "seconds": 0.0,
            }
        return {**self.unlabelled.to_json(), **found}

    def resolve(self, method: str) -> tuple[FitPlan, Examples]:
        """Return a method's training, and its examples: raw (N, ...) with y, or a student's lesson."""
        if method == PLAIN:
            return self.plan, (self.raw, self.y, None)
        from transfer.model.feature_cache import FeatureCache

        lesson = self.lesson(method, np.arange(len(self.y)))
        x, y, weights = lesson
        return self._student_plan(lesson), (FeatureCache(x), y, weights)


def choose(right: dict[str, np.ndarray]) -> tuple[str, str, list[dict[str, Any]]]:
    """Return the method to take, why, and the table, of 0/1 (N,) for each method and held-out label.

    Unlabelled examples cost time and can do harm, so they must show that they help: the better of
    the two methods is taken if it is more than ERRORS standard errors of the paired difference above plain.
    """
    tried: list[dict[str, Any]] = []
    for name, values in right.items():
        apart = values - right[PLAIN]
        tried.append(
            {
                "method": name,
                "accuracy": float(values.mean()),
                "minus_plain": float(apart.mean()),
                "standard_error": paired_error(apart),
            }
        )
    best = max(tried[1:], key=lambda row: row["minus_plain"])
    gain, error = best["minus_plain"], best["standard_error"]
    told = (
        f"{best['method']} validated {100 * gain:+.2f} points from plain, standard error of the difference "
        f"{100 * error:.2f}"
    )
    if gain > ERRORS * error:
        return best["method"], told, tried
    return PLAIN, f"{told}: not more than {ERRORS:g} above, so the pool is not used", tried


def _outputs(fitted: Fitted, x: np.ndarray) -> np.ndarray:
    """Return the outputs (N, K) of prepared examples."""
    from transfer.inference import predict_batched

    return predict_batched(fitted.network.head, predict_batched(fitted.network.model, x))
