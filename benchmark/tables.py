"""From records to rows: what each row of each table reached, gained and cost.

A record is one cell's line of ``results.jsonl``. A place is a data set and a label budget; within a place
every row is compared with scratch and with the best raw baseline. All comparisons of strategies with
scratch in all places are one family: their p values are corrected together, by Holm's method.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from benchmark.equivalent import Equivalent, equivalent_labels
from benchmark.grid import SCRATCH
from benchmark.stats import CONFIDENCE, Interval, differences, holm, interval, p_value, paired

Record = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of a table: accuracies over seeds, the paired difference to scratch, the costs.

    accuracy, gain: fractions, not percent; gain is None for scratch itself.
    seconds, pretrain_seconds: means over the cells; pretraining is shared by all label budgets.
    cpu_seconds: of both together, where the records have it.
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
    task: str = ""
    labels: int = 0
    cpu_seconds: float | None = None
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

    @property
    def total_seconds(self) -> float:
        """Pretraining and transfer of one seed."""
        return self.seconds + (self.pretrain_seconds or 0.0)


Tables = dict[str, dict[int, list[Row]]]
"""Data set -> label budget -> its rows, in the records' order."""


def tables(records: Sequence[Record], method: str = "t") -> Tables:
    """Return all tables of a benchmark.

    Args:
        records: cells, done or not; ``task``, ``encoder`` and ``mode`` are optional, and become a part of
            the row's name where a benchmark has several.
        method: "t" or "bootstrap", for the 95 % intervals of accuracies and differences. The p values, and
            what is claimed from them, are those of Student's t.
    """
    named = _named(records)
    found: Tables = {}
    for task in dict.fromkeys(r.get("task", "") for r in named):
        here = [r for r in named if r.get("task", "") == task]
        found[task] = {}
        for labels in sorted({r["labels"] for r in here}):
            cells = [r for r in here if r["labels"] == labels]
            found[task][labels] = [
                _row([r for r in cells if r["row"] == name], cells, method)
                for name in dict.fromkeys(r["row"] for r in cells)
            ]
    return _compared(found, method)


def best_raw(rows: Sequence[Row]) -> Row | None:
    """Return the raw baseline with the highest mean accuracy, or None."""
    raw = [row for row in rows if row.kind == "raw" and row.accuracy.n]
    return max(raw, key=lambda row: row.accuracy.mean) if raw else None


def scratch_of(rows: Sequence[Row], row: Row) -> Row | None:
    """Return the row from scratch that ``row`` is compared with, or None."""
    return next(
        (r for r in rows if r.name == _scratch_name(row.name, [r.name for r in rows])), None
    )


def places(found: Tables) -> list[tuple[str, int, list[Row]]]:
    """Return (data set, budget, rows) of every table."""
    return [(task, labels, rows) for task, by in found.items() for labels, rows in by.items()]


def equivalent(found: Tables, row: Row) -> Equivalent | None:
    """Tell a row's accuracy in labels of scratch; None without two budgets of scratch."""
    rival = scratch_of(found[row.task][row.labels], row)
    if rival is None or not row.scores:
        return None
    curve = {
        labels: other.scores
        for labels, rows in found[row.task].items()
        for other in rows
        if other.name == rival.name and other.scores
    }
    return equivalent_labels(curve, row.scores, row.labels)


SEPARATOR = " · "


