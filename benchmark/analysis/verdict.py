"""The verdict: whether pretraining helped, which strategy, by how much, how surely, and at what cost.

It is a pure function of the records and of what was named beforehand. First comes the answer to the primary
question (``primary``), of all label budgets together. Then, in each place (a table and a budget of labels):

- HELPED: a strategy has a higher mean than scratch, of three seeds or more, with a p value below 0.05 after
  Holm's correction over all comparisons of strategies with scratch in the benchmark, and no row without
  pretraining has a higher mean than it: no raw baseline, and in no table of the same data scratch or a random
  encoder, which may have learnt from the pool there. Of several, the one with the highest mean is named.
  The correction is what lets it be picked. With one budget, the strategy of which the primary question is
  answered by yes has helped in its place.
- NO_HELP: nothing exceeds guessing; or a raw baseline is best (with three seeds or more); or no interval
  reaches a useful gain, one that would spare a tenth of scratch's errors. The last claims something of
  all strategies at once, so every one of their intervals must say it, and needs no correction.
- UNCLEAR: otherwise. A difference that is not shown is no equality.

When no strategy is better anywhere, one or more is claimed in at most 5 % of benchmarks: 2.5 by the primary
question, and 2.5 by all other comparisons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmark.analysis.equivalent_labels import Equivalent
from benchmark.analysis.formatting import listed, p_text, percent, place_name, points, seconds, span
from benchmark.analysis.primary import MIN_SEEDS, Answer, Named, answers, question
from benchmark.analysis.rows import (
    Row,
    Tables,
    best_of,
    equivalent,
    in_cpu,
    places,
    scratch_of,
    tables,
)
from benchmark.analysis.stats import ALPHA, differences, p_value

HELPED, NO_HELP, UNCLEAR, EMPTY = "helped", "no help", "unclear", "empty"
USEFUL = 0.1
"""A useful gain spares this part of scratch's errors."""
MAX_GAINS = 3
"""At most this number of gains are listed one by one in the headline."""
POWER = 0.8
MAX_SEEDS = 50


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The verdict on one place.

    title: of the table, "" when it is the only one.
    use: the row to use, or None where nothing can be recommended.
    text: one paragraph; it does not name the place.
    """

    title: str
    labels: int
    kind: str
    use: str | None
    text: str


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The whole.

    kind: the best news of the primary question and of all places.
    headline: one or more sentences.
    primary: the answer to the primary question, one a data set.
    """

    kind: str
    headline: str
    judgements: tuple[Judgement, ...]
    primary: tuple[Answer, ...] = ()

    def use(self, title: str, labels: int) -> str | None:
        """Return the row to use in a place, if one is recommended."""
        here = (j.use for j in self.judgements if (j.title, j.labels) == (title, labels))
        return next(here, None)

    def lines(self) -> list[str]:
        """Return the answers to the primary question, the headline, and a paragraph a place."""
        first = [answer.text for answer in self.primary]
        return [*first, self.headline, *(f"{place(j)}: {j.text}" for j in self.judgements)]


def place(judgement: Judgement) -> str:
    """Return "50 labels", after the table's title where there are several."""
    return place_name(judgement.title, judgement.labels)


