"""Whether a transfer's examples were in the pretraining pool, by the fingerprints in the weights file.

Also whether its labelled examples are test examples too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from headstart.errors import InputError
from pretrain.commands.inspect import counts
from pretrain.keras_import import STRATEGY as IMPORTED
from pretrain.weights.file import WeightsFile
from tasks.duplicates.exact import overlap
from tasks.duplicates.fingerprints import MAX_EXACT, Fingerprints
from tasks.task import TargetTask

# More labelled examples than this are compared with the test part exactly only: it would take seconds.
MOST_NEAR = 5000
NEAR_ALLOWED = 0.01
"""Test examples, as a part of all, that may be near duplicates of a labelled pool's.

Sets have such pairs of their own: Fashion-MNIST's test part has 0.2 %.
"""


def leakage(task: TargetTask, rows: np.ndarray, weights: WeightsFile) -> dict[str, Any]:
    """Return how many of the labelled and of the test examples were in the pool.

    Args:
        task: its test part is looked up, but not what is true of it.
        rows: (n,) integers, the examples of ``task.x`` whose labels are spent.
        weights: the file; without fingerprints it does not tell.

    Returns:
        JSON: ``pool`` (name, examples, how many hashes and signatures the file has, and ``imported`` when
        the model came from elsewhere, so that its pool is unknown),
        ``labels_used`` by the pretraining (None: the file does not say), and ``labelled`` and
        ``test``, each with ``n``, ``exact`` and ``near``: near duplicates that are not equal. A number
        is None when it cannot be told. ``shared``: how many labelled examples are in the test part too,
        ``exact`` and ``near`` (None with more than MOST_NEAR labels, or of no images).
    """
    data, fingerprints = weights.metadata["data"], weights.fingerprints
    used = data.get("labels_used")
    found: dict[str, Any] = {
        "pool": {"name": data["name"], "fingerprints": counts(fingerprints)},
        "labels_used": used if isinstance(used, bool) else None,
    }
    if weights.metadata["strategy"] == IMPORTED:
        found["pool"]["imported"] = True
    for part, x in (("labelled", task.x[rows]), ("test", task.x_test)):
        exact, near = (
            (None, None) if fingerprints is None else fingerprints.find(x, task.value_range)
        )
        equal = None if exact is None else int(exact.sum())
        found[part] = {
            "n": len(x),
            "exact": equal,
            "near": None if near is None else int(near.sum()) - (equal or 0),
        }
    return {**found, "shared": _shared(task.x[rows], task)}


def _shared(x: np.ndarray, task: TargetTask) -> dict[str, int | None]:
    """Return how many of the labelled examples ``x`` (n, ...) are test examples too."""
    if len(x) > MOST_NEAR:
        return {"exact": len(overlap(task.x_test, x)), "near": None}
    exact, near = Fingerprints.of(task.x_test, task.value_range).find(x, task.value_range)
    equal = 0 if exact is None else int(exact.sum())
    return {"exact": equal, "near": None if near is None else int(near.sum()) - equal}


def leaks(found: dict[str, Any]) -> bool:
    """Say whether the test would measure memory: the pool had test examples, and used labels."""
    test = found["test"]
    many_near = (test["near"] or 0) > NEAR_ALLOWED * test["n"]
    return bool(found["labels_used"] and (test["exact"] or many_near))


def refuse(found: dict[str, Any], task: str, weights: str, anyway: str = "--allow-leakage") -> None:
    """Raises InputError, with the numbers and the ways out, when ``leaks(found)``.

    anyway: what to give to have it measured all the same.
    """
    if not leaks(found):
        return
    raise InputError(
        f"The pretraining of {weights} used labels, and its pool {found['pool']['name']!r} had "
        f"{counted(found['test'])} of the {found['test']['n']:,} test examples of {task!r}: the "
        f"test would measure memory. Test on other examples, pretrain without these, or measure "
        f"all the same with {anyway}."
    )


def describe(found: dict[str, Any]) -> str:
    """Return one line for people."""
    shared = found["shared"]
    line = _pool_told(found)
    if shared["exact"] or shared["near"]:
        line += f"; {counted(shared)} of the labelled examples are in the test part too"
    return line


def _pool_told(found: dict[str, Any]) -> str:
    """Say what was in the pool."""
    pool = found["pool"]
    kept = pool["fingerprints"]
    if pool.get("imported"):
        return (
            "Leakage: unknown. The model was imported, so nobody can tell whether it was trained on the "
            "test examples"
        )
    if kept is None:
        return "Leakage: the weights file does not tell what was in the pool"
    line = f"Leakage: in the pool {pool['name']} were "
    line += " and ".join(
        f"{counted(found[part])} of {found[part]['n']:,} {part}" for part in ("test", "labelled")
    )
    line += " examples"
    if found["test"]["exact"] is None:
        line += "; shape or type differ from the pool's, so none could be compared exactly"
    if kept["exact"] == MAX_EXACT or 0 < kept["near"] < kept["exact"]:
        line += (
            f"; of the pool's {kept['examples']:,} examples the file has {kept['exact']:,} hashes and "
            f"{kept['near']:,} signatures only"
        )
    return line


def counted(part: dict[str, Any]) -> str:
    """Return "3 (and 2 nearly)", with what cannot be told left out."""
    exact, near = part["exact"], part["near"]
    if exact is None:
        return "?" if near is None else f"{near:,} near duplicates"
    return f"{exact:,}" + ("" if near is None else f" (and {near:,} near duplicates)")
