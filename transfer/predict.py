"""Predictions of a ``.keras`` model on new examples, to CSV."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from tasks.dataset import Dataset
from tasks.errors import InputError
from tasks.outputs import atomic_write, check_output
from transfer.export import load_model, read_about


def predict(
    model_path: Path, dataset: Dataset, out: Path, *, force: bool = False
) -> dict[str, Any]:
    """Write one row an example: index, predicted class, its probability, one column a class.

    The examples are those of ``dataset.x``, with their file for a folder of images; when it is labelled,
    the accuracy is returned too. Grey and colour are turned into one another as the model needs.
    Raises InputError when the model, the examples or the output cannot be used.
    """
    about = read_about(model_path)
    check_output(out, force)
    examples = values_for(model_path, dataset, about)
    from transfer.inputs import apply

    chances = apply(load_model(model_path), examples)
    if chances.shape[1] == 1:
        chances = np.concatenate([1 - chances, chances], axis=1)
    names = about["classes"]
    best = chances.argmax(axis=1)

    def write(temporary: Path) -> None:
        with temporary.open("w", newline="") as file:
            rows = csv.writer(file)
            where = ["file"] if dataset.files else []
            columns = [f"p({name})" for name in names]
            rows.writerow(["index", *where, "predicted", "probability", *columns])
            for i, row in enumerate(chances):
                shown = [f"{p:.6f}" for p in row]
                where = [dataset.files[i]] if dataset.files else []
                rows.writerow([i, *where, names[best[i]], shown[best[i]], *shown])

    atomic_write(out, write)
    result: dict[str, Any] = {"examples": len(best), "out": str(out), "model": str(model_path)}
    if dataset.y is not None and dataset.class_names is not None:
        told = np.array(dataset.class_names, dtype=object)[dataset.y]
        if set(dataset.class_names) <= set(names):
            result["accuracy"] = float((np.array(names, dtype=object)[best] == told).mean())
    return result


def values_for(model_path: Path, dataset: Dataset, about: dict[str, Any]) -> np.ndarray:
    """Return the raw examples of ``dataset`` (N, ...) as the model takes them.

    about: what ``read_about`` says of the model. Raises InputError when they do not fit it.
    """
    shape = tuple(about["input"]["shape"])
    if not _fits(dataset.input_shape, shape):
        raise InputError(
            f"{model_path} predicts examples of shape {shape}, and {dataset.name!r} has "
            f"{dataset.input_shape}. Give --image-size {'x'.join(map(str, shape[:2]))} for a folder "
            f"of images."
        )
    return _values(dataset, about)


def _fits(shape: tuple[int, ...], model: tuple[int, ...]) -> bool:
    """Say whether examples of ``shape`` can be given to a model of ``model``."""
    same_colour = shape[-1] == model[-1] or (len(shape) == 3 and {shape[-1], model[-1]} == {1, 3})
    return len(shape) == len(model) and shape[:-1] == model[:-1] and same_colour


def _recolour(x: np.ndarray, channels: int) -> np.ndarray:
    """Return ``x`` (N, H, W, 1 or 3) with ``channels`` channels, in its own dtype."""
    if x.ndim != 4 or x.shape[-1] == channels:
        return x
    if channels == 3:
        return np.repeat(x, 3, axis=-1)
    # The weights of Keras' and TensorFlow's rgb_to_grayscale (ITU-R BT.601).
    grey = x.astype(np.float32) @ np.array([[0.2989], [0.5870], [0.1140]], np.float32)
    return np.rint(grey).astype(x.dtype) if x.dtype == np.uint8 else grey.astype(x.dtype)


def _values(dataset: Dataset, about: dict[str, Any]) -> np.ndarray:
    """Return the examples in the dtype and range that the model takes."""
    low, high = about["input"]["value_range"]
    x = _recolour(dataset.x, about["input"]["shape"][-1])
    from_low, from_high = dataset.value_range
    # Raw values of the model's own type are what it was made for; a new file's range says nothing.
    if str(x.dtype) == about["input"]["dtype"]:
        return x
    stretched = (x.astype(np.float32) - from_low) * ((high - low) / (from_high - from_low)) + low
    if about["input"]["dtype"] == "uint8":
        return np.clip(np.rint(stretched), 0, 255).astype(np.uint8)
    return stretched.astype(np.float32)