def verdict(
    records: Sequence[Mapping[str, Any]],
    found: Tables | None = None,
    named: Named | None = None,
) -> Verdict:
    """Judge a benchmark.

    Args:
        records: its cells, as in ``results.jsonl``.
        found: their tables, where they are there already.
        named: the strategy of the primary question; None: the best of all.
    """
    found = tables(records) if found is None else found
    primary = answers(found, named)
    yes = [answer for answer in primary if answer.helped]
    judgements = tuple(
        _judge(
            found,
            title,
            labels,
            rows,
            guessing(records, rows[0].task),
            _rivals(found, rows),
            next((a for a in yes if (a.title, a.labels) == (title, (labels,))), None),
        )
        for title, labels, rows in places(found)
    )
    primary = tuple(_unless_guessed(found, judgements, a, len(primary) > 1) for a in primary)
    yes = [answer for answer in primary if answer.helped]
    kinds = [j.kind for j in judgements]
    parts = []
    for kind in (HELPED, NO_HELP, UNCLEAR, EMPTY):
        here = [j for j in judgements if j.kind == kind]
        if kind == UNCLEAR and here and all(_task(found, j) in {a.task for a in yes} for j in here):
            parts.append(f"Too few seeds to tell at {_where(here)} alone.")
        elif here:
            parts.append(_headline(kind, here, found, len(set(kinds)) > 1))
    return Verdict(
        kind=HELPED if yes else next((k for k in (HELPED, UNCLEAR, NO_HELP) if k in kinds), EMPTY),
        headline=" ".join(parts) or "There are no results to judge.",
        judgements=judgements,
        primary=primary,
    )


def _unless_guessed(
    found: Tables, judgements: Sequence[Judgement], answer: Answer, several: bool
) -> Answer:
    """Take back a yes on labels that nothing here can tell from the examples."""
    here = [j for j in judgements if _task(found, j) == answer.task]
    if not answer.helped or any(j.kind != NO_HELP or j.use is not None for j in here):
        return answer
    text = "no. Nothing does better than naming the commonest class every time."
    return replace(answer, helped=False, text=question(answer.task, several) + text)


def _task(found: Tables, judgement: Judgement) -> str:
    return found[judgement.title][judgement.labels][0].task


def guessing(records: Sequence[Mapping[str, Any]], task: str) -> tuple[float, int] | None:
    """Return the accuracy of always naming the commonest class, and the number of test examples.

    From a confusion matrix (K, K), whose rows are the true classes; None where no cell has one.
    """
    for record in records:
        if (record.get("task") or "") == task and record.get("confusion"):
            counts = np.asarray(record["confusion"], float).sum(axis=1)
            return float(counts.max() / counts.sum()), int(counts.sum())
    return None


def _rivals(found: Tables, rows: Sequence[Row]) -> list[Row]:
    """Return the rows without pretraining of other tables of the same data and budget, named by table."""
    first = rows[0]
    return [
        replace(row, name=f"{row.name} ({title})")
        for title, labels, others in places(found)
        if (others[0].task, labels) == (first.task, first.labels) and title != first.title
        for row in others
        if row.kind == "fresh" and row.accuracy.n
    ]


