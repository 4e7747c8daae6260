"""Which candidate of a search is taken, from what each said of every validated example."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from transfer.candidates import Candidate

# Standard errors by which an unusual network must be ahead of a usual one, a frozen one of a fine-tuned.
AHEAD, FROZEN_AHEAD = 2.0, 1.0


@dataclass(kw_only=True, eq=False)
class Tried:
    """A candidate and its validation.

    right: float64 (N,), 1 where the held-out example was told right, NaN where it was not tried.
    loss: float64 (N,), -log of the probability given to the true class, likewise.
    short: of a short run, the accuracy and the mean loss on so many held-out examples; None without one.
    """

    candidate: Candidate
    right: np.ndarray
    loss: np.ndarray
    seconds: float = 0.0
    short: tuple[float, float, int] | None = None

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
            "short_run": self.short
            and dict(zip(("accuracy", "loss", "validated"), self.short, strict=True)),
            "seconds": round(self.seconds, 3),
            "complete": self.complete,
        }


def choose(tried: Sequence[Tried]) -> tuple[int, int | None, str]:
    """Return the numbers of the chosen candidate and of the runner-up, and why.

    Of the candidates that keep the whole encoder, fine-tuned ones come first: a frozen one is taken only when
    the best frozen is ahead of the best fine-tuned by more than one standard error. (Few labels cannot tell
    the two apart, and where they differ much fine-tuning is mostly the better: see docs/reuse.md.) The best
    validates highest, of equals with the lowest loss. Within its kind the one-standard-error rule (Breiman et
    al. 1984, "Classification and Regression Trees", section 3.4.3) takes the simplest, the one that moves the
    fewest weights, and of equally simple ones the best; here with the error of the paired difference, example by example, which is smaller than
    each one's own.

    A network that is not the whole encoder, or whose encoder moves below a random head, is looked at only
    when it is ahead of the best usual one by more than two standard errors: among so many, some are ahead by
    one by chance.

    From scratch, where no candidate is the pretrained encoder, they are compared with one another.

    A fine-tuned plain transfer, the first of ``tried``, that time did not let finish is compared on the
    examples it has seen.
    """
    done = [i for i, row in enumerate(tried) if row.complete]
    whole = [i for i in done if tried[i].candidate.usual]
    kinds = [
        _ranked(tried, [i for i in whole if _tuned(tried[i]) is kind]) for kind in (True, False)
    ]
    if not kinds[0] and _tuned(tried[0]) and tried[0].candidate.usual:
        kinds[0] = [0]
    tuned, frozen = kinds
    among, why = tuned or frozen, "it validated highest"
    if tuned and frozen:
        if _ahead(tried[frozen[0]], tried[tuned[0]], FROZEN_AHEAD):
            among = frozen
        elif _lag(tried[frozen[0]], tried[tuned[0]]) > 0:
            why = (
                "no frozen encoder is ahead of the fine-tuned ones by more than one standard error"
            )
    best_whole = next(iter(_ranked(tried, whole)), None)
    others = _ranked(tried, [i for i in done if not tried[i].candidate.usual])
    if best_whole is None:
        among = among or others
    else:
        ahead = [i for i in others if _ahead(tried[i], tried[best_whole], AHEAD)]
        if ahead:
            among = [i for i in ahead if _tuned(tried[i]) is _tuned(tried[ahead[0]])]
            why = "it is ahead of the whole encoder, trained as usual, by more than two standard errors"
        elif others and _lag(tried[others[0]], tried[best_whole]) > 0:
            why += ", and no changed network is ahead of the whole one by two errors"
    if not among or not tried[among[0]].complete:
        why = (
            "the plain transfer, for the time was up before any fine-tuned candidate was validated"
        )
        return 0, next(iter(_ranked(tried, done)), None), why
    best = among[0]
    close = [i for i in among if not _ahead(tried[best], tried[i], 1.0)]
    # Of equally simple ones, such as those of one line, the best: _ranked put them in that order.
    chosen = min(close, key=lambda i: tried[i].candidate.moves)
    runner_up = next((i for i in _ranked(tried, done) if i != chosen), None)
    if chosen != best:
        lag, error = _lag(tried[best], tried[chosen]), _error(tried[best], tried[chosen])
        why = (
            f"the simplest within one standard error ({100 * error:.2f} points, behind by "
            f"{100 * lag:.2f}) of {tried[best].candidate.name}: {why}"
        )
    return chosen, runner_up, why


def could_win(plain: Tried, row: Tried) -> bool:
    """Say whether a candidate could be chosen at all if it were right wherever the plain one is wrong.

    Only of a changed network can that be told before: it has to be ahead by AHEAD errors.
    """
    if row.candidate.usual or not plain.candidate.usual or not plain.complete:
        return True
    gain = 1 - plain.right
    return bool(gain.mean() > AHEAD * paired_error(gain))


def paired_error(apart: np.ndarray) -> float:
    """Return the standard error of a mean difference, as if one more example had been told apart.

    apart: (N,), for each example 1, 0 or -1: the one right minus the other right. Without the one more, a
    single example in which two methods differ would already be more than its own error.
    """
    return (float(np.square(apart).sum()) + 1) ** 0.5 / max(1, len(apart))


def _ranked(tried: Sequence[Tried], among: Sequence[int]) -> list[int]:
    """Sort from the one that validates highest down; of equals the lowest loss is first."""
    return sorted(among, key=lambda i: (-tried[i].right.mean(), tried[i].loss.mean()))


def _tuned(row: Tried) -> bool:
    return row.candidate.moves > 0


def _ahead(row: Tried, other: Tried, errors: float) -> bool:
    """Whether a candidate is ahead of another by more than so many standard errors."""
    return _lag(row, other) > errors * _error(row, other)


def _lag(best: Tried, row: Tried) -> float:
    """Return how much more often the first was right, on the examples that both have seen (0: on none)."""
    apart = _apart(best, row)
    return float(apart.mean()) if len(apart) else 0.0


def _error(best: Tried, row: Tried) -> float:
    return paired_error(_apart(best, row))


def _apart(best: Tried, row: Tried) -> np.ndarray:
    apart = best.right - row.right
    return apart[~np.isnan(apart)]
