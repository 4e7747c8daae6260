"""The files of a transfer: the ``.keras`` model, its result and card; other formats and figures on demand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.errors import HeadstartError, InputError, arg
from headstart.files import check_output, write_bytes, write_text
from pretrain.engine.checkpoint import checkpoint_folder
from pretrain.engine.runtime import keras_defaults
from tasks.task import TargetTask
from transfer.export.formats import FORMATS, check_formats, export_model
from transfer.report.figures import (
    Predictions,
    check_pictures,
    folder_of,
    learning_rate_curve,
    write_pictures,
)
from transfer.report.model_card import card

if TYPE_CHECKING:
    from pretrain.engine.session import Session
    from transfer.config import TransferConfig

CARD_SENTINEL = b"by Headstart's `transfer`"
"""Part of every card: replacing outputs must not cost someone a page of their own, such as README.md."""


@dataclass(frozen=True, kw_only=True)
class Artifacts:
    """The ``.keras`` file ``model`` and the files beside it: ``model.json``, ``model.md`` and others.

    Attributes:
        model: the ``.keras`` file.
        formats: other formats of the model, names in transfer.export.formats.FORMATS.
        figures: whether to draw them.
        map: of features, in the figures: "pca" or "umap".
        finder: whether the curve of the search for a learning rate is drawn.
        seed: of the map.
    """

    model: Path
    formats: Sequence[str] = ()
    figures: bool = False
    map: str = "pca"
    finder: bool = False
    seed: int = 0

    @classmethod
    def of(cls, model: Path, config: TransferConfig, session: Session) -> Artifacts:
        """Return the files that a configuration asks for, checked. Raises InputError."""
        made = cls(
            model=model,
            formats=tuple(dict.fromkeys(config.export)),
            figures=config.figures,
            map=config.map,
            finder=config.learning_rate == "find",
            seed=config.seed,
        )
        # Only a run that began here may find files of its own.
        begun = model.exists() or checkpoint_folder(model).exists()
        made.check(force=session.force or (session.resume and begun))
        return made

    @property
    def result(self) -> Path:
        """The JSON that is the source of all the rest."""
        return self.model.with_suffix(".json")

    @property
    def card(self) -> Path:
        """The page of Markdown."""
        return self.model.with_suffix(".md")

    @property
    def curve(self) -> Path:
        """The figure of the search for a learning rate."""
        return self.model.with_name(f"{self.model.stem}-learning-rate.png")

    def check(self, *, force: bool) -> None:
        """Check, before any work, that everything can be made and written.

        Raises:
            InputError: a path is taken or of the wrong kind, a package is missing, or a format is unknown.
        """
        if self.model.suffix != ".keras":
            raise InputError(
                "must end in .keras, or Keras will not load it", argument="out", value=self.model
            )
        for path in (self.model, self.result, self.card, *([self.curve] if self.finder else [])):
            check_output(path, force=force)
        if force and self.card.is_file() and CARD_SENTINEL not in self.card.read_bytes():
            raise InputError(
                f"{self.card} is not the card of a model, and is not replaced.",
                hint=f"Move it away, or give another {arg.out}.",
            )
        check_formats(self.model, self.formats, force=force)
        if self.figures:
            check_pictures(self.model, self.map, force=force)

    def describe(self) -> list[str]:
        """Return warnings about files of an earlier model that stay, and could be taken for this one's."""
        paths = [
            row.beside(self.model) for name, row in FORMATS.items() if name not in self.formats
        ]
        paths += [] if self.figures else [folder_of(self.model)]
        return [
            f"Warning: {path} lies here already; it is another model's, and stays as it is"
            for path in paths
            if path.exists()
        ]

    def write_result(self, result: dict[str, Any]) -> None:
        """Write the result, and the curve of a learning rate that was looked for."""
        if "learning_rate" in result:
            write_bytes(self.curve, learning_rate_curve(result["learning_rate"]))
        write_text(self.result, json.dumps(result, indent=1) + "\n")

    @keras_defaults()
    def write(self, result: dict[str, Any], task: TargetTask) -> dict[str, Any]:
        """Write formats, figures, result and card; return ``result`` with the names of the files.

        Formats that the result names and that exist are not written again. The model is written already;
        whatever fails here, it and its result and card are whole.

        Raises:
            HeadstartError: a format or a figure cannot be written.
        """
        result = dict(result)
        try:
            self._export(result, task)
            self._draw(result, task)
        except HeadstartError as error:
            whole = f"The model itself is whole: {self.model}."
            error.marked_hint = f"{error.marked_hint} {whole}".strip()
            raise
        finally:
            write_text(self.result, json.dumps(result, indent=1) + "\n")
            write_text(self.card, card(result, self.model.name))
        return result

    def _export(self, result: dict[str, Any], task: TargetTask) -> None:
        kept = [
            row for row in result.get("exports", ()) if self.model.with_name(row["file"]).exists()
        ]
        missing = [name for name in self.formats if name not in {row["format"] for row in kept}]
        if missing:
            made = export_model(self.model, missing, examples=task.x_test, force=True)
            kept += [
                {"format": row.pop("format"), "file": Path(row.pop("path")).name, **row}
                for row in made
            ]
        if kept:
            result["exports"] = kept

    def _draw(self, result: dict[str, Any], task: TargetTask) -> None:
        if not self.figures:
            return
        from transfer.export.keras_file import load_model

        seen, history = Predictions.of(load_model(self.model), task.x_test), result["history"]
        made = write_pictures(self.model, task, seen, history, kind=self.map, seed=self.seed)
        folder = folder_of(self.model).name
        result["pictures"] = [f"{folder}/{Path(path).name}" for path in made]
