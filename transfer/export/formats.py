"""Other formats of a trained model: what can be written beside a ``.keras`` file, and how."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from headstart.errors import InputError, suggest
from headstart.files import check_folder, check_output
from transfer.export.keras_file import load_model, read_about
from transfer.export.onnx import write_onnx
from transfer.export.savedmodel import is_savedmodel, write_savedmodel

TRIED = 64
"""Raw examples on which a written file is compared with the model."""


@dataclass(frozen=True, kw_only=True)
class Format:
    """One row of the table.

    ending: what takes the place of ".keras" in the model's name.
    needs: packages that must be there; they come with the extra ``extra``.
    write: (model, path, about, examples, expected) -> the greatest difference of outputs.
    """

    title: str
    ending: str
    write: Callable[..., float]
    folder: bool = False
    needs: tuple[str, ...] = ()
    extra: str = ""

    def beside(self, model: Path) -> Path:
        """Return where the format goes: beside the ``.keras`` file ``model``."""
        return model.with_name(model.stem + self.ending)

    def check(self, model: Path, *, force: bool) -> None:
        """Check, before any work, that it can be written. Raises InputError."""
        lacking = [name for name in self.needs if find_spec(name) is None]
        if lacking:
            raise InputError(
                f"Writing {self.title} takes {', '.join(lacking)}, which this environment does not "
                f"have: pip install 'headstart[{self.extra}]'"
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
        needs=("tf2onnx", "onnx", "onnxruntime"),
        extra="onnx",
    ),
    "savedmodel": Format(
        title="a SavedModel", ending="-savedmodel", write=write_savedmodel, folder=True
    ),
}


def check_formats(model: Path, names: Sequence[str], *, force: bool) -> list[str]:
    """Return ``names`` without repetitions, each known and possible. Raises InputError."""
    for name in names:
        if name not in FORMATS:
            raise InputError(
                f"There is no format {name!r}.{suggest(name, FORMATS)} There are: {', '.join(FORMATS)}."
            )
        FORMATS[name].check(model, force=force)
    return list(dict.fromkeys(names))


def export_model(
    model: str | Path,
    formats: Sequence[str],
    *,
    examples: np.ndarray | None = None,
    force: bool = False,
) -> list[dict[str, Any]]:
    """Write the ``.keras`` file ``model`` in other formats beside it, each verified before it counts.

    What is written takes raw examples as the file itself does, in batches of any size.

    Args:
        model: a file that ``transfer`` wrote.
        formats: "onnx" (``model.onnx``), "savedmodel" (the folder ``model-savedmodel``), or both.
        examples: raw examples (N, ...) on which the outputs are compared, up to 64 of them; without
            any, random ones of the model's range.
        force: replace what is there.

    Returns:
        One JSON object a format: format, path, examples (how many were compared, and which kind) and
        difference, the greatest between the outputs.

    Raises:
        InputError: the model, a format or an output cannot be used, or a package is not there.
        HeadstartError: outputs differ by more than 1e-5; nothing was written then.
    """
    path = Path(model)
    about = read_about(path)
    names = check_formats(path, formats, force=force)

    from transfer.inference import predict_batched

    loaded = load_model(path)
    kind = "random" if examples is None else "given"
    tried = _random(about) if examples is None else examples[:TRIED]
    tried = np.ascontiguousarray(tried, about["input"]["dtype"])
    expected = predict_batched(loaded, tried)
    written = []
    for name in names:
        row = FORMATS[name]
        off = row.write(loaded, row.beside(path), about, tried, expected)
        written.append(
            {
                "format": name,
                "path": str(row.beside(path)),
                "examples": {"n": len(tried), "kind": kind},
                "difference": off,
            }
        )
    return written


def _random(about: dict[str, Any]) -> np.ndarray:
    """Return examples drawn evenly from the model's range, after its two ends."""
    low, high = about["input"]["value_range"]
    shape = (TRIED, *about["input"]["shape"])
    x = np.random.default_rng(0).uniform(low, high, shape)
    x[0], x[1] = low, high
    return np.rint(x) if "int" in about["input"]["dtype"] else x