def _judge(
    found: Tables,
    title: str,
    labels: int,
    rows: Sequence[Row],
    guess: tuple[float, int] | None,
    rivals: Sequence[Row],
    answer: Answer | None,
) -> Judgement:
    def judged(kind: str, use: str | None, text: str) -> Judgement:
        return Judgement(title=title, labels=labels, kind=kind, use=use, text=text)

    strategies = [r for r in rows if r.kind == "strategy" and r.gained.n]
    plain = [*(r for r in rows if r.kind != "strategy" and r.accuracy.n), *rivals]
    if not strategies:
        return judged(
            EMPTY, None, "no strategy can be compared with scratch: the cells are missing."
        )
    best_plain, best = (max(here, key=lambda r: r.accuracy.mean) for here in (plain, strategies))
    raw, rival = best_of(rows, "raw"), scratch_of(rows)
    share, tests = guess or (0.0, 1)
    # By two standard errors of the test part.
    most = share + 2 * (share * (1 - share) / tests) ** 0.5
    if guess is not None and all(r.accuracy.mean <= most for r in (*strategies, *plain)):
        text = (
            f"nothing does better than naming the commonest class every time ({percent(share)} %): "
            f"{best.name}, the best strategy, reaches {percent(best.accuracy.mean)} %. What was tried here "
            f"cannot tell these labels from the examples, with or without pretraining."
        )
        return judged(NO_HELP, None, text)
    winners = [
        r
        for r in strategies
        if (r.corrected < ALPHA and r.gained.mean > 0 and r.gained.n >= MIN_SEEDS)
        or (answer is not None and r.name == answer.base)
    ]
    if winners:
        winner = max(winners, key=lambda r: r.accuracy.mean)
        if best_plain.accuracy.mean < winner.accuracy.mean:
            text = _helped(winner, winners, equivalent(found, winner), raw, rival)
            return judged(HELPED, winner.name, text)
        text = f"{winner.name} is at {_certainty(winner)}, but {_better(best_plain, winner)}"
        return judged(NO_HELP, best_plain.name, text)
    seeds = min(r.gained.n for r in strategies)
    others = [r for r in (raw, *rivals) if r is not None]
    if seeds >= MIN_SEEDS and others:
        other = max(others, key=lambda r: r.accuracy.mean)
        if other.accuracy.mean >= best.accuracy.mean:
            text = f"no strategy is shown to beat scratch, and {_better(other, best)}"
            if best_plain is not other:
                text += f" Best of all without pretraining is {_reached(best_plain)}."
            return judged(NO_HELP, best_plain.name, text)
    errors = float("nan") if rival is None else 1 - rival.accuracy.mean
    highest = max(strategies, key=lambda r: r.gained.high if r.gained.n > 1 else np.inf)
    instead = f"The best without pretraining is {_reached(best_plain)}."
    if seeds >= MIN_SEEDS and errors < 1e-12:
        text = "scratch is right in every test example with every seed, so nothing is left to gain."
        return judged(NO_HELP, best_plain.name, f"{text} {instead}")
    if seeds > 1 and all(r.gained.high < USEFUL * errors for r in strategies):
        text = (
            f"no strategy gains what would be of use, {points(USEFUL * errors)} points or more over scratch "
            f"(a tenth of its errors): the 95 % intervals end at {points(highest.gained.high)} at most "
            f"({highest.name}). {instead}"
        )
        return judged(NO_HELP, best_plain.name, text)
    return judged(UNCLEAR, None, _unclear(best, instead))


def _headline(kind: str, here: Sequence[Judgement], found: Tables, mixed: bool) -> str:
    where = _where(here) if mixed or here[0].title else ""
    at = f" at {where}" if where else " here"
    uses: dict[str, list[Judgement]] = {}
    for j in here:
        if j.use is not None:
            uses.setdefault(j.use, []).append(j)
    if kind == HELPED:
        gains = {
            j: next(r for r in found[j.title][j.labels] if r.name == j.use).gained.mean
            for j in here
        }
        at = ""
        if len(here) > MAX_GAINS:
            at = f" at {_where(here)}"
            text = f"{points(min(gains.values()))} to {points(max(gains.values()))} points"
        else:
            name = " ({})" if len(uses) > 1 else ""
            text = listed(
                [f"{points(g)} points at {place(j)}{name.format(j.use)}" for j, g in gains.items()]
            )
        return f"Pretraining helped{at}: use {listed([*uses])}. Over training from scratch it gains {text}."
    if kind == NO_HELP:
        if not uses:
            return f"Pretraining did not help{at}: nothing did better than guessing."
        if len(uses) == 1:
            return f"Pretraining did not help{at}; use {next(iter(uses))}."
        each = [f"{name} ({_where(there)})" for name, there in uses.items()]
        return f"Pretraining did not help{at}; use {listed(each)}."
    if kind == UNCLEAR:
        return f"Too few seeds to tell whether pretraining helps{at}."
    return f"Nothing can be compared{at}."


def _where(here: Sequence[Judgement]) -> str:
    """Return "50 and 200 labels", after the tables' titles where there are several."""
    parts = []
    for title in dict.fromkeys(j.title for j in here):
        labels = listed([f"{j.labels:,}" for j in here if j.title == title]) + " labels"
        parts.append(f"{title}, {labels}" if title else labels)
    return "; ".join(parts)


