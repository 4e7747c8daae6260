"""``transfer predict`` and ``transfer export``, which take a finished model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from headstart.files import check_output
from pretrain.engine.progress import make_reporter
from tasks.loading.resolve import check_apart, folder_size, load_dataset
from tasks.loading.tables import TableReading, table_dataset
from tasks.tables.read import SUFFIXES, read_file


def predict_command(
    *,
    model: Path,
    data: str,
    out: Path,
    image_size: tuple[int, int] | None,
    skip_unreadable: bool,
    delimiter: str | None,
    force: bool,
) -> dict[str, Any]:
    """Read the model's card, load the examples to its size, and predict; of a table print the warnings."""
    from transfer.export.keras_file import ModelInfo
    from transfer.export.predict import predict

    check_apart(out, model, data)
    info, kept = ModelInfo.read(model), None
    check_output(out, force)
    how = TableReading(delimiter=delimiter, rows="all", like=info.table)
    path = Path(data).expanduser()
    if info.table is not None and path.is_file() and path.suffix.lower() in SUFFIXES:
        kept = read_file(path, delimiter)
        dataset = table_dataset(kept, how, source=f"table {path.name}")
        for note in dataset.notes:
            make_reporter(False).say(note)
    else:
        size = image_size or folder_size(data, info.shape)
        dataset = load_dataset(data, image_size=size, skip_unreadable=skip_unreadable, table=how)

    from pretrain.engine.runtime import start

    start()
    return predict(model, dataset, out, force=force, kept=kept)


def export_command(
    *, model: Path, to: tuple[str, ...], data: str | None, force: bool
) -> list[dict[str, Any]]:
    """Write a model in other formats, compared on the examples of ``data`` or on random ones."""
    from transfer.export.formats import check_formats, export_model
    from transfer.export.keras_file import ModelInfo
    from transfer.export.predict import examples_for

    info = ModelInfo.read(model)
    check_formats(model, to, force=force)
    examples = None
    if data is not None:
        how = TableReading(rows="all", like=info.table)
        dataset = load_dataset(data, image_size=folder_size(data, info.shape), table=how)
        examples = examples_for(model, info, dataset, resizable=False)

    from pretrain.engine.runtime import start

    start()
    return export_model(model, to, examples=examples, force=force)
