"""Training with a pool: plain against self-training against spreading, and the one that is taken."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from transfer.selection.decision import AHEAD, paired_error
from transfer.semi_supervised.label_spreading import spread
from transfer.semi_supervised.self_training import student, teach, together
from transfer.semi_supervised.unlabelled import Pool

if TYPE_CHECKING:
    from pretrain.engine.checkpoint import Checkpoints
    from pretrain.engine.program import Programs
    from pretrain.engine.progress import Reporter
    from transfer.model.network import Body
    from transfer.plan import Plan, Source
    from transfer.recipes import TransferRecipe
    from transfer.targets.base import Target
    from transfer.training.fit import Fitted

# Prepared examples (M, ...), distributions float32 (M, K), weights float32 (M,).
Lesson = tuple[np.ndarray, np.ndarray, np.ndarray]

PLAIN, SELF, SPREAD = "plain", "self-training", "spreading"
# The pool has to be better than plain by this many standard errors of the paired difference.
ERRORS = AHEAD


class Pooled:
    """A budget of labels and a pool, prepared for one source, arrangement and seed."""

    def __init__(
        self,
        x: np.ndarray,
        y: np.ndarray,
        pool: Pool,
        source: Source,
        plan: Plan,
        *,
        target: Target,
        seed: int,
        programs: Programs | None = None,
    ) -> None:
        """Take raw labelled examples (N, ...), int32 (N,), and bring pool and features into memory."""
        from pretrain.engine.program import Programs
        from transfer.inference import predict_batched
        from transfer.training.fit import build

        self.x, self.y = predict_batched(plan.inputs.model(), x), y
        self.pool = predict_batched(pool.inputs.model(), pool.x)
        self.temperature = pool.temperature
        self.source, self.plan, self.target, self.seed = source, plan, target, seed
        self.programs = programs or Programs(64)
        self.body = build(source, plan, target.outputs, seed)
        self.features, self.pool_features = (
            _features(self.body, part) for part in (self.x, self.pool)
        )

    def plain(self, rows: np.ndarray) -> Fitted:
        """Train on these labelled rows alone."""
        return self._fit(self.x[rows], self.y[rows], None, self.plan.recipe.for_budget(len(rows)))

    def lesson(self, method: str, rows: np.ndarray, teacher: Fitted | None = None) -> Lesson:
        """Return examples, distributions and weights that a student of ``method`` learns from."""
        if method == SELF:
            soft = teach(_outputs(teacher or self.plain(rows), self.pool), self.temperature)
        else:
            soft = spread(
                self.features[rows], self.y[rows], self.pool_features, len(self.target.names)
            )
        return together(self.x[rows], self.y[rows], self.pool, soft)

    def student(self, lesson: Lesson) -> Fitted:
        """Train a student from the source's weights."""
        x, y, weights = lesson
        return self._fit(x, y, weights, student(self.plan.recipe, len(x)))

    def validate(self) -> dict[str, Any]:
        """Return what each method validated at on stratified folds of the labels, and the choice."""
        from transfer.data.folds import folds
        from transfer.selection.search import UNTOLD

        began = time.monotonic()
        parts = folds(self.y, self.seed)
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
        probabilities = self.target.probabilities(_outputs(fitted, self.x[rows]))
        found: np.ndarray = probabilities.argmax(axis=1) == self.y[rows]
        return found

    def _fit(
        self, x: np.ndarray, y: np.ndarray, weights: np.ndarray | None, recipe: TransferRecipe
    ) -> Fitted:
        from transfer.model.feature_cache import Prepared
        from transfer.training.fit import fit

        return fit(
            Prepared(x),
            y,
            self.source,
            replace(self.plan, recipe=recipe),
            target=self.target,
            seed=self.seed,
            weights=weights,
            body=self.body,
            programs=self.programs,
        )


def pooling(
    x: np.ndarray,
    y: np.ndarray,
    pool: Pool,
    source: Source,
    plan: Plan,
    recipe: TransferRecipe,
    *,
    target: Target,
    seed: int,
    reporter: Reporter | None = None,
    programs: Programs | None = None,
    checkpoints: Checkpoints | None = None,
    resume: bool = False,
) -> tuple[dict[str, Any], Plan, Lesson | None]:
    """Choose the pool's method, and return its JSON, the plan to train by and what to train on.

    recipe: ``plan``'s before it was fitted to the budget. The lesson is None when the pool is not used.
    An interrupted run's choice is taken from beside its checkpoints; the lesson is made again.
    """
    made = Pooled(
        x,
        y,
        pool,
        source,
        replace(plan, recipe=recipe),
        target=target,
        seed=seed,
        programs=programs,
    )
    found = checkpoints.read_note("pool") if checkpoints and resume else None
    if found is None:
        if pool.method == "auto":
            if reporter:
                reporter.say("Pool: validating what it is good for")
            found = made.validate()
        else:
            asked = "--pool-method asked for it"
            found = {
                "chosen": pool.method,
                "reason": asked,
                "tried": [],
                "folds": 0,
                "seconds": 0.0,
            }
        found = {**pool.to_json(), **found}
        if checkpoints:
            checkpoints.write_note("pool", found)
    if found["chosen"] == PLAIN:
        return found, plan, None
    lesson = made.lesson(found["chosen"], np.arange(len(y)))
    return found, replace(plan, recipe=student(recipe, len(lesson[0]))), lesson


def choose(right: dict[str, np.ndarray]) -> tuple[str, str, list[dict[str, Any]]]:
    """Return the method to take, why, and the table, of 0/1 (N,) for each method and held-out label.

    The pool costs time and can do harm, so it has to show that it helps: the better of its two methods is
    taken if it is more than ERRORS standard errors of the paired difference above plain.
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

    return predict_batched(fitted.head, predict_batched(fitted.encoder.model, x))


def _features(body: Body, x: np.ndarray) -> np.ndarray:
    """Return what the kept blocks make of prepared ``x``, as (N, D); maps are averaged over places."""
    from transfer.inference import predict_batched

    def flat(part: np.ndarray) -> np.ndarray:
        if part.ndim == 4 and body.kept:
            part = part.mean(axis=(1, 2))
        return part.reshape(len(part), -1)

    return predict_batched([block for _, block in body.kept], x, then=flat)
