"""Predictions of a ``.keras`` model on new examples, to CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from headstart.errors import InputError, arg
from headstart.files import atomic_write, check_output
from pretrain.engine.runtime import keras_defaults
from tasks.dataset import Dataset
from tasks.tables.cells import NUMBER
from tasks.tables.read import Frame
from transfer.export.keras_file import ModelInfo, load_model
from transfer.inference import predict_batched
from transfer.metrics.scores import check_outputs

BYTES, FRACTIONS = (0.0, 255.0), {(0.0, 1.0), (-1.0, 1.0)}
# (range of the images in a file, range of the model) that cannot be the same: values below 0 are not of 0..1,
# and images of 0..255 that are all within 0..1 would be black.
OTHER_RANGES = {((-1.0, 1.0), (0.0, 1.0)), ((0.0, 1.0), (0.0, 255.0)), ((-1.0, 1.0), (0.0, 255.0))}

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


@keras_defaults()
def predict(
    model: Path,
    dataset: Dataset,
    out: Path,
    *,
    force: bool = False,
    kept: Frame | None = None,
) -> dict[str, Any]:
    """Write one row an example: index, file (of a folder of images) and prediction.

    Of a table, its own columns stand in front. A prediction is the likeliest class, its probability and those
    of all classes; or the number; or the labels above one half and the probabilities of all. A cell that a
    spreadsheet would take for a formula gets an apostrophe in front. Grey and colour are converted as the
    model needs.

    Args:
        model: a ``.keras`` file that ``transfer`` wrote.
        dataset: the examples, perhaps labelled.
        out: the CSV file.
        force: replace an existing file.
        kept: the table that the examples were read from; its columns are written in front of the predictions.

    Returns:
        JSON: "examples" (their number), "out", "model"; and a few metrics, where the examples are labelled
        with the model's own classes.

    Raises:
        InputError: the model, the examples or the output cannot be used.
    """
    info = ModelInfo.read(model)
    check_output(out, force)
    examples = examples_for(model, info, dataset)
    outputs = predict_batched(load_model(model), info.raw(examples))
    check_outputs(outputs, str(model), f"examples of {dataset.name!r}")
    header, rows = info.target.table(outputs)

    names: list[str] = ["index", *(["file"] if dataset.files else [])]
    front: Iterable[list[Any]] = ([i] for i in range(len(outputs)))
    if dataset.files:
        front = ([i, file] for i, file in enumerate(dataset.files))
    if kept is not None:
        names, front = kept.columns, kept.rows()
        header = [f"predicted_{name}" if name in names else name for name in header]

    def write(temporary: Path) -> None:
        with temporary.open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow([guarded(name) for name in (*names, *header)])
            for cells, row in zip(front, rows, strict=True):
                table.writerow([guarded(cell) for cell in (*cells, *row)])

    atomic_write(out, write)
    result = {"examples": len(outputs), "out": str(out), "model": str(model)}
    if dataset.y is not None and dataset.target == info.target.name:
        result |= info.target.scores(outputs, dataset)
    return result


def guarded(cell: Any) -> Any:
    """Return a cell that no spreadsheet takes for a formula: with an apostrophe, if it is not a number."""
    if not isinstance(cell, str) or not cell.startswith(FORMULA) or NUMBER.fullmatch(cell):
        return cell
    return f"'{cell}"


def examples_for(
    model: Path | str, info: ModelInfo, dataset: Dataset, *, resizable: bool = True
) -> np.ndarray:
    """Return the raw examples (N, ...) of a data set in the shape, dtype and range that a model takes.

    Of images 0..255 and 0..1 (or -1..1) both span black to white, and are converted. The range of any other
    new file depends on the examples in it: its values are taken as they are.

    Args:
        model: the ``.keras`` file, or words for it, for messages.
        info: of the model.
        dataset: the new examples.
        resizable: whether the hint may propose another image size.

    Raises:
        InputError: shape or values do not fit.
    """
    if info.table is not None or dataset.schema is not None:
        return _of_table(model, info, dataset)
    shape, wanted = dataset.input_shape, info.shape
    colours = len(shape) == 3 and {shape[-1], wanted[-1]} == {1, 3}
    if shape != wanted and not (shape[:-1] == wanted[:-1] and colours):
        way = "Give examples of that shape"
        if resizable and len(wanted) == len(shape) == 3:
            size = f"{wanted[0]}x{wanted[1]}"
            way += f", or have them resized: {format(arg.image_size, size)}"
        raise InputError(
            f"{model} predicts examples of shape {wanted}, and {dataset.name!r} has {shape}.",
            hint=f"{way}.",
        )
    (low, high), given = info.value_range, dataset.value_range
    x = _recolour(dataset.x, info.shape[-1])
    # Raw values of the model's own type are what it was made for, whatever the new file's range is.
    same = str(x.dtype) == info.dtype
    if same and not (x.ndim == 4 and (given, info.value_range) in OTHER_RANGES):
        return x
    # Bytes and fractions both span black to white. Any other range depends on the examples in the file, and
    # a prediction must not: values are taken as they are.
    ranges = {given, info.value_range}
    both = x.ndim == 4 and BYTES in ranges and bool(ranges & FRACTIONS)
    from_low, from_high = given if same or both else info.value_range
    stretched = (x.astype(np.float32) - from_low) * ((high - low) / (from_high - from_low)) + low
    if info.dtype != "uint8":
        return stretched.astype(np.float32)
    whole = np.rint(stretched)
    if x.ndim == 4 and given in FRACTIONS:
        whole = whole.clip(0, 255)  # a resize overshoots a little
    wrong = (whole < 0) | (whole > 255) | ((whole != stretched) & (x.ndim == 2))
    if wrong.any():
        raise InputError(
            f"The model was made for whole numbers from 0 to 255, and {dataset.name!r} has others, such "
            f"as {stretched[wrong][0]:g}.",
            hint="Train it on examples saved as floating point.",
        )
    return whole.astype(np.uint8)


def _of_table(model: Path | str, info: ModelInfo, dataset: Dataset) -> np.ndarray:
    """Return the x (N, D) of a table that was read by the model's schema. Raises InputError."""
    if dataset.schema is None:
        raise InputError(
            f"{model} predicts rows of a table with named columns, and {dataset.name!r} has none.",
            hint="Give a .csv, .tsv or .parquet file, or a DataFrame.",
        )
    if info.table is None or dataset.schema.columns != info.table.columns:
        what = "other columns" if info.table is None else "its own columns, not by the model's"
        raise InputError(
            f"The table {dataset.name!r} was read by {what}.", hint="Give the file itself."
        )
    return dataset.x


def _recolour(x: np.ndarray, channels: int) -> np.ndarray:
    """Return ``x`` (N, H, W, 1 or 3) with ``channels`` channels, in its own dtype."""
    if x.ndim != 4 or x.shape[-1] == channels:
        return x
    if channels == 3:
        return np.repeat(x, 3, axis=-1)
    # The weights of Keras' and TensorFlow's rgb_to_grayscale (ITU-R BT.601).
    grey = x.astype(np.float32) @ np.array([[0.2989], [0.5870], [0.1140]], np.float32)
    return np.rint(grey).astype(x.dtype) if x.dtype == np.uint8 else grey.astype(x.dtype)
