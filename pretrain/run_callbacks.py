"""Callbacks of a pretraining run: collapse, probes, and which epoch of a stage is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from headstart.errors import NonFiniteError, arg
from pretrain.config import KEEP_BEST
from pretrain.encoders.encoder import features, sample
from pretrain.engine.stage import Stage
from pretrain.monitoring import collapse
from pretrain.monitoring.probe import probe
from pretrain.plan import PretrainPlan


class EpochMonitor:
    """Measures the encoder after each epoch; called by the engine."""

    def __init__(
        self,
        plan: PretrainPlan,
        encoder: Any,
        arrays: Mapping[str, np.ndarray],
        held_out: Mapping[str, np.ndarray] | None,
        history: Sequence[Mapping[str, Any]],
        say: Callable[[str], None],
    ) -> None:
        """Called before the first step; ``history`` is the run's own list, which the engine fills."""
        self.plan, self.encoder, self.history = plan, encoder, history
        # Held-out examples first: what was learnt by heart may look spread where nothing else does.
        pools = [part["x"] for part in (held_out, arrays) if part is not None]
        self.examples = sample(collapse.EXAMPLES, *pools)
        self.monitor = collapse.Monitor(
            limits=collapse.Limits.of(
                np.asarray(plan.preprocessing(self.examples)),
                self._features(self.examples),
                compares=plan.row.augments,
                labelled=plan.labelled,
            ),
            mode=plan.collapse,
            advice=plan.row.advice,
            say=say,
        )

    def __call__(self, stage: Stage, row: Mapping[str, Any]) -> dict[str, float]:
        """Return the numbers to add to the epoch's row. Raises CollapseError."""
        found: dict[str, float] = {}
        if collapse.due(row["epoch"], stage.epochs):
            found |= collapse.measure(self._finite(self.examples, stage, row))
            self.monitor.judge(self.history, {**row, **found})
        asked = self.plan.probe
        if asked is not None and asked.due(row["epoch"], stage.epochs):
            found |= probe(self._finite(asked.x, stage, row), asked.y)
        return found

    def _finite(self, x: np.ndarray, stage: Stage, row: Mapping[str, Any]) -> np.ndarray:
        """Return the features; raises NonFiniteError, for weights can be finite and yet overflow."""
        found = self._features(x)
        if not np.isfinite(found).all():
            raise NonFiniteError(
                f"Training became non-finite: the features after epoch {row['epoch']} of stage "
                f"{stage.name!r} overflow. Nothing was exported.",
                hint=f"Use a smaller {arg.learning_rate} (it was {stage.learning_rate:g}).",
            )
        return found

    def _features(self, x: np.ndarray) -> np.ndarray:
        return features(self.encoder, self.plan.preprocessing, x)


def announce_last_epochs(
    stages: Iterable[Stage], keep_best: str | None, say: Callable[[str], None]
) -> Iterator[Stage]:
    """Yield the stages; say of those without one validation loss that their last epoch is kept.

    Of the first stage a plan has made sure that it has one (``Strategy.measures``).
    """
    for stage in stages:
        several = len(stage.objectives) > 1
        if keep_best == "validation" and (several or stage.validation is None):
            why = (
                f"has {len(stage.objectives)} objectives, and so no single validation loss"
                if several
                else "measures nothing on held-out examples"
            )
            say(f"The stage {stage.name!r} {why}: its last epoch is kept, not its best.")
        yield stage


def kept_rows(
    history: Sequence[Mapping[str, Any]], keep_best: str | None
) -> list[Mapping[str, Any]]:
    """Return of each stage the row of the epoch whose variables it ended with.

    The last one's, or with ``keep_best`` the first of the best, as the engine decides it.
    """
    stages: list[list[Mapping[str, Any]]] = []
    for row in history:
        if row["epoch"] == 1:
            stages.append([])
        stages[-1].append(row)
    name, sign = KEEP_BEST[keep_best] if keep_best else ("", 0)
    return [
        max((r for r in rows if name in r), key=lambda r: sign * r[name], default=rows[-1])
        for rows in stages
    ]