def _helped(
    winner: Row,
    winners: Sequence[Row],
    worth: Equivalent | None,
    raw: Row | None,
    rival: Row | None,
) -> str:
    sure = _certainty(winner)
    if not winner.corrected < ALPHA:
        sure = f"{_against_scratch(winner)}); the answer to the primary question shows it"
    parts = [f"{winner.name} reaches {percent(winner.accuracy.mean)} %, {sure}."]
    if worth is not None:
        parts.append(f"Scratch would need {worth} labels for that.")
    if raw is not None and winner.over_raw is not None and winner.over_raw.n:
        shown = winner.over_raw_corrected < ALPHA
        word = "It also beats" if shown else "It is not shown to beat"
        parts.append(
            f"{word} the best baseline on raw values, {_reached(raw)} "
            f"({points(winner.over_raw.mean)} points, {span(winner.over_raw)})."
        )
    count = max(1, len(winners) - 1)
    level = [
        r.name
        for r in winners
        if r is not winner and not p_value(differences(winner.scores, r.scores)) * count < ALPHA
    ]
    if level:
        parts.append(f"Not shown to be worse than it: {', '.join(level)}.")
    if rival is not None:
        cpu = in_cpu([winner, rival])
        pretraining, transfer = winner.cost(cpu)
        unit = " of processor time" if cpu else ""
        parts.append(
            f"It costs {seconds(pretraining or 0.0)} of pretraining and {seconds(transfer)} of transfer a "
            f"seed{unit}; scratch takes {seconds(rival.total(cpu))}."
        )
    return " ".join(parts)


def _certainty(row: Row) -> str:
    among = f" after correction for {row.comparisons} comparisons" if row.comparisons > 1 else ""
    return f"{_against_scratch(row)}, p {p_text(row.corrected)}{among})"


def _against_scratch(row: Row) -> str:
    return (
        f"{points(row.gained.mean)} points against scratch (95 % interval {span(row.gained)}, "
        f"{row.gained.n} seeds paired"
    )


def _better(plain: Row, best: Row) -> str:
    return (
        f"{plain.name} without pretraining reaches {percent(plain.accuracy.mean)} %, against "
        f"{percent(best.accuracy.mean)} % of {best.name}, the best strategy here."
    )


def _reached(row: Row) -> str:
    return f"{row.name} ({percent(row.accuracy.mean)} %)"


def _unclear(best: Row, instead: str) -> str:
    gain = best.gained
    if gain.n < 2:
        seen = f"{points(gain.mean)} points against scratch"
        return f"one seed proves nothing: {best.name} is at {seen}, and that may be luck."
    text = f"the best strategy, {best.name}, is at {_certainty(best)}."
    if gain.low > 0 and best.p < ALPHA:
        text += (
            f" Alone, that would be a gain; the best of {best.comparisons} comparisons may look so "
            f"by luck."
        )
    else:
        text += " That is neither shown to be a gain, nor are useful gains ruled out."
    needed = seeds_needed(best)
    if needed is not None and needed > gain.n:
        most = f"about {needed}" if needed <= MAX_SEEDS else f"more than {MAX_SEEDS}"
        text += f" If the gain is as it looks, {most} seeds would show it."
    return f"{text} {instead}"


def seeds_needed(row: Row) -> int | None:
    """Return how many seeds would show a gain of the size seen, in about four benchmarks of five.

    The smallest n with d sqrt(n) / s >= t_(n-1)(1 - a/2m) + z(0.8), for m comparisons; None for no gain, and
    MAX_SEEDS + 1 where more would be needed.
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
    n = np.arange(2, MAX_SEEDS + 1)
    needed = stdtrit(n - 1, 1 - ALPHA / 2 / count) + float(ndtri(POWER))
    enough = n[gain.mean * np.sqrt(n) >= spread * needed]
    return int(enough[0]) if len(enough) else MAX_SEEDS + 1
