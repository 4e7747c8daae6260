"""Successive halving: how many strategies train, how often and for how long, by the seconds there are."""

from __future__ import annotations

from dataclasses import dataclass

ETA = 3
"""Of a rung's candidates, one in so many goes on."""
FINAL = 0.5
"""The part of the time that is left for the winner."""
LEAST_SECONDS = 8.0
"""The least share of a candidate in the first rung: about half of it goes into compiling."""


@dataclass(frozen=True, kw_only=True)
class Rung:
    """A round of the race.

    Attributes:
        size: the number of candidates that train.
        seconds: for each of them, from setting up to measuring.
    """

    size: int
    seconds: float


def rungs(candidates: int, seconds: float) -> list[Rung]:
    """Return the rungs before the winner's own training; none for a single candidate.

    Every rung has the same seconds in all, and a third of the candidates of the one before.

    Args:
        candidates: of the first rung, 1 or more.
        seconds: of the whole race.
    """
    sizes = []
    while candidates > 1:
        sizes.append(candidates)
        candidates = max(1, candidates // ETA)
    each = (1 - FINAL) * seconds / max(1, len(sizes))
    return [Rung(size=size, seconds=each / size) for size in sizes]


def short_list(available: int, seconds: float) -> int:
    """Return the number of candidates with which to begin: the most that get enough time, 2 or more.

    Args:
        available: the candidates that there are.
        seconds: of the whole race.
    """
    for count in range(available, 2, -1):
        if rungs(count, seconds)[0].seconds >= LEAST_SECONDS:
            return count
    return min(2, available)
