"""The data of a benchmark: a task, a pool without its test examples, and how any process gets the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.config import OWN, ReadingConfig
from benchmark.store import read_data, write_data
from headstart.errors import InputError, arg
from tasks.dataset import Dataset
from tasks.duplicates.exact import overlap
from tasks.duplicates.fingerprints import Fingerprints, comparable
from tasks.loading.resolve import load_dataset
from tasks.loading.tables import TableReading
from tasks.targets import KINDS
from tasks.task import TargetTask
from transfer.data.leakage import NEAR_ALLOWED


@dataclass(frozen=True, kw_only=True)
class DataConfig(ReadingConfig):
    """The names of labelled data and a pool, and how they are read.

    Attributes:
        data, pool: as a user spells them; pool None is the task's own training part. ``data`` is None for
            data that were given as arrays, which other processes read from ``file``.
        seed: of the test part, where it is split off.
        file: what store.write_data wrote, or will have written; None: no other process needs the data.
        task_print, pool_print: fingerprints of the data that the benchmark was planned with.
    """

    data: str | None = None
    pool: str | None = None
    seed: int = 0
    file: Path | None = None
    task_print: str = ""
    pool_print: str = ""

    def read(self, name: str, pool: Dataset | None = None) -> Dataset:
        """Read labelled data; a table by the columns of its pool."""
        return self._read(name, like=None if pool is None else pool.schema, needs_target=True)

    def read_pool(self, name: str) -> Dataset:
        """Read a pool; of a table all rows, labelled or not."""
        return self._read(name, rows="all")

    def _read(self, name: str, **how: Any) -> Dataset:
        return load_dataset(
            name,
            image_size=self.image_size,
            skip_unreadable=self.skip_unreadable,
            seed=self.seed,
            table=TableReading.of(self, **how),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class BenchmarkData:
    """A task and a pool without its test examples.

    Attributes:
        task: the labelled data.
        pool: the examples to pretrain on.
        config: how another process gets the same.
        left_out: the number of test examples that were in the pool; None if the two cannot be compared.
    """

    task: TargetTask
    pool: Dataset
    config: DataConfig
    left_out: int | None

    @classmethod
    def of(
        cls,
        data: str | Dataset | TargetTask,
        pool: str | Dataset | None = None,
        config: DataConfig | None = None,
    ) -> BenchmarkData:
        """Read the data that are names, and take the test examples out of the pool.

        Args:
            data: a name or path, labelled data, or a task with its test part.
            pool: the examples to pretrain on, as a name, path or data set; None takes the task's own training
                part without its labels.
            config: how names are read, and how a test part is split off.

        Raises:
            InputError: the data cannot be read, are not classes, or nothing is left of the pool.
        """
        config = config or DataConfig()
        named = isinstance(data, str) and (pool is None or isinstance(pool, str))
        own = data if isinstance(data, str) and pool is None else None
        if isinstance(pool, str):
            config = replace(config, pool=pool if named else None)
            pool = config.read_pool(pool)
        if isinstance(data, str):
            config = replace(config, data=data if named else None)
            data = config.read(data, pool)
        if own is not None and isinstance(data, Dataset) and data.schema is not None:
            # The rows without a target, if there are any, are the pool, and the labelled ones too.
            every = config.read_pool(own)
            pool = every if len(every.x) > len(data.x) else None
        if isinstance(data, Dataset):
            data = TargetTask.from_dataset(data, seed=config.seed, test_fraction=config.test_part)
        if data.target != "classes":
            raise InputError(
                f"A benchmark compares classifiers only, and y of {data.name!r} is {KINDS[data.target]}.",
                hint="A transfer learns and measures it, one strategy at a time.",
            )
        clean, left_out = _without_test_examples(data, pool or _unlabelled(data))
        config = replace(config, task_print=_whole(data).fingerprint, pool_print=clean.fingerprint)
        return cls(task=data, pool=clean, config=config, left_out=left_out)

    def handed_over(self, file: Path) -> BenchmarkData:
        """Return the same data, which other processes read from ``file`` where they have no names."""
        return self if self.config.data else replace(self, config=replace(self.config, file=file))

    def hand_over(self) -> None:
        """Write the file for other processes, if they need one."""
        if self.config.file is not None and not self.config.file.exists():
            write_data(self.config.file, self.task, self.pool)

    @property
    def notes(self) -> list[str]:
        """Say what was left out, if anything was."""
        if not self.left_out:
            return []
        examples, are, were = ("examples", "are test examples", "were")
        if self.left_out == 1:
            examples, are, were = ("example", "is a test example", "was")
        return [
            f"{self.left_out:,} {examples} of the pool {are} of {self.task.name} too and {were} left "
            f"out of it."
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
        if self.left_out:
            (said,) = self.notes
        if self.near:
            are = "is" if self.near == 1 else "are"
            said += (
                f" Of its {len(self.task.x_test):,} test examples, {self.near:,} {are} nearly the same as an "
                f"example that stays in the pool (moved by a pixel, re-encoded, brightened)."
            )
        return said

    @property
    def warned(self) -> list[str]:
        """Warn of more near duplicates than ``transfer`` lets pass."""
        count = len(self.task.x_test)
        if not self.near or self.near <= NEAR_ALLOWED * count:
            return []
        may = "gain from having seen them"
        if self.pool.y is not None:
            may = "know the answers where it uses the pool's labels"
        return [
            f"Warning: {self.near:,} of the {count:,} test examples of {self.task.name} have near duplicates "
            f"in the pool {self.pool.name}, more than 1 %: pretraining may {may}. Take them out of the pool "
            f"before you rely on the gains."
        ]

    @cached_property
    def near(self) -> int | None:
        """The number of test examples with a near duplicate in the pool; None where it cannot be known.

        See ``tasks.duplicates.fingerprints`` for what counts as near. Takes 2 s for 60,000 images, so it is
        only looked for when it is asked for.
        """
        if not comparable(self.pool.input_shape):
            return None
        _, near = Fingerprints.of(self.pool.x, self.pool.value_range).find(
            self.task.x_test, self.task.value_range
        )
        return None if near is None else int(near.sum())


def load(config: DataConfig) -> BenchmarkData:
    """Load the data again in another process. Raises InputError when they are not what they were."""
    if config.file is not None:
        task, pool = read_data(config.file)
        found = BenchmarkData(
            task=task,
            pool=pool,
            config=replace(
                config, task_print=_whole(task).fingerprint, pool_print=pool.fingerprint
            ),
            left_out=None,
        )
    else:
        assert config.data is not None
        found = BenchmarkData.of(config.data, config.pool, config)
    for name, part in ((config.data, "task_print"), (config.pool or config.data, "pool_print")):
        if getattr(found.config, part) != getattr(config, part):
            raise InputError(
                f"The data {name or str(config.file)!r} are not those that the benchmark was planned with: "
                f"they changed meanwhile, or this machine has others.",
                hint="Start the benchmark again.",
            )
    return found


def paired(data: Sequence[str], pools: Sequence[str]) -> list[tuple[str, str | None]]:
    """Return each data set's name with its pool's, None being its own training part. Raises InputError."""
    if len(set(data)) < len(data):
        twice = next(name for name in data if list(data).count(name) > 1)
        raise InputError(f"names {twice!r} twice", argument="data", hint="Leave one out.")
    if len(pools) not in (0, 1, len(data)):
        raise InputError(
            f"must be given once, for all data, or once for each of the {len(data)} {arg.data}, in their "
            f"order ({OWN!r} for a data set's own training part)",
            argument="pretrain_data",
            value=len(pools),
        )
    spread = list(pools) * len(data) if len(pools) == 1 else list(pools) or [OWN] * len(data)
    return [(name, None if pool == OWN else pool) for name, pool in zip(data, spread, strict=True)]


class DataCache:
    """The data that this process has loaded; of those that can be loaded again the least used goes first."""

    def __init__(self, most: int = 2) -> None:
        self._loaded: dict[DataConfig, BenchmarkData] = {}
        self._most = most

    def put(self, data: BenchmarkData) -> None:
        """Keep data that are loaded already."""
        self._loaded.pop(data.config, None)
        self._loaded[data.config] = data
        again = [config for config in self._loaded if config.data or config.file]
        for config in again[: -self._most]:
            del self._loaded[config]

    def get(self, config: DataConfig) -> BenchmarkData:
        """Return the data, loaded once."""
        self.put(self._loaded[config] if config in self._loaded else load(config))
        return self._loaded[config]


def _whole(task: TargetTask) -> Dataset:
    parts = ["x", "y", "x_test", "y_test", "class_names", "name", "value_range", "source", "kind"]
    parts.append("schema")
    return Dataset(**{part: getattr(task, part) for part in parts})


def _unlabelled(task: TargetTask) -> Dataset:
    name = f"{task.name} (training part, unlabelled)"
    whole = _whole(task)
    return replace(whole, name=name, y=None, x_test=None, y_test=None, class_names=None)


def _without_test_examples(task: TargetTask, pool: Dataset) -> tuple[Dataset, int | None]:
    """Return the pool without test examples, and how many were dropped; None if they cannot be compared."""
    if pool.input_shape != task.input_shape:
        return pool, None
    tables = [each.schema and each.schema.columns for each in (pool, task)]
    if tables[0] != tables[1]:
        raise InputError(
            f"{task.name!r} was not read by the columns of the pool {pool.name!r}.",
            hint="Give both as files.",
        )
    found = np.unique(overlap(task.x_test, pool.x))
    if not len(found):
        return pool, 0
    keep = np.setdiff1d(np.arange(len(pool.x)), found)
    if not len(keep):
        raise InputError(
            f"Every example of the pool {pool.name!r} is a test example of {task.name!r}: pretraining on "
            f"them would be cheating.",
            hint=f"Choose another {arg.pretrain_data}.",
        )
    y = None if pool.y is None else pool.y[keep]
    return replace(pool, x=pool.x[keep], y=y), len(found)
