"""Checkpoints: everything that a run needs to go on at any step, in one file written atomically."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headstart.errors import InputError, arg
from headstart.files import atomic_write, write_text

KEPT = 2
SECONDS = 5.0
PLACE = ("stage", "epoch", "step")


def checkpoint_folder(output: Path) -> Path:
    """Return where the checkpoints of the run that writes ``output`` lie."""
    return output.with_name(output.name + ".checkpoints")


def identity_of(config: Mapping[str, Any]) -> str:
    """Return the sha256 (hex) of a run's configuration: the same for runs that must give the same bits."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Best:
    """A stage's best epoch so far: its number, its score, and its variables' values."""

    epoch: int
    score: float
    variables: Sequence[np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A run's whole state between two steps.

    There is no random state to save: the order of examples and every random number are pure functions
    of (seed, stage, epoch, step).

    Attributes:
        stage, epoch, step: the stage's index, the epoch's, and the steps of it that are done.
        variables: values of the stage's variables, in order of declaration.
        slots: values of its optimizers' variables.
        sums: float32, the epoch's metrics so far.
        finished: for each earlier stage, the values of its variables when it ended.
        history: one row an epoch that is over.
        best: the stage's best epoch so far, or None.
    """

    stage: int
    epoch: int
    step: int
    variables: Sequence[np.ndarray]
    slots: Sequence[np.ndarray]
    sums: np.ndarray
    finished: Sequence[Sequence[np.ndarray]]
    history: Sequence[Mapping[str, Any]]
    best: Best | None = None


class Checkpoints:
    """The checkpoints of one run, the last two kept, in a folder beside its output."""

    def __init__(self, folder: Path, config: Mapping[str, Any], seconds: float = SECONDS) -> None:
        """``config`` is all that decides the run's bits, as JSON: a checkpoint of another is refused.

        seconds: a run saves about so often.
        """
        self.folder, self.seconds = folder, seconds
        self._began = (time.monotonic(), time.process_time())
        self.before = (0.0, 0.0)  # see spent
        self.config = json.loads(json.dumps(config))

    @property
    def identity(self) -> str:
        """The configuration's ``identity_of``."""
        return identity_of(self.config)

    @classmethod
    def beside(
        cls, output: Path, config: Mapping[str, Any], seconds: float = SECONDS
    ) -> Checkpoints:
        """Return the checkpoints of the run that writes ``output``."""
        return cls(checkpoint_folder(output), config, seconds)

    def check(self, *, force: bool, resume: bool) -> None:
        """Refuse checkpoints of an interrupted run that cannot be resumed, or for which nothing was chosen.

        Raises:
            InputError: ``resume`` and they are another run's; or they lie here and neither is True.
        """
        if resume:
            self._newest(whole=False)
        elif self.files() and not force:
            raise InputError(
                f"An interrupted run lies in {self.folder}.",
                hint=f"Repeat it with {arg.resume:True} to go on, or with {arg.force:True} to start anew.",
            )

    def files(self) -> list[Path]:
        """Return the checkpoint files, newest first."""
        return sorted(self.folder.glob("checkpoint-*.npz"), reverse=True)

    def spent(self) -> tuple[float, float]:
        """Return the seconds of the clock and of the processor that the run has taken up to now.

        Those before an interruption count up to the checkpoint that ``load`` found: ``before``.
        """
        clock, processor = self.before
        began, began_processor = self._began
        return clock + time.monotonic() - began, processor + time.process_time() - began_processor

    def save(self, checkpoint: Checkpoint) -> Path:
        """Write ``checkpoint`` and drop all but the last two. Raises OSError (a full disk)."""
        arrays: dict[str, np.ndarray] = {"sums": np.asarray(checkpoint.sums, np.float32)}
        groups = {"variable": checkpoint.variables, "slot": checkpoint.slots}
        groups |= {f"finished{i}": values for i, values in enumerate(checkpoint.finished)}
        best = checkpoint.best
        if best is not None:
            groups["best"] = best.variables
        for group, values in groups.items():
            arrays |= {f"{group}/{i}": np.asarray(value) for i, value in enumerate(values)}
        about = {
            "config": self.config,
            **{name: getattr(checkpoint, name) for name in PLACE},
            "counts": {group: len(values) for group, values in groups.items()},
            "history": list(checkpoint.history),
            "spent": self.spent(),
            "best": best and {"epoch": best.epoch, "score": best.score},
        }
        arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
        self.folder.mkdir(parents=True, exist_ok=True)
        at = f"{checkpoint.stage:03d}-{checkpoint.epoch:06d}-{checkpoint.step:08d}"
        path = self.folder / f"checkpoint-{at}.npz"

        def write(temporary: Path) -> None:
            with temporary.open("wb") as file:
                np.savez(file, allow_pickle=False, **arrays)

        atomic_write(path, write)
        for old in self.files()[KEPT:]:
            old.unlink(missing_ok=True)
        return path

    def load(self) -> Checkpoint | None:
        """Return the newest checkpoint that is whole, or None when there is none.

        Raises InputError when it belongs to a run with another configuration or other data.
        """
        found = self._newest(whole=True)
        if found is None:
            return None
        about, arrays = found
        clock, processor = about.get("spent", (0.0, 0.0))
        self.before = (clock, processor)
        sizes = about["counts"].items()
        groups = {group: [arrays[f"{group}/{i}"] for i in range(n)] for group, n in sizes}
        values, best = groups.pop("best", []), about["best"]
        return Checkpoint(
            **{name: about[name] for name in PLACE},
            variables=groups.pop("variable"),
            slots=groups.pop("slot"),
            sums=arrays["sums"],
            finished=[groups[f"finished{i}"] for i in range(len(groups))],
            history=about["history"],
            best=best and Best(**best, variables=values),
        )

    def _newest(self, *, whole: bool) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
        """Return the description of the newest sound checkpoint, and when ``whole`` its arrays."""
        for path in self.files():
            try:
                with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                    names = archive.files if whole else ["about"]
                    arrays = {name: archive[name] for name in names}
                about = json.loads(arrays["about"].tobytes())
                config = about["config"]
            except Exception:  # Damage has many names; the one before is kept for exactly this.
                continue
            self._check(config, path)
            return about, arrays
        return None

    def write_note(self, name: str, note: Mapping[str, Any]) -> None:
        """Keep what the run decided before its training, as JSON, beside the checkpoints."""
        self.folder.mkdir(parents=True, exist_ok=True)
        whole = {"config": self.config, "note": note}
        write_text(self.folder / f"{name}.json", json.dumps(whole))

    def read_note(self, name: str) -> dict[str, Any] | None:
        """Return such a note of this very run, or None. Raises InputError when it is another run's."""
        path = self.folder / f"{name}.json"
        try:
            whole = json.loads(path.read_text(encoding="utf-8"))
            config, note = whole["config"], dict(whole["note"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        self._check(config, path)
        return note

    def clear(self) -> None:
        """Remove the folder: the run is over, or is started anew."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _check(self, config: Mapping[str, Any], path: Path) -> None:
        pairs = [(n, config.get(n), self.config.get(n)) for n in sorted({*config, *self.config})]
        differing = [f"{n} was {old!r} and is now {new!r}" for n, old, new in pairs if old != new]
        if differing:
            raise InputError(
                f"The checkpoint {path} belongs to another run: {'; '.join(differing)}.",
                hint=f"Repeat that run's options to resume it, or give {arg.force:True} to start anew.",
            )
