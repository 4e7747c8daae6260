"""The data of a benchmark, named so that any process can load the very same."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from headstart.errors import InputError
from tasks.dataset import Dataset
from tasks.duplicates.exact import overlap
from tasks.duplicates.fingerprints import Fingerprints, comparable
from tasks.loading.resolve import load_dataset
from tasks.task import TargetTask
from transfer.data.leakage import NEAR_ALLOWED

OWN = "own"
"""How --pretrain-data spells "the training part of --data, without its labels"."""


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which labelled data and which pool, and how they are read.

    data, pool: as a user spells them; pool None is the task's own training part. ``data`` is None
        for data that were given in memory, which only their own process has.
    seed, test_part: of the split, where the data has no test part of its own.
    task_print, pool_print: fingerprints of what was found when the benchmark was planned.
    """

    data: str | None
    pool: str | None = None
    image_size: tuple[int, int] | None = None
    skip_unreadable: bool = False
    seed: int = 0
    test_part: float = 0.2
    task_print: str = ""
    pool_print: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Loaded:
    """A task and a pool without its test examples.

    left_out: how many examples of the pool were test examples; None if the two cannot be compared.
    """

    task: TargetTask
    pool: Dataset
    task_print: str
    left_out: int | None

    @classmethod
    def of(cls, task: TargetTask, pool: Dataset | None) -> Loaded:
        """Make the pool fit to learn from. Raises InputError when nothing is left of it."""
        clean, left_out = without_test_examples(task, pool or unlabelled(task))
        return cls(task=task, pool=clean, task_print=fingerprint(task), left_out=left_out)

    @property
    def notes(self) -> list[str]:
        """Say what was left out, if anything was."""
        if not self.left_out:
            return []
        one = self.left_out == 1
        return [
            f"{self.left_out:,} {'example' if one else 'examples'} of the pool "
            f"{'is a test example' if one else 'are test examples'} of {self.task.name} too and "
            f"{'was' if one else 'were'} left out of it."
        ]

    @property
    def leakage(self) -> str:
        """Say what was found when the pool was compared with the test examples."""
        said = f"Leakage: no test example of {self.task.name} was found in the pool, by comparing contents."
        if self.left_out is None:
            said = (
                f"Leakage: the test examples of {self.task.name} are not of the pool's shape, so equal ones "
                f"were not looked for."
            )
        elif self.left_out:
            said = self.notes[0]
        if self.near:
            test, are = len(self.task.x_test), "is" if self.near == 1 else "are"
            said += (
                f" Of its {test:,} test examples, {self.near:,} {are} nearly the same as an example that "
                f"stays in the pool (moved by a pixel, re-encoded, brightened)."
            )
        return said

    @property
    def warned(self) -> list[str]:
        """Warn of more near duplicates than ``transfer`` lets pass."""
        if not self.near or self.near <= NEAR_ALLOWED * len(self.task.x_test):
            return []
        may = "gain from having seen them"
        if self.pool.y is not None:
            may = "know the answers where it uses the pool's labels"
        return [
            f"Warning: {self.near:,} of the {len(self.task.x_test):,} test examples of {self.task.name} "
            f"have near duplicates in the pool {self.pool.name}, more than 1 %: pretraining may {may}. Take "
            f"them out of the pool before you rely on the gains."
        ]

    @cached_property
    def near(self) -> int | None:
        """How many test examples have a near duplicate in the pool; None when that cannot be told.

        See ``tasks.duplicates.fingerprints`` for what counts as near. Takes 2 s for 60,000 images, so it is
        found out when it is asked for.
        """
        if not comparable(self.pool.input_shape):
            return None
        _, near = Fingerprints.of(self.pool.x, self.pool.value_range).find(
            self.task.x_test, self.task.value_range
        )
        return None if near is None else int(near.sum())


def load(config: DataConfig) -> Loaded:
    """Load what the configuration names. Raises InputError, also when the data is no longer the same."""
    if config.data is None:
        raise InputError(
            "These data were given in memory, and only the process that has them can run their "
            "cells: use --workers 1, or save them as a .npz file and name that."
        )

    def read(spec: str) -> Dataset:
        return load_dataset(
            spec,
            image_size=config.image_size,
            skip_unreadable=config.skip_unreadable,
            seed=config.seed,
        )

    task = TargetTask.from_dataset(
        read(config.data), seed=config.seed, test_fraction=config.test_part
    )
    loaded = Loaded.of(task, None if config.pool is None else read(config.pool))
    for name, expected, found in (
        (config.data, config.task_print, loaded.task_print),
        (config.pool or config.data, config.pool_print, loaded.pool.fingerprint),
    ):
        if expected and found != expected:
            raise InputError(
                f"The data {name!r} are not those that the benchmark was planned with: they changed "
                f"meanwhile, or this machine has others. Start the benchmark again."
            )
    return loaded


class DataCache:
    """What this process has loaded; the least used goes first."""

    def __init__(self, most: int = 2) -> None:
        self._kept: OrderedDict[DataConfig, Loaded] = OrderedDict()
        self._most = most

    def put(self, config: DataConfig, loaded: Loaded) -> None:
        """Keep what was loaded already."""
        self._kept[config] = loaded
        self._kept.move_to_end(config)
        # What cannot be loaded again is never dropped.
        named = [key for key in self._kept if key.data is not None]
        for key in named[: -self._most]:
            del self._kept[key]

    def get(self, config: DataConfig) -> Loaded:
        """Return the data, loaded once."""
        if config not in self._kept:
            self.put(config, load(config))
        self._kept.move_to_end(config)
        return self._kept[config]


def unlabelled(task: TargetTask) -> Dataset:
    """Return the task's training part as a pool without labels."""
    return Dataset(
        name=f"{task.name} (training part, unlabelled)",
        x=task.x,
        y=None,
        x_test=None,
        y_test=None,
        class_names=None,
        value_range=task.value_range,
        source=task.source,
        kind=task.kind,
    )


def fingerprint(task: TargetTask) -> str:
    """Return the fingerprint of a task's four arrays and class names."""
    return Dataset(
        name=task.name,
        x=task.x,
        y=task.y,
        x_test=task.x_test,
        y_test=task.y_test,
        class_names=task.class_names,
        value_range=task.value_range,
        source=task.source,
    ).fingerprint


def without_test_examples(task: TargetTask, pool: Dataset) -> tuple[Dataset, int | None]:
    """Drop pool examples that are also test examples: pretraining must not see those.

    Returns the rest, and how many were dropped; None if they cannot be compared. Raises InputError when
    nothing is left.
    """
    if pool.input_shape != task.input_shape:
        return pool, None
    found = np.unique(overlap(task.x_test, pool.x))
    if not len(found):
        return pool, 0
    keep = np.setdiff1d(np.arange(len(pool.x)), found)
    if not len(keep):
        raise InputError(
            f"Every example of the pool {pool.name!r} is a test example of {task.name!r}: "
            f"pretraining on them would be cheating. Give another --pretrain-data."
        )
    y = None if pool.y is None else pool.y[keep]
    return replace(pool, x=pool.x[keep], y=y), len(found)


def fixed(config: DataConfig, loaded: Loaded) -> DataConfig:
    """Return the configuration with the fingerprints of what was found."""
    return replace(config, task_print=loaded.task_print, pool_print=loaded.pool.fingerprint)
