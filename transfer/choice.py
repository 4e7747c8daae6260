"""Which candidate of a search is taken, from what each said of every validated example."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from transfer.candidates import Candidate

# Standard errors by which a cut network must be ahead.
AHEAD = 2.0


@dataclass(kw_only=True, eq=False)
class Tried:
    """A candidate and its validation.

    right: float64 (N,), 1 where the held-out example was told right, NaN where it was not tried.
    loss: float64 (N,), -log of the probability given to the true class, likewise.
    """

    candidate: Candidate
    right: np.ndarray
    loss: np.ndarray
    seconds: float = 0.0

    @classmethod
    def empty(cls, candidate: Candidate, count: int) -> Tried:
        """Return a candidate that was not tried yet on ``count`` examples."""
        return cls(candidate=candidate, right=np.full(count, np.nan), loss=np.full(count, np.nan))

    @property
    def complete(self) -> bool:
        """Say whether every example was validated."""
        return not np.isnan(self.right).any()

    def to_json(self) -> dict[str, Any]:
        """Return its row of the table."""
        seen = self.right[~np.isnan(self.right)]
        mean = float(seen.mean()) if len(seen) else None
        spread = float(seen.std() / max(1, len(seen)) ** 0.5) if len(seen) else None
        return {
            "candidate": self.candidate.name,
            "reuse": self.candidate.arrangement.reuse,
            "above": self.candidate.arrangement.above,
            "trained": self.candidate.told,
            "validated": len(seen),
            "accuracy": mean,
            "standard_error": spread,
            "seconds": round(self.seconds, 3),
            "complete": self.complete,
        }


def choose(tried: Sequence[Tried]) -> tuple[int, int | None, str]:
    """Return the numbers of the chosen candidate and of the runner-up, and why.

    The best validates highest (of equals, the one with the lowest loss). Among those of its kind, frozen or
    fine-tuned, the one-standard-error rule (Breiman et al. 1984, "Classification and Regression Trees",
    section 3.4.3) takes the simplest that is not behind it by more than one standard error; here that of
    the paired difference, example by example, which is smaller than each one's own. Simpler is what moves
    fewer weights. Not from fine-tuned to frozen: on held-out training images of Fashion-MNIST that cost a
    point at 1,000 labels, where one error is a point.

    A network that is not the whole encoder is looked at only when it is ahead of the best whole one by more
    than two standard errors: among so many, some are ahead by one by chance.
    """
    done = [i for i, row in enumerate(tried) if row.complete]
    if not done:
        return 0, None, "the plain transfer, for the time was up before any candidate was validated"
    tuned = [row.candidate.moves > 0 for row in tried]
    ranked = sorted(done, key=lambda i: (-tried[i].right.mean(), tried[i].loss.mean()))
    among = [i for i in ranked if tried[i].candidate.whole]
    why = "it validated highest"
    if among and among[0] != ranked[0]:
        first = tried[among[0]]
        ahead = [
            i
            for i in ranked
            if not tried[i].candidate.whole
            and -_lag(first, tried[i]) > AHEAD * _error(first, tried[i])
        ]
        why += (
            " of those that keep the whole encoder, and none of the others is ahead by two errors"
        )
        if ahead:
            why = "it is ahead of the whole encoder by more than two standard errors"
            among = ahead
    among = among or ranked
    best = among[0]
    close = [
        i
        for i in among
        if tuned[i] == tuned[best] and _lag(tried[best], tried[i]) <= _error(tried[best], tried[i])
    ]
    chosen = min(close, key=lambda i: (tried[i].candidate.moves, tried[i].loss.mean()))
    runner_up = next((i for i in ranked if i != chosen), None)
    if chosen == best:
        return chosen, runner_up, why
    lag, error = _lag(tried[best], tried[chosen]), _error(tried[best], tried[chosen])
    return (
        chosen,
        runner_up,
        f"the simplest within one standard error ({100 * error:.2f} points, behind by "
        f"{100 * lag:.2f}) of {tried[best].candidate.name}: {why}",
    )


def _lag(best: Tried, row: Tried) -> float:
    return float((best.right - row.right).mean())


def _error(best: Tried, row: Tried) -> float:
    """Return the standard error of the mean difference, as if one more example had been told apart.

    Without that, one example in which two candidates differ would already be more than its own error.
    """
    differing = float(np.square(best.right - row.right).sum())
    return (differing + 1) ** 0.5 / len(row.right)
