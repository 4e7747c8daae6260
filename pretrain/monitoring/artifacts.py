"""Files beside a run's weights: its epochs as a table and as curves, and pictures.

For ``weights.h5`` these are ``weights.epochs.csv``, ``weights.curves.png`` and, of stages that show some,
pictures such as ``weights.samples-010.png``.
"""

from __future__ import annotations

import csv
import glob
import io
import logging
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headstart.errors import HeadstartError
from headstart.files import check_output, write_bytes, write_text

ABOUT = ("stage", "epoch")
COLUMNS = 3
MAX_PANELS = 24


@dataclass(frozen=True, kw_only=True)
class Companions:
    """The files beside one weights file."""

    out: Path

    @property
    def table(self) -> Path:
        """The table, a row an epoch."""
        return self._named(".epochs.csv")

    @property
    def curves(self) -> Path:
        """The curves of all metrics."""
        return self._named(".curves.png")

    def picture(self, name: str, row: Mapping[str, Any], strategy: str) -> Path:
        """A picture of a stage after an epoch; the stage is named where the strategy has several."""
        title = name if row["stage"] == strategy else f"{name}-{row['stage']}"
        slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
        return self._named(f".{slug}-{row['epoch']:03d}.png")

    def pictures(self) -> list[Path]:
        """Return the pictures that lie beside the weights now, of this run or an earlier one."""
        return self._pictures(self.out.parent)

    def _pictures(self, folder: Path) -> list[Path]:
        stem = glob.escape(self._named("").name)
        return sorted(folder.glob(f"{stem}.*-[0-9][0-9][0-9]*.png"))

    def show(
        self,
        name: str,
        row: Mapping[str, Any],
        picture: np.ndarray,
        *,
        strategy: str,
        say: Callable[[str], None],
    ) -> None:
        """Keep a picture (H, W) or (H, W, 3) among the checkpoints until the weights are written.

        A full disk is told by ``say``, and does not end the run.
        """
        self._kept.mkdir(parents=True, exist_ok=True)
        try:
            write_picture(self._kept / self.picture(name, row, strategy).name, picture)
        except HeadstartError as error:
            say(f"Warning: {error}")

    def written(self) -> list[Path]:
        """Return the files that a run writes or replaces."""
        return [self.table, self.curves, *self.pictures()]

    def check(self, *, force: bool) -> None:
        """Check that all of them can be written, as the weights are. Raises InputError."""
        for path in self.written():
            check_output(path, force=force)

    @property
    def _kept(self) -> Path:
        return self.out.with_name(self.out.name + ".checkpoints")

    def _named(self, suffix: str) -> Path:
        # Only an ending that says "weights" is cut off: "run.1" and "data.csv" keep theirs.
        stem = self.out.stem if self.out.suffix.lower() in (".h5", ".hdf5") else self.out.name
        return self.out.with_name(stem + suffix)

    def write(
        self,
        history: Sequence[Mapping[str, Any]],
        kept: Sequence[Mapping[str, Any]],
        say: Callable[[str], None],
    ) -> list[Path]:
        """Write table and curves, put the pictures in place, and return the files that were written.

        The weights are written already: a full disk is told by ``say``, and raises nothing.

        Args:
            history: a row an epoch.
            kept: the rows of the epochs that were kept, marked in the curves.
            say: called with a warning.
        """
        written: list[Path] = []
        try:
            write_text(self.table, table(history))
            written.append(self.table)
            write_bytes(self.curves, draw(history, kept))
            written.append(self.curves)
            for old in self.pictures():  # of the weights that were replaced
                old.unlink()
            for new in self._pictures(self._kept):
                written.append(new.replace(self.out.with_name(new.name)))
        except (HeadstartError, OSError) as error:
            say(f"Warning: {error}")
        return written


def metrics(history: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of all metrics, in order of appearance."""
    names = dict.fromkeys(name for row in history for name in row)
    return [name for name in names if name not in ABOUT]


def table(history: Sequence[Mapping[str, Any]]) -> str:
    """Return the epochs as CSV: stage, epoch, every metric; blank where an epoch has none."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [*ABOUT, *metrics(history)], restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    return text.getvalue()


def panels(names: Sequence[str]) -> dict[str, list[str]]:
    """Return which metrics share a panel: training and validation, and the two probes."""
    found: dict[str, list[str]] = {}
    for name in names:
        title = "probe" if name.startswith("probe_") else name.removeprefix("val_")
        found.setdefault(title, []).append(name)
    return dict(list(found.items())[:MAX_PANELS])


def draw(history: Sequence[Mapping[str, Any]], kept: Sequence[Mapping[str, Any]] = ()) -> bytes:
    """Return the curves as a PNG file.

    The epochs of all stages run from left to right, with a line between two stages and a dotted one at
    each epoch that was kept.
    """
    # Its first import in an account says that it builds a cache of fonts: no news of this run.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    groups = panels(metrics(history))
    columns = min(COLUMNS, max(1, len(groups)))
    rows = max(1, math.ceil(len(groups) / columns))
    figure = Figure(figsize=(4 * columns, 2.6 * rows), dpi=100)
    canvas = FigureCanvasAgg(figure)
    between = [i + 0.5 for i in range(1, len(history)) if history[i]["epoch"] == 1]
    best = [i for i, row in enumerate(history, start=1) if row in kept]
    for place, (title, names) in enumerate(groups.items(), start=1):
        axes = figure.add_subplot(rows, columns, place)
        for name in names:
            points = [(i, row[name]) for i, row in enumerate(history, start=1) if name in row]
            label = "validation" if name.startswith("val_") else "training"
            label = name.removeprefix("probe_") if title == "probe" else label
            marker = "." if len(points) < 40 else ""
            axes.plot(*zip(*points, strict=True), label=label, marker=marker)
        for places, color, style in ((between, "0.8", "-"), (best, "0.4", ":")):
            for x in places:
                axes.axvline(x, color=color, linewidth=1, linestyle=style)
        axes.set_title(title, fontsize=10)
        axes.tick_params(labelsize=8)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
        if len(names) > 1:
            axes.legend(fontsize=8)
        if place > len(groups) - columns:
            axes.set_xlabel("epoch", fontsize=8)
    figure.tight_layout()
    file = io.BytesIO()
    # Without the program's version, which would make the same run's curves differ.
    canvas.print_png(file, metadata={"Software": None})
    return file.getvalue()


def write_picture(path: Path, picture: np.ndarray) -> None:
    """Write a uint8 picture (H, W) or (H, W, 3) as PNG. Raises HeadstartError on a full disk."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(file, format="PNG")
    write_bytes(path, file.getvalue())
