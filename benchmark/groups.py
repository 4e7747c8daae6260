"""Records that belong into one table: those of one data set, one encoder and one way of the transfer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def grouped(records: Sequence[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return (title, records) of each table; the title is "" when there is one table only.

    Classical models, which have no encoder, are in every table of their data set. Inside a table a row
    goes by its ``base``: what is common to all is in the title. Skipped cells are in no table.
    """
    found: list[tuple[str, list[dict[str, Any]]]] = []
    records = [record for record in records if record["status"] != "skipped"]
    tasks = list(dict.fromkeys(record["task"] for record in records))
    for task in tasks:
        here = [record for record in records if record["task"] == task]
        arms = dict.fromkeys((r["encoder"], r["mode"]) for r in here if r["encoder"] is not None)
        for arm in arms:
            rows = [r for r in here if r["encoder"] is None or (r["encoder"], r["mode"]) == arm]
            words = [task] * (len(tasks) > 1)
            words += [str(arm[0])] * (len({encoder for encoder, _ in arms}) > 1)
            words += [str(arm[1])] * (len({mode for _, mode in arms}) > 1)
            found.append((", ".join(words), [{**r, "row": r["base"]} for r in rows]))
    return found
