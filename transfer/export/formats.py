"""The registry of the other formats of a model, which are written beside its ``.keras`` file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from headstart.errors import InputError, suggest
from headstart.files import atomic_write, check_folder, check_output
from pretrain.engine.runtime import keras_defaults
from transfer.export.keras_file import ModelInfo, difference, load_model
from transfer.export.onnx import run_onnx, write_onnx
from transfer.export.savedmodel import is_savedmodel, run_savedmodel, write_savedmodel
from transfer.inference import predict_batched

MAX_COMPARED = 64
"""Raw examples on which a written file is compared with the model."""


@dataclass(frozen=True, kw_only=True)
class Format:
    """One row of the registry.

    Attributes:
        title: the format in a sentence.
        ending: replaces ".keras" in the model's name.
        write: (Keras model, path, JSON to keep) -> None.
        run: (path, raw examples (N, ...)) -> the outputs (N, K); the first example is given by itself, then
            the rest, so that two sizes of batch are tried.
        folder: whether it is a folder.
        needs: packages that it takes.
        extra: of the distribution, with which they are installed.
    """

    title: str
    ending: str
    write: Callable[[Any, Path, Mapping[str, Any]], None]
    run: Callable[[Path, np.ndarray], np.ndarray]
    folder: bool = False
    needs: tuple[str, ...] = ()
    extra: str = ""

    def beside(self, model: Path) -> Path:
        """Return the path beside the ``.keras`` file ``model``."""
        return model.with_name(model.stem + self.ending)

    def check(self, model: Path, *, force: bool) -> None:
        """Check, before any work, that it can be written.

        Raises:
            InputError: a package is missing, or the path is taken.
        """
        lacking = [name for name in self.needs if find_spec(name) is None]
        if lacking:
            raise InputError(
                f"Writing {self.title} takes {', '.join(lacking)}, which this environment does not have.",
                hint=f"Run: pip install 'headstart[{self.extra}]'",
            )
        if self.folder:
            check_folder(self.beside(model), is_savedmodel, force)
        else:
            check_output(self.beside(model), force)


FORMATS = {
    "onnx": Format(
        title="ONNX",
        ending=".onnx",
        write=write_onnx,
        run=run_onnx,
        needs=("tf2onnx", "onnx", "onnxruntime"),
        extra="onnx",
    ),
    "savedmodel": Format(
        title="a SavedModel",
        ending="-savedmodel",
        write=write_savedmodel,
        run=run_savedmodel,
        folder=True,
    ),
}


def check_formats(model: Path, names: Sequence[str], *, force: bool) -> list[str]:
    """Return ``names`` without repetitions, each known and possible beside the file ``model``.

    Raises:
        InputError: a format is unknown, or cannot be written.
    """
    for name in names:
        if name not in FORMATS:
            raise InputError(
                f"There is no format {name!r}.",
                hint=f"{suggest(name, FORMATS)} Formats: {', '.join(FORMATS)}.",
            )
        FORMATS[name].check(model, force=force)
    return list(dict.fromkeys(names))


@keras_defaults()
def export_model(
    model: str | Path,
    formats: Sequence[str],
    *,
    examples: np.ndarray | None = None,
    force: bool = False,
) -> list[dict[str, Any]]:
    """Write a model in other formats beside its ``.keras`` file, each verified before it counts.

    They take raw examples as the file itself does, in batches of any size.

    Args:
        model: a file that ``transfer`` wrote.
        formats: "onnx" (``model.onnx``), "savedmodel" (the folder ``model-savedmodel``), or both.
        examples: raw examples (N, ...) on which the outputs are compared, up to 64 of them; None draws
            random ones of the model's range.
        force: replace existing files and folders.

    Returns:
        One JSON object a format: "format", "path", "examples" ("n" that were compared, and "kind": given or
        random) and "difference", the greatest between the outputs.

    Raises:
        InputError: the model, a format or an output cannot be used, or a package is missing.
        HeadstartError: outputs differ by more than 1e-5; nothing was written then.

    Example:
        >>> export_model("model.keras", ["onnx"])[0]["path"]
        'model.onnx'
    """
    path = Path(model)
    info = ModelInfo.read(path)
    if info.table is not None:
        raise InputError(
            f"{path} takes the columns of a table by name, which other formats cannot have yet.",
            hint="Load it with keras.models.load_model.",
        )
    names = check_formats(path, formats, force=force)

    loaded = load_model(path)
    kind = "random" if examples is None else "given"
    compared = _random(info) if examples is None else examples[:MAX_COMPARED]
    compared = np.ascontiguousarray(compared, info.dtype)
    expected = predict_batched(loaded, compared)

    def write(row: Format) -> float:
        """Write a format, run it and return the greatest difference, before it counts."""
        beside, differences = row.beside(path), []
        atomic_write(
            beside,
            lambda temporary: row.write(loaded, temporary, info.to_json()),
            verify=lambda temporary: differences.append(
                difference(expected, row.run(temporary, compared), beside)
            ),
        )
        return differences[0]

    return [
        {
            "format": name,
            "path": str(FORMATS[name].beside(path)),
            "examples": {"n": len(compared), "kind": kind},
            "difference": write(FORMATS[name]),
        }
        for name in names
    ]


def _random(info: ModelInfo) -> np.ndarray:
    """Return examples drawn evenly from the model's range, after its two ends."""
    low, high = info.value_range
    x = np.random.default_rng(0).uniform(low, high, (MAX_COMPARED, *info.shape))
    x[0], x[1] = low, high
    return np.rint(x) if "int" in info.dtype else x
