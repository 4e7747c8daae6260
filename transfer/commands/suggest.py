"""``transfer suggest``: choose examples to label."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headstart.errors import InputError
from headstart.files import check_output, write_text
from pretrain.engine.progress import LineReporter, Reporter, make_reporter
from pretrain.keras_import.source import read_source
from tasks.dataset import Dataset
from tasks.loading.resolve import check_apart, folder_size, load_dataset
from tasks.task import TargetTask
from transfer.data.input_adapter import InputAdapter


def suggest_command(
    *,
    encoder: str,
    imported: Mapping[str, Any],
    data: str,
    labels: int,
    test_part: float,
    out: Path,
    seed: int,
    threads: int | None,
    image_size: tuple[int, int] | None,
    skip_unreadable: bool,
    force: bool,
    quiet: bool,
) -> dict[str, Any]:
    """Choose examples to label, and write them as a table and, of images, as a picture.

    Of labelled data only the training part is chosen from, as ``transfer`` splits it.
    imported: as in ``transfer_command``.
    """
    from transfer.active_learning.selection_file import to_csv

    if out.suffix.lower() != ".csv":
        raise InputError("must end in .csv", argument="out", value=out)
    picture = out.with_suffix(".png")
    for path in (out, picture):
        check_apart(path, encoder, data)
        check_output(path, force)
    say = (Reporter if quiet else LineReporter)().say
    file = read_source(encoder, threads=threads, say=say, **imported)
    shape = tuple(file.encoder["input_shape"])
    image_size = image_size or folder_size(data, shape)
    dataset = load_dataset(data, image_size=image_size, skip_unreadable=skip_unreadable, seed=seed)
    pool: Dataset | TargetTask = dataset
    if dataset.y is not None:
        pool = TargetTask.from_dataset(dataset, seed=seed, test_fraction=test_part)
    inputs = InputAdapter.of(pool, shape, file.preprocessing)
    if not 1 <= labels <= len(pool.x):
        raise InputError(
            f"must be 1 to {len(pool.x):,}, the examples there are to choose from",
            argument="labels",
            value=labels,
        )

    from pretrain.engine.runtime import start
    from pretrain.monitoring.artifacts import write_picture

    start(threads)
    from transfer.active_learning.typiclust import encode, image_grid, suggest

    reporter = make_reporter(quiet)
    try:
        reporter.say(f"Data: {pool.name}, {len(pool.x):,} examples to choose from, {pool.source}")
        for change in inputs.changes:
            reporter.say(f"Inputs: {change}, to fit the encoder")
        chosen = suggest(encode(file, inputs, pool.x), labels, seed)
    finally:
        reporter.close()
    write_text(out, to_csv(chosen, pool.x, pool.files))
    shown = image_grid(pool.x[chosen.rows], pool.value_range)
    if shown is not None:
        write_picture(picture, shown)
    return {
        "out": str(out),
        "picture": None if shown is None else str(picture),
        "data": pool.name,
        "examples": len(pool.x),
        "labels": labels,
        "indices": chosen.rows.tolist(),
        "source_digest": file.digest,
    }
