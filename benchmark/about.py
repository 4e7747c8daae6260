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

from headstart.files import write_text

if TYPE_CHECKING:
    from benchmark.run import Benchmark
    from tasks.task import TargetTask

ABOUT = "benchmark.json"


def command_line() -> str | None:
    """Return the command that this process is, as one would type it; None in a program of one's own."""
    import click

    if click.get_current_context(silent=True) is None:
        return None
    return shlex.join(["benchmark", *sys.argv[1:]])


def about(benches: Sequence[Benchmark], notes: Sequence[str]) -> dict[str, Any]:
    """Return JSON: command, time, tasks, pools, encoders, modes, versions and what was noticed.

    benches: of one command. notes: what was noticed, a sentence each.
    """
    config = benches[0].config
    # Several data sets may have encoders of their own: "auto" looks at the data.
    encoders = [source.encoder for bench in benches for source in bench.pretraining.fresh.values()]
    return {
        "format": "headstart-benchmark",
        "version": 1,
        "command": command_line(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "tasks": [task_json(bench.task) for bench in benches],
        "pools": [
            {
                "name": bench.pool.name,
                "examples": len(bench.pool.x),
                "source": bench.pool.source,
            }
            for bench in benches
        ],
        "encoders": [e for i, e in enumerate(encoders) if e not in encoders[:i]],
        "strategies": list(dict.fromkeys(name for bench in benches for name in bench.strategies)),
        "labels": list(config.labels),
        "seeds": list(config.seeds),
        "modes": {name: asdict(mode) for name, mode in benches[0].modes.items()},
        "pretrain": dict(config.pretrain_fields),  # may hold an Optimizer: written as its fields
        "budget": None if config.budget is None else asdict(config.budget),
        "options": {name: dict(given) for name, given in config.options.items()},
        **benches[0].settings,
        "leakage": [bench.loaded.leakage for bench in benches],
        "notes": list(notes),
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


def write_about(folder: Path, content: Mapping[str, Any]) -> None:
    """Write ``benchmark.json``."""
    write_text(folder / ABOUT, json.dumps(content, indent=1, default=asdict) + "\n")


def write_notes(folder: Path, notes: Sequence[str]) -> None:
    """Replace the notes in ``benchmark.json``."""
    content = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    write_about(folder, {**content, "notes": list(notes)})
