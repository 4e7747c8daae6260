"""Made-up results of benchmarks: accuracies that are drawn, in the records' form."""

import numpy as np

from benchmark.baselines import BASELINES
from benchmark.grid import RANDOM, SCRATCH

SPREAD = 0.02


def benchmark(
    seed=0,
    *,
    gains=None,
    labels=(50, 200),
    seeds=5,
    scratch=0.80,
    raw=0.60,
    classes=4,
    tests=400,
    task=None,
    slope=0.04,
    noise=SPREAD / 2**0.5,
):
    """Records of one benchmark, as the command writes them.

    gains: strategy -> true gain over scratch, a number or one a budget; None is three that gain nothing.
    scratch, raw: true accuracy at the first budget; it grows by ``slope`` a budget.
    noise: standard deviation of one accuracy; a paired difference has sqrt 2 times that.
    """
    rng = np.random.default_rng(seed)
    gains = {"one": 0, "two": 0, "three": 0} if gains is None else gains
    rows = [(name, "raw", raw) for name in BASELINES]
    rows += [(RANDOM, "fresh", raw), (SCRATCH, "fresh", scratch)]
    rows += [(name, "strategy", scratch) for name in gains]
    luck = rng.normal(0, 0.01, (len(labels), seeds))  # of the labels drawn: the same for every row
    records = []
    for name, kind, level in rows:
        gain = np.broadcast_to(gains.get(name, 0.0), len(labels))
        for i, budget in enumerate(labels):
            for s in range(seeds):
                truth = level + slope * i + gain[i] + luck[i, s]
                accuracy = float(np.clip(truth + rng.normal(0, noise), 0, 1))
                records.append(_record(name, kind, budget, s, accuracy, classes, tests, task, rng))
    return records


def _record(name, kind, labels, seed, accuracy, classes, tests, task, rng):
    record = {
        "id": f"{abs(hash((name, labels, seed, task))):016x}"[:16],
        "row": name,
        "kind": kind,
        "labels": labels,
        "seed": seed,
        "status": "done",
        "accuracy": accuracy,
        "seconds": 0.2 if kind == "raw" else 3.5,
    }
    if task is not None:
        record["task"] = task
    if kind != "raw":
        record |= {
            "balanced_accuracy": accuracy,
            "macro_f1": accuracy - 0.003,
            "loss": 1 - accuracy,
            "confusion": confusion(accuracy, classes, tests),
            "updates": 10 * labels,
            "transfer_seconds": 2.0 + rng.uniform(0, 0.5) + labels / 500,
            "digest": "d" * 64,
        }
    if kind == "strategy":
        record |= {
            "pretrain_seconds": 5.0 * (1 + sum(map(ord, name)) % 12),
            "weights_digest": "e" * 64,
        }
    return record


def confusion(accuracy, classes, tests):
    """A matrix (K, K) of counts with this accuracy, nearly; errors lie beside the diagonal."""
    each = tests // classes
    matrix = np.zeros((classes, classes), int)
    for k in range(classes):
        right = round(accuracy * each)
        matrix[k, k] = right
        matrix[k, (k + 1) % classes] += each - right
    return matrix.tolist()


def failed(record, reason="Training became non-finite at step 12."):
    """The record of a cell like this one that failed."""
    kept = ("id", "row", "kind", "labels", "seed", "seconds", "task")
    return {k: record[k] for k in kept if k in record} | {"status": "failed", "reason": reason}