def _named(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Put encoder and transfer mode into the row's name where they tell rows apart."""
    several = []
    for key in ("encoder", "mode"):
        values = {_word(r.get(key)) for r in records if r["kind"] != "raw"} - {None}
        several += [key] if len(values) > 1 else []
    named = []
    for record in records:
        parts = [] if record["kind"] == "raw" else [_word(record.get(key)) for key in several]
        named.append({**record, "row": SEPARATOR.join([record["row"], *(p for p in parts if p)])})
    return named


def _word(value: Any) -> str | None:
    """Return an encoder's or mode's short name; an encoder may be given as its configuration."""
    if isinstance(value, Mapping):
        value = value.get("architecture")
    return None if value is None else str(value)


def _scratch_name(name: str, names: Sequence[str]) -> str | None:
    """Return scratch's row with the most in common with ``name``: the same encoder, the same mode."""
    parts = set(name.split(SEPARATOR)[1:])
    rivals = [n for n in names if n.split(SEPARATOR)[0] == SCRATCH]
    return max(rivals, key=lambda n: len(parts & set(n.split(SEPARATOR)[1:])), default=None)


def _row(records: Sequence[Record], place: Sequence[Record], method: str) -> Row:
    name, done = records[0]["row"], [r for r in records if r["status"] == "done"]
    scores = _by_seed(records, name)
    rival = _scratch_name(name, list(dict.fromkeys(r["row"] for r in place)))
    against = _by_seed(place, rival)
    costs = [r["pretrain_seconds"] for r in done if r.get("pretrain_seconds") is not None]
    spent = [r.get("transfer_seconds", r["seconds"]) for r in done]
    cpu = [r["cpu_seconds"] for r in done if r.get("cpu_seconds") is not None]
    is_scratch = name.split(SEPARATOR)[0] == SCRATCH
    return Row(
        name=name,
        kind=records[0]["kind"],
        accuracy=interval(list(scores.values()), method),
        gain=None if is_scratch else paired(scores, against, method=method),
        seconds=sum(spent) / len(spent) if spent else float("nan"),
        pretrain_seconds=sum(costs) / len(costs) if costs else None,
        cpu_seconds=sum(cpu) / len(cpu) if cpu else None,
        failed=tuple(r.get("reason", r["status"]) for r in records if r["status"] != "done"),
        task=records[0].get("task", ""),
        labels=records[0]["labels"],
        p=float("nan") if is_scratch else p_value(differences(scores, against)),
        scores=scores,
    )


def _by_seed(records: Sequence[Record], name: str | None) -> dict[int, float]:
    return {r["seed"]: r["accuracy"] for r in records if r["row"] == name and r["status"] == "done"}


def _keyed(rows: Sequence[Row], p_values: Sequence[float]) -> dict[tuple[str, int, str], float]:
    """Return Holm's corrected p values by data set, budget and name."""
    corrected = holm(p_values)
    return {(r.task, r.labels, r.name): p for r, p in zip(rows, corrected, strict=True)}


def _compared(found: Tables, method: str) -> Tables:
    """Correct the strategies' p values together, and compare each with the best raw baseline."""
    tested = [row for *_, rows in places(found) for row in rows if row.kind == "strategy"]
    corrected = _keyed(tested, [row.p for row in tested])
    count = sum(p == p for p in corrected.values())
    raws = {(task, labels): best_raw(rows) for task, labels, rows in places(found)}

    def raw_scores(row: Row) -> dict[int, float]:
        raw = raws[row.task, row.labels]
        return raw.scores if raw is not None else {}

    over = _keyed(tested, [p_value(differences(r.scores, raw_scores(r))) for r in tested])
    made: Tables = {}
    for task, labels, rows in places(found):
        made.setdefault(task, {})[labels] = here = []
        for row in rows:
            if row.kind == "strategy":
                key = (task, labels, row.name)
                row = replace(
                    row,
                    corrected=corrected[key],
                    comparisons=count,
                    simultaneous=_simultaneous(row, rows, count),
                    over_raw=paired(row.scores, raw_scores(row), method=method),
                    over_raw_corrected=over[key],
                )
            here.append(row)
    return made


def _simultaneous(row: Row, rows: Sequence[Row], comparisons: int) -> Interval | None:
    """Return the gain with Bonferroni's interval, wide enough for all comparisons at once."""
    rival = scratch_of(rows, row)
    if rival is None or not comparisons:
        return None
    return paired(row.scores, rival.scores, 1 - (1 - CONFIDENCE) / comparisons)
