"""Units of work, what each waits for, and which one a worker had best do next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

from benchmark.work.cell import CellUnit, Workshop

if TYPE_CHECKING:
    from pretrain.engine.progress import Reporter

TRIES = 2
"""How often a unit is begun whose worker dies under it."""


class Config(Protocol):
    """What a unit's work depends on; it is pickled on its way to a worker."""

    def run(self, here: Workshop, reporter: Reporter | None) -> dict[str, Any]:
        """Do it, and return "status" ("done" or "failed" with a "reason"), "seconds" and what it made.

        Raises Interrupted on Ctrl-C, and nothing else.
        """


@dataclass(frozen=True, kw_only=True)
class Unit:
    """One thing to do.

    key: names it, once.
    after: the key of the unit that must be done first, or None.
    shape: units of one shape share compiled steps, so one worker had best do them all.
    """

    key: str
    config: Config
    after: str | None = None
    shape: str = ""

    @property
    def is_cell(self) -> bool:
        """Whether its outcome is a record of the results."""
        return isinstance(self.config, CellUnit)


def failure(unit: Unit, reason: str, attempts: int = 1) -> dict[str, Any]:
    """Return the outcome of a unit that could not be run to its end."""
    found = {"status": "failed", "reason": reason, "seconds": 0.0, "attempts": attempts}
    if isinstance(unit.config, CellUnit):
        return {"id": unit.config.id, **asdict(unit.config.cell), **found}
    return found


class Queue:
    """Units that are not done yet, in order."""

    def __init__(self, units: Sequence[Unit]) -> None:
        self._waiting = {unit.key: unit for unit in units}
        self._order = {unit.key: number for number, unit in enumerate(units)}
        self._open = set(self._waiting)
        self.attempts: dict[str, int] = {}

    @property
    def left(self) -> int:
        """How many are not over, running ones counted."""
        return len(self._open)

    def take(self, own: set[str], others: set[str]) -> Unit | None:
        """Take the next unit: of a shape that is ``own``, else of one that is not ``others``', else any."""
        ready = [u for u in self._waiting.values() if u.after not in self._open]
        if not ready:
            return None
        # Alone with a shape or in nobody's way, a worker keeps to the grid's order.
        unit = min(ready, key=lambda u: (u.shape not in own, u.shape in others, self._order[u.key]))
        del self._waiting[unit.key]
        self.attempts[unit.key] = self.attempts.get(unit.key, 0) + 1
        return unit

    def back(self, unit: Unit) -> bool:
        """Put a unit back whose worker died; False when it was begun often enough."""
        if self.attempts[unit.key] >= TRIES:
            return False
        self._waiting = {unit.key: unit, **self._waiting}
        return True

    def over(self, unit: Unit, outcome: dict[str, Any]) -> Iterator[tuple[Unit, dict[str, Any]]]:
        """Yield the unit with its outcome, and those that cannot be done without it, if it failed."""
        # A cluster's worker may have tried more than once before it answered.
        tried = max(self.attempts.get(unit.key, 1), outcome.get("attempts", 1))
        outcome = {**outcome, "attempts": tried}
        self._open.discard(unit.key)
        yield unit, outcome
        if outcome["status"] == "done":
            return
        for other in [u for u in self._waiting.values() if u.after == unit.key]:
            del self._waiting[other.key]
            fallen = failure(other, outcome["reason"], outcome["attempts"])
            yield from self.over(other, {**fallen, "error": outcome.get("error")})
