"""Work items, the order in which they wait for each other, and which one a worker does next."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmark.work.context import WorkerContext
    from pretrain.engine.progress import Reporter

MAX_ATTEMPTS = 2
"""How often an item is begun whose worker dies under it."""

Outcome = dict[str, Any]
"""An item's "status" ("done", or "failed" with a "reason"), "seconds", and whatever it made."""


@dataclass(frozen=True, kw_only=True)
class WorkItem:
    """One piece of work that any process can do; it is pickled on its way there.

    Attributes:
        key: its name, unique in a queue.
        after: the key of the item that must be done before, or None.
        shape: items of one shape share compiled steps, so one worker had best do them all.
    """

    key: str = ""
    after: str | None = None
    shape: str = ""

    def run(self, context: WorkerContext, reporter: Reporter) -> Outcome:
        """Do the work. Raises Interrupted on Ctrl-C, and nothing else."""
        raise NotImplementedError

    def failed(self, reason: str, attempts: int = 1) -> Outcome:
        """Return the outcome when the work cannot be done to its end."""
        return {"status": "failed", "reason": reason, "seconds": 0.0, "attempts": attempts}

    @property
    def title(self) -> str:
        """The item in words."""
        return self.key

    @property
    def cost_kind(self) -> str:
        """A name that is the same for items that take about as long."""
        return self.shape


OnEvent = Callable[[str, WorkItem, Any], None]
"""Called with the event's kind, the item and the payload: "begun" with None, "step" with a stage and its part
that is done, "say" with a line."""


class Queue:
    """Items that are not done yet, in order."""

    def __init__(self, items: Sequence[WorkItem]) -> None:
        self._waiting = {item.key: item for item in items}
        self._order = {item.key: number for number, item in enumerate(items)}
        self._open = set(self._waiting)
        self.attempts: dict[str, int] = {}

    @property
    def open(self) -> int:
        """The number of items that are not complete; running ones count."""
        return len(self._open)

    def take(self, own: set[str], others: set[str]) -> WorkItem | None:
        """Take the next item for a worker.

        Args:
            own: the shapes that the worker has compiled: they come first.
            others: the shapes of other workers: they come last.

        Returns:
            The item, or None while every waiting one needs another that is not complete.
        """
        ready = [item for item in self._waiting.values() if item.after not in self._open]
        if not ready:
            return None
        # Alone with a shape or in nobody's way, a worker keeps to the grid's order.
        item = min(ready, key=lambda i: (i.shape not in own, i.shape in others, self._order[i.key]))
        del self._waiting[item.key]
        self.attempts[item.key] = self.attempts.get(item.key, 0) + 1
        return item

    def lost(
        self, item: WorkItem, reason: str, on_event: OnEvent
    ) -> Iterator[tuple[WorkItem, Outcome]]:
        """Put an item back whose worker died; yield its failure when it was begun often enough."""
        if self.attempts[item.key] < MAX_ATTEMPTS:
            self._waiting = {item.key: item, **self._waiting}
            on_event("say", item, f"{reason}; it is tried once more.")
            return
        text = f"{reason} {self.attempts[item.key]} times while it ran this."
        yield from self.complete(item, item.failed(text))

    def complete(self, item: WorkItem, outcome: Outcome) -> Iterator[tuple[WorkItem, Outcome]]:
        """Yield the item with its outcome; if it failed, those that need it too."""
        # A cluster's worker may have tried more than once before it answered.
        attempts = max(self.attempts.get(item.key, 1), outcome.get("attempts", 1))
        outcome = {**outcome, "attempts": attempts}
        self._open.discard(item.key)
        yield item, outcome
        if outcome["status"] == "done":
            return
        for other in [i for i in self._waiting.values() if i.after == item.key]:
            del self._waiting[other.key]
            failed = other.failed(outcome["reason"], attempts)
            yield from self.complete(other, {**failed, "error": outcome.get("error")})
