"""The environment a cell's result depends on: versions, threads, flags. Does not start TensorFlow."""

from __future__ import annotations

import sys
from typing import Any

from headstart.errors import HeadstartError
from pretrain.engine import runtime

PACKAGES = (*runtime.PACKAGES, "scikit-learn")


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
    return runtime.environment(threads, PACKAGES)


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
