"""Made-up results of benchmarks: accuracies that are drawn, in the records' form."""

import json

import numpy as np
from PIL import Image

from benchmark.grid import RANDOM, SCRATCH

SPREAD = 0.02
# Not BASELINES: the numbers that are drawn must not change with a new row.
RAW = ("raw logistic regression", "raw RBF SVM", "raw 1-NN", "raw label spreading")


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
    rows = [(name, "raw", raw) for name in RAW]
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


STRATEGIES = (
    "supervised",
    "autoencoder",
    "denoising-autoencoder",
    "masked-autoencoder",
    "greedy-autoencoder",
    "rotation",
    "simclr",
    "barlow-twins",
    "vicreg",
    "siamese",
    "gan",
    "rbm",
)
CLOTHES = (
    "T-shirt/top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)


def write(folder, records, about=None):
    """Write the records, and what they are about, as the command does."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(record) + "\n" for record in records)
    (folder / "results.jsonl").write_text(lines)
    if about is not None:
        (folder / "benchmark.json").write_text(json.dumps(about))
    return folder


def about(classes=CLOTHES, tests=400, tasks=("fashion-mnist",), notes=()):
    """A benchmark.json for made-up records."""
    return {
        "format": "headstart-benchmark",
        "version": 1,
        "command": "benchmark --data fashion-mnist --strategies all --labels 100,1000 --seeds 5 --out runs/x",
        "started": "2026-11-24T10:00:00+00:00",
        "tasks": [
            {
                "name": name,
                "source": "made up",
                "class_names": list(classes),
                "training_examples": 60_000,
                "test_examples": tests,
                "test_origin": "the set's own test part",
            }
            for name in tasks
        ],
        "pools": [{"name": "clothes without labels", "examples": 60_000, "source": "made up"}],
        "encoders": [{"architecture": "convnet", "options": {"features": 128}}],
        "versions": {"headstart": "0.1.0", "tensorflow": "2.21.0"},
        "notes": list(notes),
    }


def everything(folder, *, tasks=("fashion-mnist",), seeds=5):
    """A folder as of a large benchmark: all strategies, three budgets, failures, pictures, notes."""
    gains = {name: 0.012 * (i - 5) for i, name in enumerate(STRATEGIES)}
    records = []
    for number, task in enumerate(tasks):
        records += benchmark(
            number,
            gains=gains,
            labels=(50, 200, 1000),
            seeds=seeds,
            classes=len(CLOTHES),
            raw=0.72,
            task=task if len(tasks) > 1 else None,
        )
    bad = next(i for i, r in enumerate(records) if r["row"] == "barlow-twins")
    records[bad] = failed(
        records[bad], "The features collapsed: their spread fell to 0.01 of what it was."
    )
    notes = ["8 examples of the pool are test examples too and were left out of it."]
    write(folder, records, about(tasks=tasks, notes=notes))
    weights = folder / "weights"
    weights.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    for name in STRATEGIES[:4]:
        stem = weights / f"{name}-convnet-seed0-0123abcd"
        tiles = Image.fromarray(rng.integers(0, 255, (120, 120), np.uint8))
        tiles.save(f"{stem}.samples-010.png")
        Image.new("RGB", (800, 260), "white").save(f"{stem}.curves.png")
        rows = ["stage,epoch,loss,feature_std,feature_rank"]
        rows += [f"{name},{e},{1 / e:.3f},{0.5 - 0.01 * e:.3f},{40 - e:.1f}" for e in (1, 2, 3)]
        stem.with_name(f"{stem.name}.epochs.csv").write_text("\n".join(rows) + "\n")
    return folder
