"""``transfer predict`` and ``transfer export``, which take a finished model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from headstart.files import check_output
from tasks.loading.resolve import check_apart, folder_size, load_dataset


def predict_command(
    *,
    model: Path,
    data: str,
    out: Path,
    image_size: tuple[int, int] | None,
    skip_unreadable: bool,
    force: bool,
) -> dict[str, Any]:
    """Read the model's card, load the examples to its size, and predict."""
    from transfer.export.keras_file import ModelInfo
    from transfer.export.predict import predict

    check_apart(out, model, data)
    shape = ModelInfo.read(model).shape
    check_output(out, force)
    image_size = image_size or folder_size(data, shape)
    dataset = load_dataset(data, image_size=image_size, skip_unreadable=skip_unreadable)

    from pretrain.engine.runtime import start

    start()
    return predict(model, dataset, out, force=force)


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
        dataset = load_dataset(data, image_size=folder_size(data, info.shape))
        examples = examples_for(model, info, dataset, resizable=False)

    from pretrain.engine.runtime import start

    start()
    return export_model(model, to, examples=examples, force=force)
