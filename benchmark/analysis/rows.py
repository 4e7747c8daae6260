"""Rows of the tables: accuracy, gain and cost of each.

A record is one cell's line of ``results.jsonl``. A place is a table (a data set, an encoder and a mode) and
a label budget; within a place every row is compared with scratch and with the best raw baseline. All
comparisons of strategies with scratch in all places are one family: their p values are corrected together,
by Holm's method.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from benchmark.analysis.equivalent_labels import Equivalent, equivalent_labels
from benchmark.analysis.stats import (
    CONFIDENCE,
    Interval,
    differences,
    holm,
    interval,
    p_value,
    paired,
)
from benchmark.grid import SCRATCH

Record = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Group:
    """The records of one table, in which a row goes by its ``base``.

    title: distinguishes the table from the others; "" when it is the only one.
    encoder, mode: None where the records do not say.
    """

    title: str
    task: str
    encoder: str | None
    mode: str | None
    records: list[dict[str, Any]]


def grouped(records: Sequence[Record]) -> list[Group]:
    """Return the tables' records, in their order. Skipped cells are in no table.

    Classical models, which have no encoder, are in every table of their data set.
    """
    found: list[Group] = []
    records = [record for record in records if record["status"] != "skipped"]
    tasks = list(dict.fromkeys(record.get("task") or "" for record in records))
    arms = _arms(records)
    several = [len({arm[i] for arm in arms if arm[i] is not None}) > 1 for i in (0, 1)]
    for task in tasks:
        here = [record for record in records if (record.get("task") or "") == task]
        arms = _arms(here)
        # An arm that says less than another is a part of that.
        whole = [a for a in arms if not any(b != a and _belongs(a, b) for b in arms)]
        for arm in whole or [(None, None)]:
            rows = [r for r in here if r["kind"] == "raw" or _belongs(_arm(r), arm)]
            words = [task] * (len(tasks) > 1)
            words += [str(word) for word, many in zip(arm, several, strict=True) if many and word]
            found.append(
                Group(
                    title=", ".join(words),
                    task=task,
                    encoder=arm[0],
                    mode=arm[1],
                    records=[{**r, "row": base(r)} for r in rows],
                )
            )
    return found


def base(record: Record) -> str:
    """Return the row's name without encoder and mode."""
    return str(record.get("base") or record["row"])


Arm = tuple[str | None, str | None]


def _arm(record: Record) -> Arm:
    return record.get("encoder"), record.get("mode")


def _arms(records: Sequence[Record]) -> list[Arm]:
    """Return each encoder with each mode, once; classical models have none."""
    return list(dict.fromkeys(_arm(r) for r in records if r["kind"] != "raw"))


def _belongs(record: Arm, arm: Arm) -> bool:
    return all(own in (None, given) for own, given in zip(record, arm, strict=True))


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of a table: accuracies over seeds, the paired difference to scratch, the costs.

    accuracy, gain: fractions, not percent; gain is None for scratch itself.
    seconds, pretrain_seconds: means over the cells; pretraining is shared by all label budgets.
    cpu_seconds, pretrain_cpu_seconds: the same in processor time; None where it was not recorded.
    title: of the table, "" when it is the only one; task, encoder, mode: what the table is of.
    failed: reasons of cells that failed; they are in no mean, and they are shown.
    p, corrected: of the gain: by itself, and corrected for all ``comparisons`` of the benchmark (strategies
        only); NaN where there is no test.
    simultaneous: the gain with an interval so wide that those of all comparisons hold together (strategies).
    over_raw, over_raw_corrected: the difference to the best raw baseline of the place, and its p value,
        corrected over all such differences (strategies only).
    scores: accuracy by seed.
    """

    name: str
    kind: str
    accuracy: Interval
    gain: Interval | None
    seconds: float
    pretrain_seconds: float | None
    failed: tuple[str, ...]
    title: str = ""
    task: str = ""
    encoder: str | None = None
    mode: str | None = None
    labels: int = 0
    cpu_seconds: float | None = None
    pretrain_cpu_seconds: float | None = None
    p: float = float("nan")
    corrected: float = float("nan")
    comparisons: int = 0
    simultaneous: Interval | None = None
    over_raw: Interval | None = None
    over_raw_corrected: float = float("nan")
    scores: dict[int, float] = field(default_factory=dict)

    @property
    def gained(self) -> Interval:
        """The gain, or an interval of no values."""
        nothing = float("nan")
        return self.gain or Interval(mean=nothing, low=nothing, high=nothing, n=0)

    def cost(self, cpu: bool) -> tuple[float | None, float]:
        """Return pretraining and transfer of one seed in seconds, of the processor or of the clock."""
        if cpu and self.cpu_seconds is not None:
            return self.pretrain_cpu_seconds, self.cpu_seconds
        return self.pretrain_seconds, self.seconds

    def total(self, cpu: bool) -> float:
        """Return pretraining and transfer together."""
        pretraining, rest = self.cost(cpu)
        return rest + (pretraining or 0.0)


Tables = dict[str, dict[int, list[Row]]]
"""A table's title -> label budget -> its rows, in the records' order."""


def tables(records: Sequence[Record], method: str = "t") -> Tables:
    """Return all tables of a benchmark.

    Args:
        records: cells, done or not; ``task``, ``base``, ``encoder`` and ``mode`` are optional.
        method: "t" or "bootstrap", for the 95 % intervals of accuracies and differences. The p values, and
            the claims from them, are those of Student's t.
    """
    found: Tables = {}
    for group in grouped(records):
        found[group.title] = {}
        for labels in sorted({r["labels"] for r in group.records}):
            cells = [r for r in group.records if r["labels"] == labels]
            found[group.title][labels] = [
                _row(group, [r for r in cells if r["row"] == name], cells, method)
                for name in dict.fromkeys(r["row"] for r in cells)
            ]
    _compare(found, method)
    return found


def best_of(rows: Sequence[Row], kind: str) -> Row | None:
    """Return the row of a kind with the highest mean accuracy, or None."""
    there = [row for row in rows if row.kind == kind and row.accuracy.n]
    return max(there, key=lambda row: row.accuracy.mean, default=None)


def scratch_of(rows: Sequence[Row]) -> Row | None:
    """Return the row from scratch, with which the others are compared, or None."""
    return next((row for row in rows if row.name == SCRATCH), None)


def in_cpu(rows: Sequence[Row]) -> bool:
    """Whether processor time is known, of every row."""
    return all(
        row.cpu_seconds is not None
        and (row.pretrain_seconds is None) == (row.pretrain_cpu_seconds is None)
        for row in rows
        if row.accuracy.n
    )


def places(found: Tables) -> list[tuple[str, int, list[Row]]]:
    """Return (title, budget, rows) of every table."""
    return [(title, labels, rows) for title, by in found.items() for labels, rows in by.items()]


def equivalent(found: Tables, row: Row) -> Equivalent | None:
    """Express a row's accuracy in labels of scratch; None without two budgets of scratch."""
    by_labels = found[row.title]
    if scratch_of(by_labels[row.labels]) is None or not row.scores:
        return None
    curve = {
        labels: rival.scores
        for labels, rows in by_labels.items()
        if (rival := scratch_of(rows)) is not None and rival.scores
    }
    return equivalent_labels(curve, row.scores, row.labels)


