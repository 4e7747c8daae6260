"""What lies beside a ``.keras`` model: its card always; other formats and pictures when asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.errors import HeadstartError, InputError
from headstart.files import check_output, write_text
from pretrain.engine.runtime import keras_defaults
from tasks.task import TargetTask
from transfer.export.formats import FORMATS, check_formats, export_model
from transfer.report.figures import Predictions, check_pictures, folder_of, write_pictures
from transfer.report.model_card import card

MARK = b"by Headstart's `transfer`"
"""What every card says: ``--force`` must not cost someone a page of their own, such as README.md."""


@dataclass(frozen=True, kw_only=True)
class Artifacts:
    """The files beside ``model``: ``model.json``, ``model.md`` and what was asked for.

    formats: names of the table of formats. pictures: whether to draw them; map: "pca" or "umap".
    """

    model: Path
    formats: Sequence[str] = ()
    pictures: bool = False
    map: str = "pca"

    @property
    def result(self) -> Path:
        """The JSON that is the source of all the rest."""
        return self.model.with_suffix(".json")

    @property
    def card(self) -> Path:
        """The page of Markdown."""
        return self.model.with_suffix(".md")

    def check(self, *, force: bool) -> None:
        """Check, before any work, that everything can be made and written. Raises InputError."""
        for path in (self.result, self.card):
            check_output(path, force=force)
        if force and self.card.is_file() and MARK not in self.card.read_bytes():
            raise InputError(
                f"{self.card} is not the card of a model, and is not replaced. Move it away, or give "
                f"another --out."
            )
        check_formats(self.model, self.formats, force=force)
        if self.pictures:
            check_pictures(self.model, self.map, force=force)
        elif self.map != "pca":
            raise InputError(f"--map {self.map} is about --pictures, which was not given.")

    def warn(self, say: Callable[[str], None]) -> None:
        """Say which files of an earlier model will stay, for they are taken for this one's."""
        paths = [
            row.beside(self.model) for name, row in FORMATS.items() if name not in self.formats
        ]
        paths += [] if self.pictures else [folder_of(self.model)]
        for path in paths:
            if path.exists():
                say(f"Warning: {path} lies here already; it is another model's, and stays as it is")

    @keras_defaults()
    def write(self, result: dict[str, Any], task: TargetTask, seed: int) -> dict[str, Any]:
        """Write what was asked for; return ``result`` with what there is.

        Formats that the result says were written, and that are there, are not written again.

        The model is written already. Whatever fails here, it and its result and card are whole.
        Raises HeadstartError when a format or a picture cannot be written.
        """
        result = dict(result)
        try:
            self._export(result, task)
            self._draw(result, task, seed)
        except HeadstartError as error:
            raise type(error)(f"{error} The model itself is whole: {self.model}.") from None
        finally:
            write_text(self.result, json.dumps(result, indent=1) + "\n")
            write_text(self.card, card(result, self.model.name))
        return result

    def _export(self, result: dict[str, Any], task: TargetTask) -> None:
        kept = [row for row in result.get("exports", ()) if self._named(row["file"]).exists()]
        missing = [name for name in self.formats if name not in {row["format"] for row in kept}]
        if missing:
            made = export_model(self.model, missing, examples=task.x_test, force=True)
            kept += [
                {"format": row.pop("format"), "file": Path(row.pop("path")).name, **row}
                for row in made
            ]
        if kept:
            result["exports"] = kept

    def _draw(self, result: dict[str, Any], task: TargetTask, seed: int) -> None:
        if not self.pictures:
            return
        from transfer.export.keras_file import load_model

        seen = Predictions.of(load_model(self.model), task.x_test)
        made = write_pictures(self.model, task, seen, result["history"], kind=self.map, seed=seed)
        folder = folder_of(self.model).name
        result["pictures"] = [f"{folder}/{Path(path).name}" for path in made]

    def _named(self, name: str) -> Path:
        return self.model.parent / name
