"""The verdict's sentences about one place: what was found there, how sure it is and what it costs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmark.stats import ALPHA, differences, p_value
from benchmark.tables import Row, Tables, equivalent, in_cpu, scratch_of
from benchmark.words import p_text, percent, points, seconds, span

POWER = 0.8
MOST_SEEDS = 50


def guessing_text(share: float, best: Row) -> str:
    """Nothing exceeds guessing."""
    return (
        f"nothing does better than naming the commonest class every time ({percent(share)} %): "
        f"{best.name}, the best strategy, reaches {percent(best.accuracy.mean)} %. What was tried here "
        f"cannot tell these labels from the examples, with or without pretraining."
    )


def helped_text(
    found: Tables, winner: Row, winners: Sequence[Row], rows: Sequence[Row], raw: Row | None
) -> str:
    """A strategy helped: its accuracy, its worth in labels, its rivals and its cost."""
    parts = [f"{winner.name} reaches {percent(winner.accuracy.mean)} %, {certainty(winner)}."]
    worth = equivalent(found, winner)
    if worth is not None:
        parts.append(f"Scratch would need {worth} labels for that.")
    if raw is not None and winner.over_raw is not None and winner.over_raw.n:
        shown = winner.over_raw_corrected < ALPHA
        word = "It also beats" if shown else "It is not shown to beat"
        parts.append(
            f"{word} the best baseline on raw values, {reached(raw)} "
            f"({points(winner.over_raw.mean)} points, {span(winner.over_raw)})."
        )
    level = [r.name for r in winners if r is not winner and not _differ(winner, r, len(winners))]
    if level:
        parts.append(f"Not shown to be worse than it: {', '.join(level)}.")
    rival = scratch_of(rows)
    if rival is not None:
        parts.append(_cost(winner, rival))
    return " ".join(parts)


def certainty(row: Row) -> str:
    """Return the gain with its interval and its corrected p value."""
    among = f" after correction for {row.comparisons} comparisons" if row.comparisons > 1 else ""
    return (
        f"{points(row.gained.mean)} points against scratch (95 % interval {span(row.gained)}, "
        f"{row.gained.n} seeds paired, p {p_text(row.corrected)}{among})"
    )


def _differ(one: Row, other: Row, count: int) -> bool:
    return p_value(differences(one.scores, other.scores)) * max(1, count - 1) < ALPHA


def raw_best(raw: Row, best: Row) -> str:
    """A raw baseline is best."""
    return (
        f"{raw.name} on raw values alone reaches {percent(raw.accuracy.mean)} %, against "
        f"{percent(best.accuracy.mean)} % of {best.name}, the best strategy here."
    )


def also(plain: Row, raw: Row) -> str:
    """Name the best row without pretraining, where that is not the raw baseline."""
    return "" if plain is raw else f" Best of all without pretraining is {reached(plain)}."


def reached(row: Row) -> str:
    """Return "raw 1-NN (90.13 %)"."""
    return f"{row.name} ({percent(row.accuracy.mean)} %)"


def unclear_text(best: Row, plain: Row) -> str:
    """Nothing is shown, and little is ruled out."""
    gain = best.gained
    if gain.n < 2:
        seen = f"{points(gain.mean)} points against scratch"
        return f"one seed proves nothing: {best.name} is at {seen}, and that may be luck."
    text = f"the best strategy, {best.name}, is at {certainty(best)}."
    if gain.low > 0 and best.p < ALPHA:
        text += (
            f" Alone, that would be a gain; the best of {best.comparisons} comparisons may look so "
            f"by luck."
        )
    else:
        text += " That is neither shown to be a gain, nor are useful gains ruled out."
    needed = seeds_needed(best)
    if needed is not None and needed > gain.n:
        most = f"about {needed}" if needed <= MOST_SEEDS else f"more than {MOST_SEEDS}"
        text += f" If the gain is as it looks, {most} seeds would show it."
    return f"{text} The best without pretraining is {reached(plain)}."


def seeds_needed(row: Row) -> int | None:
    """Return how many seeds would show a gain of the size seen, in about four benchmarks of five.

    The smallest n with d sqrt(n) / s >= t_(n-1)(1 - a/2m) + z(0.8), for m comparisons; None for no gain, and
    MOST_SEEDS + 1 where more would be needed.
    """
    from scipy.special import ndtri, stdtrit

    gain, count = row.gained, max(1, row.comparisons)
    if gain.n < 2 or gain.mean <= 0:
        return None
    # The interval for all comparisons is Student's, whatever the others are.
    known, half = (
        (gain, 0.975) if row.simultaneous is None else (row.simultaneous, 1 - ALPHA / 2 / count)
    )
    spread = (known.high - known.mean) / float(stdtrit(gain.n - 1, half)) * gain.n**0.5
    n = np.arange(2, MOST_SEEDS + 1)
    needed = stdtrit(n - 1, 1 - ALPHA / 2 / count) + float(ndtri(POWER))
    enough = n[gain.mean * np.sqrt(n) >= spread * needed]
    return int(enough[0]) if len(enough) else MOST_SEEDS + 1


def _cost(row: Row, rival: Row) -> str:
    cpu = in_cpu([row, rival])
    pretraining, transfer = row.cost(cpu)
    unit = " of processor time" if cpu else ""
    return (
        f"It costs {seconds(pretraining or 0.0)} of pretraining and {seconds(transfer)} of transfer a "
        f"seed{unit}; scratch takes {seconds(rival.total(cpu))}."
    )
