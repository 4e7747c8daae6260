"""The environment a cell's result depends on: versions, threads, flags. Does not start TensorFlow."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from headstart.errors import HeadstartError
from pretrain.engine.runtime import cores, variables, xla_flags
from pretrain.engine.runtime import version as headstart

PACKAGES = ("tensorflow", "keras", "numpy", "scikit-learn")


def threads_here(given: int | None) -> int:
    """Return the threads of one operation in this process: those given, else one.

    A process that runs TensorFlow already, such as a notebook, keeps what that has (0: every core).
    """
    if given is None and "tensorflow" in sys.modules:
        import tensorflow as tf

        return int(tf.config.threading.get_intra_op_parallelism_threads())
    return given or 1


def environment(threads: int) -> dict[str, Any]:
    """Return versions and threads; with 0 threads, which means every core, the number of cores too."""
    return {
        "versions": {
            "headstart": headstart(),
            "python": platform.python_version(),
            **{name: _version(name) for name in PACKAGES},
        },
        "threads": {
            "intra_op": threads,
            "cores": 0 if threads else cores(),
            "xla_flags": xla_flags(),
            "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default"),
            **variables(),
        },
    }


def check_environment(expected: dict[str, Any]) -> None:
    """Refuse to run a cell where it could have another result. Raises HeadstartError."""
    found = environment(expected["threads"]["intra_op"])
    for part, values in expected.items():
        for name in values | found[part]:
            here, planned = found[part].get(name), values.get(name)
            if here != planned:
                raise HeadstartError(
                    f"This worker has {name} {here!r}, and the benchmark was planned with {planned!r}.",
                    hint="Give all machines the same environment.",
                )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
