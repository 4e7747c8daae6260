"""Predictions of a ``.keras`` model on new examples, to CSV."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from headstart.errors import InputError
from headstart.files import atomic_write, check_output
from tasks.dataset import Dataset
from transfer.export.keras_file import load_model, read_about
from transfer.metrics.scores import check_outputs
from transfer.targets import target_of_result

# Ranges of the images in a file and of a model's, which are plainly not the same: what is below 0 is not of
# 0..1, and images of 0..255 that are all within 0..1 would be black.
OTHER = {((-1.0, 1.0), (0.0, 1.0)), ((0.0, 1.0), (0.0, 255.0)), ((-1.0, 1.0), (0.0, 255.0))}


def predict(
    model_path: Path, dataset: Dataset, out: Path, *, force: bool = False
) -> dict[str, Any]:
    """Write one row an example: index, predicted class, its probability, one column a class.

    Of numbers a row has the predicted number; of several labels an example those above one half, and the
    probability of each. The examples are those of ``dataset.x``, with their file for a folder of images;
    when it is labelled, what the predictions are worth is returned too. Grey and colour are turned into
    one another as the model needs.
    Raises InputError when the model, the examples or the output cannot be used.
    """
    about = read_about(model_path)
    check_output(out, force)
    examples = values_for(model_path, dataset, about)
    from transfer.inference import predict_batched

    outputs = predict_batched(load_model(model_path), examples)
    check_outputs(outputs, str(model_path), f"examples of {dataset.name!r}")
    target = target_of_result(about)
    header, rows = target.table(outputs)

    def write(temporary: Path) -> None:
        with temporary.open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(["index", *(["file"] if dataset.files else []), *header])
            for i, row in enumerate(rows):
                where = [dataset.files[i]] if dataset.files else []
                table.writerow([i, *where, *row])

    atomic_write(out, write)
    result: dict[str, Any] = {"examples": len(outputs), "out": str(out), "model": str(model_path)}
    if dataset.y is not None and dataset.target == target.name:
        result |= target.scores(outputs, dataset)
    return result


def values_for(
    model_path: Path, dataset: Dataset, about: dict[str, Any], *, resizable: bool = True
) -> np.ndarray:
    """Return the raw examples of ``dataset`` (N, ...) as the model takes them.

    about: what ``read_about`` says of the model. resizable: the command has --image-size. Raises InputError
    when they do not fit the model.
    """
    shape = tuple(about["input"]["shape"])
    if not _fits(dataset.input_shape, shape):
        ways = "Give examples of that shape"
        if resizable and len(shape) == len(dataset.input_shape) == 3:
            ways += f", or have them resized: --image-size {shape[0]}x{shape[1]}"
        raise InputError(
            f"{model_path} predicts examples of shape {shape}, and {dataset.name!r} has "
            f"{dataset.input_shape}. {ways}."
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
    """Return the examples in the dtype and range that the model takes.

    0..255 and 0..1 (or -1..1) are two spellings of one brightness, and are turned into one another. The range
    of any other new file only tells which examples are in it: its values are taken as they are.
    """
    from transfer.data.input_adapter import FRACTIONS, resolve_value_range

    low, high = map(float, about["input"]["value_range"])
    known, given = (low, high), dataset.value_range
    x = _recolour(dataset.x, about["input"]["shape"][-1])
    # Raw values of the model's own type are what it was made for; a new file's range says nothing else.
    same = str(x.dtype) == about["input"]["dtype"]
    if same and not (x.ndim == 4 and (given, known) in OTHER):
        return x
    # As of a table, whatever the examples are: a prediction must not hang on the others in the file.
    from_low, from_high = given if same else resolve_value_range((1,), given, known)
    stretched = (x.astype(np.float32) - from_low) * ((high - low) / (from_high - from_low)) + low
    if about["input"]["dtype"] == "uint8":
        whole = np.rint(stretched)
        if x.ndim == 4 and given in FRACTIONS:
            whole = whole.clip(0, 255)  # a resize overshoots a little
        wrong = (whole < 0) | (whole > 255) | ((whole != stretched) & (x.ndim == 2))
        if wrong.any():
            raise InputError(
                f"The model was made for whole numbers from 0 to 255, and {dataset.name!r} has others, such "
                f"as {stretched[wrong][0]:g}. Train it on examples saved as floating point."
            )
        return whole.astype(np.uint8)
    return stretched.astype(np.float32)
