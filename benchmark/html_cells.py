"""The report's details of every cell: each value of its record, by rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmark.words import percent

KNOWN = ("row", "base", "encoder", "mode", "kind", "labels", "seed", "task", "status", "reason")
NAMES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "loss": "loss",
    "confusion": "confusion, true class a line",
    "updates": "updates",
    "chosen": "chosen inside the budget",
    "n": "test examples",
    "seconds": "seconds in all",
    "pretrain_seconds": "seconds of pretraining",
    "transfer_seconds": "seconds of transfer",
    "cpu_seconds": "CPU-seconds in all",
    "pretrain_cpu_seconds": "CPU-seconds of pretraining",
    "pretrain_planned_epochs": "epochs that the budget became",
    "digest": "digest of the model",
    "weights_digest": "digest of the weights file",
    "id": "identity of the cell",
}
PERCENT = ("accuracy", "balanced_accuracy", "macro_f1")
MOST_CHARACTERS = 1500


def cell_groups(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the cells of each row, in the records' order."""
    several = len({r.get("task") for r in records}) > 1
    groups = []
    for name in dict.fromkeys(r["row"] for r in records):
        here = [r for r in records if r["row"] == name]
        failed = sum(r["status"] != "done" for r in here)
        about = f"{len(here)} cells" if len(here) != 1 else "1 cell"
        about += f", {failed} not done" if failed else ""
        groups.append({"name": name, "about": about, "cells": [_cell(r, several) for r in here]})
    return groups


def _cell(record: Mapping[str, Any], several: bool) -> dict[str, Any]:
    parts = [record.get("task") if several else None, record.get("encoder"), record.get("mode")]
    words = [str(part) for part in parts if part]
    words += [f"{record['labels']:,} labels", f"seed {record['seed']}"]
    done = record["status"] == "done"
    end = f"{percent(record['accuracy'])} %" if done else str(record["status"])
    facts = [] if done else [("why", str(record.get("reason", "no reason was recorded")))]
    order = [*NAMES, *(key for key in record if key not in NAMES and key not in KNOWN)]
    for key in order:
        if record.get(key) is not None:
            facts.append((NAMES.get(key, key), _text(key, record[key])))
    return {"name": f"{', '.join(words)}: {end}", "failed": not done, "facts": facts}


def _text(key: str, value: Any) -> str:
    if key in PERCENT and isinstance(value, float):
        return f"{percent(value)} %"
    if key == "confusion":
        text = " / ".join(" ".join(f"{count:g}" for count in row) for row in value)
    elif isinstance(value, Mapping):
        text = ", ".join(f"{k}={v}" for k, v in value.items()) or "nothing"
    elif isinstance(value, float):
        text = f"{value:.4g}"
    else:
        text = str(value)
    return text if len(text) <= MOST_CHARACTERS else text[:MOST_CHARACTERS] + " ..."
