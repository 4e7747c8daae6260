"""What beside its configuration decides a cell's bits, told without starting TensorFlow."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from headstart.errors import HeadstartError
from pretrain.engine.runtime import version as headstart
from pretrain.engine.runtime import xla_flags

PACKAGES = ("tensorflow", "keras", "numpy", "scikit-learn")


def threads_here(asked: int | None) -> int:
    """Return the threads of one operation in this process: as asked, else one.

    A process that runs TensorFlow already, such as a notebook, keeps what that has (0: every core).
    """
    if asked is None and "tensorflow" in sys.modules:
        import tensorflow as tf

        return int(tf.config.threading.get_intra_op_parallelism_threads())
    return asked or 1


def surroundings(threads: int) -> dict[str, Any]:
    """Return versions and threads; 0 threads means every core, so their number counts then."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    return {
        "versions": {
            "headstart": headstart(),
            "python": platform.python_version(),
            **{name: _version(name) for name in PACKAGES},
        },
        "threads": {
            "intra_op": threads,
            "cores": 0 if threads else cores,
            "xla_flags": xla_flags(),
            "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default"),
        },
    }


def check_surroundings(expected: dict[str, Any]) -> None:
    """Refuse to run a cell where it could have another result. Raises HeadstartError."""
    found = surroundings(expected["threads"]["intra_op"])
    for part, values in expected.items():
        for name, value in values.items():
            if found[part].get(name) != value:
                raise HeadstartError(
                    f"This worker has {name} {found[part].get(name)!r}, and the benchmark was planned "
                    f"with {value!r}. Give all machines the same environment."
                )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
