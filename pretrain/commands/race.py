"""The lines about a race, before it and after it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pretrain.race.plan import RacePlan


def announcement(plan: RacePlan) -> list[str]:
    """Return the lines that are shown before the race."""
    dataset, candidates = plan.dataset, plan.candidates
    return [
        f"Data: {dataset.name}, {len(dataset.x):,} examples, {dataset.source}",
        f"A race of {plan.minutes:g} minutes, by {plan.measure.about}, seed {plan.config.seed}",
        *(f"{name} was left out: {reason}" for name, reason in candidates.left_out.items()),
    ]


def table(record: Mapping[str, Any]) -> list[str]:
    """Return the lines on a finished race: its trainings, the winner, and how to repeat its training.

    record: as the weights file holds it.
    """
    trials = record["trials"]
    lines = []
    if trials:
        width = max(len(trial["strategy"]) for trial in trials)
        lines.append(f"{'rung':4}  {'strategy':{width}}  {'epochs':>8}  {'seconds':>7}  measure")
    for trial in trials:
        score = trial["failed"] if trial["score"] is None else f"{trial['score']:.4f}"
        lines.append(
            f"{trial['rung']:4}  {trial['strategy']:{width}}  {trial['epochs']:8g}  "
            f"{trial['seconds']:7.1f}  {score}"
        )
    lines.append(
        f"{record['strategy']} won, by {record['measure']['about']}; {record['seconds']:.0f} s of "
        f"{60 * record['minutes']:.0f} s."
    )
    lines.append(f"Its weights alone: {record['command']}")
    return lines
