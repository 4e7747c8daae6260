"""``pretrain verify``: measure whether the features show that two examples are the same item."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from headstart.cli import out, out_json
from headstart.errors import InputError, arg
from headstart.options import ReadOptions
from pretrain.encoders.encoder import Encoder, Preprocessing, features, schema_of
from pretrain.engine.runtime import keras_defaults
from pretrain.engine.session import Session
from pretrain.metrics.verification import Thresholds, distances, resampled
from pretrain.weights.file import WeightsFile, assign
from pretrain.weights.validation import example_shape
from tasks.dataset import Dataset
from tasks.loading.resolve import folder_size, load_dataset
from tasks.loading.tables import TableReading
from tasks.pairs import all_pairs
from tasks.targets import KINDS

MAX_PAIRS = 200_000
SAMPLES = 1000
LEVEL = 0.95


def verify_command(
    *,
    file: Path,
    data: str,
    reading: ReadOptions,
    seed: int,
    threads: int | None,
    as_json: bool,
) -> None:
    """Read, measure, and print what ``verify_weights`` returns."""
    weights = WeightsFile.read(file)
    size = reading.image_size or folder_size(data, weights.encoder["input_shape"])
    like = schema_of(weights.preprocessing)
    table = TableReading.of(reading, like=like, needs_target=True)
    unreadable = reading.skip_unreadable
    dataset = load_dataset(
        data, image_size=size, skip_unreadable=unreadable, seed=seed, table=table
    )
    result = verify_weights(weights, dataset, seed=seed, threads=threads)
    if as_json:
        out_json({"file": str(file), **result})
    else:
        out("\n".join(_describe(result)))


def _check(weights: WeightsFile, dataset: Dataset) -> None:
    """Raise InputError unless the encoder can take the examples as they are."""

    def refused(rule: str, hint: str = "") -> InputError:
        return InputError(rule, argument="data", value=dataset.name, hint=hint)

    if dataset.y is None:
        raise refused(
            "must be labelled: labels say which examples are the same item",
            "Give a .npz file with y, or a folder with one subfolder an item.",
        )
    if dataset.classes is None:
        raise refused(f"must be labelled with classes, and its y is {KINDS[dataset.target or '']}")
    shape = example_shape(weights.encoder, weights.preprocessing)
    if dataset.input_shape != shape:
        hint = "Give data of that shape."
        if len(shape) == len(dataset.input_shape) == 3 and shape[2] == dataset.input_shape[2]:
            size = f"{shape[0]}x{shape[1]}"
            hint = f"Give {arg.image_size:{size}}."
        raise refused(
            f"must have examples of shape {shape}, which the encoder expects; they have shape "
            f"{dataset.input_shape}",
            hint,
        )
    known = weights.preprocessing["value_range"]
    if list(dataset.value_range) != list(known):
        raise refused(
            f"must have values from {known[0]:g} to {known[1]:g}, which the encoder expects; they span "
            f"{dataset.value_range[0]:g} to {dataset.value_range[1]:g}",
            "Scale the data to the encoder's range.",
        )


def verify_weights(
    weights: WeightsFile, dataset: Dataset, *, seed: int = 0, threads: int | None = None
) -> dict[str, Any]:
    """Return AUC and EER over all pairs of ``dataset.x``, of the features and of the raw values.

    Features are compared by their cosine, raw values by their distance. The set's own test part is not
    used. Of more than 200,000 pairs, 200,000 are drawn, half of each kind. The intervals are 95 % bootstrap
    intervals over the classes (percentiles of 1,000 samples); both rows share the samples, so that their
    difference is paired.
    """
    _check(weights, dataset)
    assert dataset.y is not None
    pairs = all_pairs(dataset.y, MAX_PAIRS, seed)
    Session(threads=threads).start()
    with keras_defaults():
        encoder = Encoder(weights.encoder, seed=0)
        assign(weights.tensors, encoder.variables)
        preprocess = Preprocessing.from_json(weights.preprocessing)
        found = {
            "features": distances(features(encoder, preprocess, dataset.x), pairs),
            # Not scaled to length 1: for faces raw values do better so, and they shall do their best.
            "raw": distances(np.asarray(preprocess(dataset.x)), pairs, unit=False),
        }
    thresholds = {name: Thresholds(distance, pairs[2]) for name, distance in found.items()}
    samples = [
        {name: row.verify(counts) for name, row in thresholds.items()}
        for counts in resampled(dataset.y, pairs, SAMPLES, seed)
    ]
    same = int(pairs[2].sum())
    result: dict[str, Any] = {
        "digest": weights.digest,
        "data": dataset.name,
        "fingerprint": dataset.fingerprint,
        "trained_on": bool(weights.metadata["data"]["fingerprint"] == dataset.fingerprint),
        "examples": len(dataset.x),
        "classes": len(np.unique(dataset.y)),
        "pairs": {"same": same, "different": len(pairs[2]) - same},
    }
    for name, row in thresholds.items():
        whole = row.verify()
        result[name] = {
            "auc": whole.auc,
            "auc_interval": _interval([sample[name].auc for sample in samples]),
            "eer": whole.eer,
            "eer_interval": _interval([sample[name].eer for sample in samples]),
        }
    result["difference"] = {
        "auc": result["features"]["auc"] - result["raw"]["auc"],
        "auc_interval": _interval([s["features"].auc - s["raw"].auc for s in samples]),
    }
    return result


def _interval(values: list[float]) -> list[float]:
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return [float(low), float(high)]


def _describe(result: dict[str, Any]) -> list[str]:
    lines = [
        f"{result['data']}: {result['examples']:,} examples of {result['classes']} classes, "
        f"{result['pairs']['same']:,} same and {result['pairs']['different']:,} different pairs",
        f"{'':<12}{'AUC':<28}equal error rate",
    ]
    for title, row in (("features", result["features"]), ("raw values", result["raw"])):
        auc = f"{row['auc']:.4f} ({row['auc_interval'][0]:.4f} to {row['auc_interval'][1]:.4f})"
        low, high = row["eer_interval"]
        eer = f"{100 * row['eer']:.2f} % ({100 * low:.2f} to {100 * high:.2f})"
        lines.append(f"{title:<12}{auc:<28}{eer}")
    gain, (low, high) = result["difference"]["auc"], result["difference"]["auc_interval"]
    lines.append(f"Features minus raw values: {gain:+.4f} ({low:+.4f} to {high:+.4f})")
    lines.append("In brackets: 95 % intervals by drawing whole classes, not pairs.")
    if result["trained_on"]:
        lines.append(
            "Warning: these very examples were the pool, so this says nothing about new ones."
        )
    return lines
