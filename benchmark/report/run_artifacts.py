"""Pictures and signs of collapse that a benchmark's pretraining runs left beside their weights."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmark.store import BenchmarkFolder

SIGNATURE = b"\x89PNG\r\n\x1a\n"
NUMBERED = re.compile(r"^(?P<what>.+)-(?P<number>\d{3,})$")
SMALL = 200
MAX_BYTES = 400_000
MAX_BYTES_TOGETHER = 2_000_000


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One picture of a run: which row's and seed's, what it shows, after which epoch (None: of all).

    encoder: its architecture; "" where all runs have the same.
    """

    row: str
    encoder: str
    seed: int
    what: str
    epoch: int | None
    path: Path
    data: bytes = b""

    @property
    def small(self) -> bool:
        """Whether it is so few pixels across that it is shown enlarged."""
        return int.from_bytes(self.data[16:20], "big") < SMALL

    @property
    def caption(self) -> str:
        """Return "gan, seed 0: samples after epoch 5"."""
        after = "" if self.epoch is None else f" after epoch {self.epoch}"
        encoder = f" ({self.encoder})" if self.encoder else ""
        return f"{self.row}{encoder}, seed {self.seed}: {self.what}{after}"


def pictures(folder: BenchmarkFolder, rows: Sequence[str]) -> tuple[list[Picture], list[str]]:
    """Return each row's pictures, of its first seed, the last of each series.

    Returns those that fit into a report, with their bytes, and the captions of the others.
    """
    found: dict[tuple[str, str, str], Picture] = {}
    for run, rest, path in folder.run_files(".png"):
        if not rest or run["strategy"] not in rows:
            continue
        numbered = NUMBERED.match(rest)
        picture = Picture(
            row=run["strategy"],
            encoder=run["encoder"],
            seed=int(run["seed"]),
            what=(numbered["what"] if numbered else rest).replace("-", " ").replace(".", " "),
            epoch=int(numbered["number"]) if numbered else None,
            path=path,
        )
        key = (picture.row, picture.encoder, picture.what)
        last = found.get(key)
        if last is None or (-picture.seed, picture.epoch or 0) > (-last.seed, last.epoch or 0):
            found[key] = picture
    several = len({picture.encoder for picture in found.values()}) > 1
    kept, left, total = [], [], 0
    order = sorted(
        found.values(), key=lambda p: (rows.index(p.row), p.encoder, p.what != "curves", p.what)
    )
    for picture in order:
        picture = picture if several else replace(picture, encoder="")
        try:
            small = picture.path.stat().st_size <= MAX_BYTES
            data = picture.path.read_bytes() if small else b""
        except OSError:
            data = b""
        if data.startswith(SIGNATURE) and total + len(data) <= MAX_BYTES_TOGETHER:
            total += len(data)
            kept.append(replace(picture, data=data))
        else:
            left.append(f"{picture.caption} ({picture.path.name})")
    return kept, left


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How far a row's features still vary at the end of pretraining: the lowest of its seeds.

    spread: ``feature_std``, 0 to 1; before: the same after the first epoch. rank: ``feature_rank``.
    """

    row: str
    seeds: int
    before: float
    spread: float
    rank: float


def spreads(folder: BenchmarkFolder, rows: Sequence[str]) -> list[Spread]:
    """Return the rows' spreads from the tables of epochs beside the weights; unreadable ones are left out."""
    runs: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    for run, rest, path in folder.run_files(".csv"):
        # Earlier versions wrote the table without "epochs" in its name.
        if rest not in ("", "epochs") or run["strategy"] not in rows:
            continue
        try:
            with path.open(encoding="utf-8", newline="") as file:
                epochs = [
                    (float(row["feature_std"]), float(row["feature_rank"]))
                    for row in csv.DictReader(file)
                    if row.get("feature_std") and row.get("feature_rank")
                ]
        except (OSError, ValueError, csv.Error):
            continue
        if epochs and all(map(math.isfinite, epochs[-1])):
            ends = runs.setdefault((run["strategy"], run["encoder"]), [])
            ends.append((epochs[0][0], *epochs[-1]))
    several = len({encoder for _, encoder in runs}) > 1
    found = []
    for row, encoder in sorted(runs, key=lambda key: (rows.index(key[0]), key[1])):
        seeds = runs[row, encoder]
        before, spread, rank = min(seeds, key=lambda run: run[1])
        name = f"{row} ({encoder})" if several else row
        found.append(Spread(row=name, seeds=len(seeds), before=before, spread=spread, rank=rank))
    return found
