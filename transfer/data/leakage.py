"""Overlap of a transfer's examples with the pretraining pool, by the fingerprints in the weights file.

Labelled examples that are test examples too are counted as well.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from headstart.errors import InputError, arg
from pretrain.keras_import import STRATEGY as IMPORTED
from pretrain.weights.file import WeightsFile
from tasks.duplicates.exact import overlap
from tasks.duplicates.fingerprints import MAX_EXACT, Fingerprints
from tasks.task import TargetTask

MAX_NEAR_LABELS = 5000
"""Labelled examples up to which near duplicates in the test part are looked for: more would take seconds."""
NEAR_ALLOWED = 0.01
"""Share of the test examples that may be near duplicates of examples in a labelled pool.

Data sets have such pairs of their own: Fashion-MNIST's test part has 0.2 %.
"""


def leakage(task: TargetTask, rows: np.ndarray, weights: WeightsFile) -> dict[str, Any]:
    """Count the labelled and the test examples that the pretraining saw.

    Args:
        task: its examples are looked up; its test labels are not used.
        rows: (n,) integers, the labelled examples of ``task.x`` that are used.
        weights: the file, perhaps with fingerprints of its pool.

    Returns:
        JSON: ``pool`` ("name", "fingerprints": numbers of hashes and signatures in the file, or None, and
        "imported" of a foreign model, whose pool is unknown); ``labels_used`` by the pretraining, None where
        the file does not say; ``labelled`` and ``test``, each with "n", "exact" and "near" (near duplicates
        that are not equal); ``shared``: "exact" and "near", the labelled examples that are in the test part
        too; ``leaks``: whether the test would measure memory, because the pretraining used labels and saw
        test examples. A number is None where it is unknown: without fingerprints, of no images, or with
        more than MAX_NEAR_LABELS labels.
    """
    data, fingerprints = weights.metadata["data"], weights.fingerprints
    used = data.get("labels_used")
    found: dict[str, Any] = {
        "pool": {"name": data["name"], "fingerprints": fingerprints and fingerprints.counts()},
        "labels_used": used if isinstance(used, bool) else None,
    }
    if weights.metadata["strategy"] == IMPORTED:
        found["pool"]["imported"] = True
    for part, x in (("labelled", task.x[rows]), ("test", task.x_test)):
        found[part] = {"n": len(x), **_duplicates(fingerprints, x, task)}
    x = task.x[rows]
    if len(x) > MAX_NEAR_LABELS:
        shared = {"exact": len(overlap(task.x_test, x)), "near": None}
    else:
        shared = _duplicates(Fingerprints.of(task.x_test, task.value_range), x, task)
        shared["exact"] = shared["exact"] or 0
    test = found["test"]
    many_near = (test["near"] or 0) > NEAR_ALLOWED * test["n"]
    found["shared"] = shared
    found["leaks"] = bool(found["labels_used"] and (test["exact"] or many_near))
    return found


def _duplicates(
    fingerprints: Fingerprints | None, x: np.ndarray, task: TargetTask
) -> dict[str, int | None]:
    """Return how many of ``x`` (N, ...) are equal to, or near duplicates of, fingerprinted examples."""
    if fingerprints is None:
        return {"exact": None, "near": None}
    exact, near = fingerprints.find(x, task.value_range)
    equal = None if exact is None else int(exact.sum())
    return {"exact": equal, "near": None if near is None else int(near.sum()) - (equal or 0)}


def refuse(found: dict[str, Any], task: str, weights: str) -> None:
    """Raise InputError where a test would measure memory, by ``leakage`` of a task and a weights file."""
    if found["leaks"]:
        raise InputError(
            f"The pretraining of {weights} used labels, and its pool {found['pool']['name']!r} had "
            f"{counted(found['test'])} of the {found['test']['n']:,} test examples of {task!r}: the "
            f"test would measure memory.",
            hint=f"Test on other examples, pretrain without these, or measure all the same with "
            f"{arg.allow_leakage:True}.",
        )


def describe(found: dict[str, Any]) -> str:
    """Return the counts of ``leakage`` as one line of text."""
    pool, shared = found["pool"], found["shared"]
    kept = pool["fingerprints"]
    if pool.get("imported"):
        line = (
            "Leakage: unknown. The model was imported, so nobody can tell whether it was trained on the "
            "test examples"
        )
    elif kept is None:
        line = "Leakage: unknown. The weights file does not say which examples the pool had"
    else:
        test, labelled = (
            f"{counted(found[part])} of {found[part]['n']:,} {part}"
            for part in ("test", "labelled")
        )
        line = f"Leakage: in the pool {pool['name']} were {test} and {labelled} examples"
        if found["test"]["exact"] is None:
            line += "; shape or type differ from the pool's, so none could be compared exactly"
        if kept["exact"] == MAX_EXACT or 0 < kept["near"] < kept["exact"]:
            line += (
                f"; of the pool's {kept['examples']:,} examples the file has {kept['exact']:,} hashes and "
                f"{kept['near']:,} signatures only"
            )
    if shared["exact"] or shared["near"]:
        line += f"; {counted(shared)} of the labelled examples are in the test part too"
    return line


def counted(part: dict[str, Any]) -> str:
    """Return the counts of one part as text: "3 (and 2 near duplicates)"; unknown ones are left out."""
    exact, near = part["exact"], part["near"]
    if exact is None:
        return "?" if near is None else f"{near:,} near duplicates"
    return f"{exact:,}" + ("" if near is None else f" (and {near:,} near duplicates)")
