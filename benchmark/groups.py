"""Records that belong into one table: those of one data set, one encoder and one way of the transfer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Record = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Group:
    """The records of one table, in which a row goes by its ``base``.

    title: what tells the table from the others; "" when it is the only one.
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
    arms = {arm for record in records if (arm := _arm(record)) is not None}
    several = [len({arm[i] for arm in arms if arm[i] is not None}) > 1 for i in (0, 1)]
    for task in tasks:
        here = [record for record in records if (record.get("task") or "") == task]
        for arm in _arms(here):
            rows = [r for r in here if _belongs(_arm(r), arm)]
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


def _arm(record: Record) -> Arm | None:
    """Return encoder and mode; None of classical models."""
    return None if record["kind"] == "raw" else (record.get("encoder"), record.get("mode"))


def _arms(records: Sequence[Record]) -> list[Arm]:
    """Return the arms; one that says less than another is a part of that."""
    found = list(dict.fromkeys(arm for r in records if (arm := _arm(r)) is not None))
    whole = [a for a in found if not any(b != a and _belongs(a, b) for b in found)]
    return whole or [(None, None)]


def _belongs(record: Arm | None, arm: Arm) -> bool:
    return record is None or all(
        own in (None, given) for own, given in zip(record, arm, strict=True)
    )
