"""``summary.csv`` and ``summary.json``: every table's rows with all their statistics, for machines."""

from __future__ import annotations

import csv
import io
import math
from typing import Any

from benchmark.analysis.primary import Answer
from benchmark.analysis.rows import Row, Tables, equivalent, places
from benchmark.analysis.verdict import Judgement, Verdict

NAMES = {
    "accuracy": "accuracy",
    "gain": "minus_scratch",
    "simultaneous": "minus_scratch_simultaneous",
    "over_raw": "minus_best_raw",
}


def summary_rows(found: Tables) -> list[dict[str, Any]]:
    """Return one flat mapping a row and place; accuracies are fractions, None a missing value."""
    return [_flat(found, row) for *_, rows in places(found) for row in rows]


def _flat(found: Tables, row: Row) -> dict[str, Any]:
    flat: dict[str, Any] = {
        **_where(row),
        "labels": row.labels,
        "row": row.name,
        "kind": row.kind,
        "seeds": row.accuracy.n,
        "failed": len(row.failed),
    }
    for field, name in NAMES.items():
        for part in ("mean", "low", "high"):
            key = name if part == "mean" else f"{name}_{part}"
            flat[key] = _finite(getattr(getattr(row, field), part, None))
    flat |= {
        "p": _finite(row.p),
        "p_corrected": _finite(row.corrected),
        "comparisons": row.comparisons or None,
        "p_best_raw_corrected": _finite(row.over_raw_corrected),
    }
    worth = equivalent(found, row) if row.kind == "strategy" else None
    for part in ("value", "low", "high"):
        key = "equivalent_labels" + ("" if part == "value" else f"_{part}")
        flat[key] = _labels(getattr(worth, part), worth.largest) if worth is not None else None
    return flat | {
        "pretrain_seconds": row.pretrain_seconds,
        "transfer_seconds": _finite(row.seconds),
        "pretrain_cpu_seconds": row.pretrain_cpu_seconds,
        "cpu_seconds": row.cpu_seconds,
    }


def summary_csv(found: Tables) -> str:
    """Return the rows as CSV; blank where there is no value."""
    rows = summary_rows(found)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else ["row"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def summary_json(found: Tables, judged: Verdict, claims: list[str], method: str) -> dict[str, Any]:
    """Return the verdict and the rows as JSON."""
    return {
        "verdict": {
            "kind": judged.kind,
            "headline": judged.headline,
            "primary": [_answer(found, answer) for answer in judged.primary],
            "places": [_place(found, judgement) for judgement in judged.judgements],
        },
        "intervals": method,
        "claims": claims,
        "rows": summary_rows(found),
    }


def _place(found: Tables, judgement: Judgement) -> dict[str, Any]:
    where = _where(found[judgement.title][judgement.labels][0])
    return where | {name: getattr(judgement, name) for name in ("labels", "kind", "use", "text")}


def _answer(found: Tables, answer: Answer) -> dict[str, Any]:
    """Return the answer to the primary question, its numbers as fractions."""
    where: dict[str, Any] = {"task": answer.task or None, "encoder": None, "mode": None}
    if answer.strategy:
        where = _where(next(iter(found[answer.title].values()))[0])
    gain = {part: _finite(getattr(answer.gain, part)) for part in ("mean", "low", "high")}
    return where | {
        "helped": answer.helped,
        "strategy": answer.base or None,
        "best_without": answer.rival or None,
        "labels": list(answer.labels),
        "seeds": answer.gain.n,
        "minus_best_without": gain["mean"],
        "minus_best_without_low": gain["low"],
        "minus_best_without_high": gain["high"],
        "p_corrected": _finite(answer.p),
        "comparisons": answer.comparisons,
        "rows_without": answer.rivals,
        "named": answer.named,
        "named_after_cells": answer.late,
        "text": answer.text,
    }


def _where(row: Row) -> dict[str, Any]:
    return {"task": row.task or None, "encoder": row.encoder, "mode": row.mode}


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _labels(value: float, largest: int) -> float | str | None:
    """Return labels, or "> 1000" where they lie beyond what was measured; 0 is "fewer than the first"."""
    if math.isinf(value):
        return f"> {largest}"
    return None if math.isnan(value) else round(value, 1)