def _row(group: Group, records: Sequence[Record], place: Sequence[Record], method: str) -> Row:
    name, done = records[0]["row"], [r for r in records if r["status"] == "done"]
    scores, against = _by_seed(records, name), _by_seed(place, SCRATCH)
    spent = [r.get("transfer_seconds", r["seconds"]) for r in done]
    costs = ("pretrain_seconds", "cpu_seconds", "pretrain_cpu_seconds")
    fields: dict[str, Any] = {cost: _mean(done, cost) for cost in costs}
    fields |= {n: getattr(group, n) for n in ("title", "task", "encoder", "mode")}
    if name != SCRATCH:
        fields["p"] = p_value(differences(scores, against))
    return Row(
        name=name,
        kind=records[0]["kind"],
        accuracy=interval(list(scores.values()), method),
        gain=None if name == SCRATCH else paired(scores, against, method=method),
        seconds=sum(spent) / len(spent) if spent else float("nan"),
        failed=tuple(r.get("reason", r["status"]) for r in records if r["status"] != "done"),
        labels=records[0]["labels"],
        scores=scores,
        **fields,
    )


def _mean(records: Sequence[Record], name: str) -> float | None:
    """Return the mean of a field over the records that have it, or None."""
    values = [r[name] for r in records if r.get(name) is not None]
    return sum(values) / len(values) if values else None


def _by_seed(records: Sequence[Record], name: str) -> dict[int, float]:
    return {r["seed"]: r["accuracy"] for r in records if r["row"] == name and r["status"] == "done"}


def _compare(found: Tables, method: str) -> None:
    """Correct the strategies' p values together, and compare each with the best raw baseline."""
    tested = [
        (rows, i) for *_, rows in places(found) for i, r in enumerate(rows) if r.kind == "strategy"
    ]
    corrected = holm([rows[i].p for rows, i in tested])
    raws = [best_of(rows, "raw") for rows, _ in tested]
    against = [{} if raw is None else raw.scores for raw in raws]
    over = holm(
        [
            p_value(differences(rows[i].scores, raw))
            for (rows, i), raw in zip(tested, against, strict=True)
        ]
    )
    count = sum(p == p for p in corrected)
    # Bonferroni's interval, wide enough for all comparisons at once.
    wide = 1 - (1 - CONFIDENCE) / max(1, count)
    for (rows, i), raw, p, p_raw in zip(tested, against, corrected, over, strict=True):
        rival = scratch_of(rows) if count else None
        rows[i] = replace(
            rows[i],
            corrected=p,
            comparisons=count,
            simultaneous=None if rival is None else paired(rows[i].scores, rival.scores, wide),
            over_raw=paired(rows[i].scores, raw, method=method),
            over_raw_corrected=p_raw,
        )
