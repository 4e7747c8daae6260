"""Which candidate of a search is taken, from what each said of every validated example."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from transfer.metrics.temperature import fit_temperature, losses
from transfer.selection.candidates import Candidate

# Standard errors by which anything else must be ahead of the plain transfer and its line.
MIN_LEAD = 2.0
# ... and by which the loss of the place taken on that line may be above the lowest.
LOSS_TOLERANCE = 0.5


@dataclass(kw_only=True, eq=False)
class CandidateResult:
    """A candidate and its validation.

    y: int32 (N,), the true classes.
    probabilities: float64 (N, K), of each held-out example, NaN where it was not tried.
    short: of a short run, the accuracy and the mean loss on so many held-out examples; None without one.
    """

    candidate: Candidate
    y: np.ndarray
    probabilities: np.ndarray
    seconds: float = 0.0
    short: tuple[float, float, int] | None = None

    @property
    def seen(self) -> np.ndarray:
        """Say of each example whether it was validated: bool (N,)."""
        return ~np.isnan(self.probabilities[:, 0])

    @property
    def complete(self) -> bool:
        """Say whether every example was validated."""
        return bool(self.seen.all())

    @property
    def correct(self) -> np.ndarray:
        """Float64 (N,), 1 where the held-out example was predicted right, NaN where it was not tried."""
        same = (self.probabilities.argmax(axis=1) == self.y).astype(np.float64)
        return np.where(self.seen, same, np.nan)

    @property
    def loss(self) -> np.ndarray:
        """Float64 (N,), -log of the probability given to the true class, NaN where it was not tried."""
        return losses(self.probabilities, self.y)

    @property
    def calibrated(self) -> np.ndarray:
        """As ``loss``, with the one temperature at which the mean over all that was tried is lowest."""
        temperature = fit_temperature(self.probabilities[self.seen], self.y[self.seen])
        return losses(self.probabilities, self.y, temperature)

    def lead(self, other: CandidateResult) -> tuple[float, float]:
        """Return how much more often it was right than another, and the standard error of that.

        Only the examples count that both have seen; without any it is 0.
        """
        apart = (self.correct - other.correct)[self.seen & other.seen]
        return float(apart.mean()) if len(apart) else 0.0, paired_error(apart)

    def to_json(self) -> dict[str, Any]:
        """Return its row of the table."""
        correct = self.correct[self.seen]
        count = len(correct)
        return {
            "candidate": self.candidate.name,
            "reuse": self.candidate.architecture.reuse,
            "above": self.candidate.architecture.above,
            "trained": self.candidate.summary,
            "validated": count,
            "accuracy": float(correct.mean()) if count else None,
            "standard_error": float(correct.std() / count**0.5) if count else None,
            "loss": float(self.calibrated[self.seen].mean()) if count else None,
            "short_run": self.short
            and dict(zip(("accuracy", "loss", "validated"), self.short, strict=True)),
            "seconds": round(self.seconds, 3),
            "complete": self.complete,
        }


def choose(tried: Sequence[CandidateResult]) -> tuple[int, int | None, str]:
    """Return the numbers of the chosen candidate and of the runner-up, and why.

    The plain transfer is the first of ``tried``; with it belong the places on its line to the frozen encoder
    (transfer.model.weight_interpolation). Of these the one nearest to the plain transfer is taken whose
    calibrated loss is within half a standard error of the lowest: the loss tells more of an example than
    right or wrong does, and the temperature takes out how sure a network is of itself, which grows along
    the line and is no merit or fault of its predictions. The error is that of the difference, as if in one
    more example the one were certain and the other knew nothing (log K of K classes): of 20 examples, their
    own spread tells little.

    Anything else, be it another way to train the whole encoder, a frozen one or a changed network, must be
    right more often than the most accurate of these by more than two standard errors, and have a lower
    calibrated loss than all of them: among so many, some are ahead by chance. Of several that are, the
    one-standard-error rule (Breiman et al. 1984, "Classification and Regression Trees", section 3.4.3) takes
    the simplest, the one that moves the fewest weights, and of equally simple ones the best. The error is
    that of the paired difference, example by example, which is smaller than each one's own. All this was
    chosen on held-out training images: see docs/reuse.md.

    From scratch, where no candidate is the pretrained encoder, they are compared with one another.

    A plain transfer that time did not let finish is compared on the examples it has seen.
    """
    done = [i for i, row in enumerate(tried) if row.complete]
    if tried[0].candidate.whole:
        chosen, reason = _beside_plain(tried, done)
    elif done:
        chosen, reason = _simplest(tried, done)
    else:
        chosen, reason = 0, "the time was up"
    return chosen, next((i for i in _ranked(tried, done) if i != chosen), None), reason


def _beside_plain(tried: Sequence[CandidateResult], done: Sequence[int]) -> tuple[int, str]:
    """Return which one is taken where the first is the plain transfer, and why."""
    end = tried[0].candidate.line
    line = [i for i in done if tried[i].candidate.line == end] or [0]
    lowest = min(line, key=lambda i: tried[i].calibrated.mean())
    best = tried[_ranked(tried, line)[0]]
    others = _ranked(tried, [i for i in done if i not in line])

    def wins(row: CandidateResult) -> bool:
        lead, error = row.lead(best)
        apart = (row.calibrated - tried[lowest].calibrated)[row.seen & tried[lowest].seen]
        return lead > MIN_LEAD * error and not apart.sum() > 0

    ahead = [i for i in others if wins(tried[i])]
    if ahead:
        chosen, reason = _simplest(tried, ahead)
        return (
            chosen,
            f"{reason}; it is ahead of the plain transfer by more than two standard errors",
        )
    if not best.complete:
        return 0, "the plain transfer, for the time was up before it was validated"
    chosen, reason = _place(tried, line, lowest)
    if others and tried[others[0]].lead(best)[0] > 0:
        reason += ", and nothing else is ahead by two standard errors"
    return chosen, reason


def _place(tried: Sequence[CandidateResult], line: Sequence[int], lowest: int) -> tuple[int, str]:
    """Return which place of a line is taken, and why."""
    own = tried[0].candidate.recipe.interpolate

    def near(i: int) -> bool:
        above = tried[i].calibrated - tried[lowest].calibrated
        unknown = math.log(tried[i].probabilities.shape[1])
        return bool(above.mean() <= LOSS_TOLERANCE * paired_error(above, more=unknown))

    chosen = min(filter(near, line), key=lambda i: abs(tried[i].candidate.recipe.interpolate - own))
    if chosen == lowest:
        return chosen, "the lowest loss on the way from frozen to fine-tuned"
    which = "the plain transfer" if chosen == 0 else "nearest to the plain transfer"
    return chosen, f"{which}, with a loss within half a standard error of the lowest"


def _simplest(tried: Sequence[CandidateResult], among: Sequence[int]) -> tuple[int, str]:
    """Return which one moves the fewest weights and is hardly behind the best, and why."""
    ranked = _ranked(tried, among)
    best = tried[ranked[0]]
    behind = {i: best.lead(tried[i]) for i in ranked}
    close = [i for i, (lag, error) in behind.items() if lag <= error]
    chosen = min(close, key=lambda i: tried[i].candidate.moves)
    if chosen == ranked[0]:
        return chosen, "it validated highest"
    lag, error = behind[chosen]
    return chosen, (
        f"the simplest within one standard error ({100 * error:.2f} points, behind by {100 * lag:.2f}) "
        f"of {best.candidate.name}"
    )


def _ranked(tried: Sequence[CandidateResult], among: Sequence[int]) -> list[int]:
    """Sort from the one that validates highest down; of equals the lowest loss is first."""
    return sorted(among, key=lambda i: (-tried[i].correct.mean(), tried[i].loss.mean()))


def could_win(line: Sequence[CandidateResult]) -> bool:
    """Say whether another candidate could be chosen, were it right wherever the best of the line is wrong."""
    if not line[0].candidate.whole or not line[0].complete:
        return True
    gain = 1 - max((row.correct for row in line), key=np.mean)
    return bool(gain.mean() > MIN_LEAD * paired_error(gain))


def paired_error(apart: np.ndarray, *, more: float = 1.0) -> float:
    """Return the standard error of a mean difference, as if one more example had differed.

    apart: (N,), for each example 1, 0 or -1: the one right minus the other right; or a difference of losses.
    more: by how much the one more differs. Without it, a single example in which two methods differ would
        already be more than its own error; it counts little where there are many.
    """
    return (float(np.square(apart).sum()) + more**2) ** 0.5 / max(1, len(apart))
