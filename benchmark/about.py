"""``benchmark.json``: what a benchmark is about, so that its report can be drawn from its folder alone."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.outputs import write_text

if TYPE_CHECKING:
    from benchmark.run import Benchmark
    from tasks.target import TargetTask

ABOUT = "benchmark.json"


def command_line() -> str:
    """Return the command that this process is, as one would type it."""
    return shlex.join(["benchmark", *sys.argv[1:]])


def about(bench: Benchmark, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return JSON: command, time, tasks, pool, encoder, recipes, versions and what was noticed.

    settings: versions and threads, as ``pretrain.runtime.settings`` gives them.
    """
    config = bench.config
    return {
        "format": "headstart-benchmark",
        "version": 1,
        "command": command_line(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "tasks": [task_json(bench.task)],
        "pool": {
            "name": bench.pool.name,
            "examples": len(bench.pool.x),
            "source": bench.pool.source,
        },
        "encoder": bench.fresh.encoder,
        "strategies": list(bench.strategies),
        "labels": list(config.labels),
        "seeds": list(config.seeds),
        "recipe": asdict(config.recipe),
        "pretrain": dict(config.pretrain_fields),  # may hold an Optimizer: written as its fields
        "options": {name: dict(given) for name, given in config.options.items()},
        **settings,
        "notes": list(bench.notes),
    }


def task_json(task: TargetTask) -> dict[str, Any]:
    """Return what a report says of a task."""
    return {
        "name": task.name,
        "source": task.source,
        "class_names": list(task.class_names),
        "training_examples": len(task.x),
        "test_examples": len(task.x_test),
        "test_origin": task.test_origin,
    }


def write_about(folder: Path, content: Mapping[str, Any], ids: Sequence[str] | None = None) -> None:
    """Write ``benchmark.json``; ``ids``, once they are known, are the cells that belong to this grid.

    The results file may hold more: cells of earlier, other grids in the same folder.
    """
    whole = {**content, **({} if ids is None else {"cells": list(ids)})}
    write_text(folder / ABOUT, json.dumps(whole, indent=1, default=asdict) + "\n")
