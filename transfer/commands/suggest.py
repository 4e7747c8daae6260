"""``transfer suggest``: choose examples to label."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headstart.errors import InputError
from headstart.files import check_output, write_text
from headstart.options import ReadOptions
from pretrain.encoders.encoder import schema_of
from pretrain.engine.session import Session
from pretrain.keras_import.source import read_source
from tasks.dataset import Dataset
from tasks.loading.resolve import check_apart, folder_size, load_dataset
from tasks.loading.tables import TableReading
from tasks.task import TargetTask
from transfer.active_learning.selection_file import to_csv
from transfer.data.input_adapter import InputAdapter


def suggest_command(
    session: Session,
    *,
    encoder: str,
    imported: Mapping[str, Any],
    data: str,
    labels: int,
    test_part: float,
    out: Path,
    seed: int,
    reading: ReadOptions,
) -> dict[str, Any]:
    """Choose examples to label, and write them as a table and, of images, as a picture.

    Of labelled data only the training part is chosen from, as ``transfer`` splits it.
    imported: as in ``transfer_command``.
    """
    if out.suffix.lower() != ".csv":
        raise InputError("must end in .csv", argument="out", value=out)
    for path in (out, out.with_suffix(".png")):
        check_apart(path, encoder, data)
        check_output(path, session.force)
    say = session.reporter.say
    file = read_source(encoder, threads=session.threads, say=say, **imported)
    size = reading.image_size or folder_size(data, file.encoder["input_shape"])
    table = TableReading.of(reading, rows="labelled", like=schema_of(file.preprocessing))
    how: dict[str, Any] = {"skip_unreadable": reading.skip_unreadable, "seed": seed}
    dataset = load_dataset(data, image_size=size, table=table, **how)
    pool: Dataset | TargetTask = dataset
    if dataset.y is not None:
        pool = TargetTask.from_dataset(dataset, seed=seed, test_fraction=test_part)
    inputs = InputAdapter.of(pool, tuple(file.encoder["input_shape"]), file.preprocessing)
    if not 1 <= labels <= len(pool.x):
        rule = f"must be 1 to {len(pool.x):,}, the examples there are to choose from"
        raise InputError(rule, argument="labels", value=labels)
    session.start()
    from pretrain.monitoring.artifacts import write_picture
    from transfer.active_learning.features import encode
    from transfer.active_learning.typiclust import image_grid, suggest

    say(f"Data: {pool.name}, {len(pool.x):,} examples to choose from, {pool.source}")
    for change in inputs.changes:
        say(f"Inputs: {change}, to fit the encoder")
    chosen = suggest(encode(file, inputs, pool.x, seed), labels, seed)
    write_text(out, to_csv(chosen, pool.x, pool.files))
    picture, shown = out.with_suffix(".png"), image_grid(pool.x[chosen.rows], pool.value_range)
    if shown is not None:
        write_picture(picture, shown)
    return {
        "out": str(out),
        "picture": str(picture) if shown is not None else None,
        "data": pool.name,
        "examples": len(pool.x),
        "labels": labels,
        "indices": chosen.rows.tolist(),
        "source_digest": file.digest,
    }
