"""The start of TensorFlow, and the environment that a result depends on."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from typing import Any

from headstart.errors import InputError


def start(threads: int | None = None) -> None:
    """Import TensorFlow and Keras; called by ``Session.start`` before anything else imports them.

    Args:
        threads: threads within one operation; None lets TensorFlow take every core. The bits of a
            result may depend on it, so it is recorded in the weights file.

    Raises:
        InputError: Keras was set up for another backend.
    """
    if os.environ.setdefault("KERAS_BACKEND", "tensorflow") != "tensorflow":
        raise InputError(
            f"Headstart runs on Keras' TensorFlow backend, and KERAS_BACKEND is "
            f"{os.environ['KERAS_BACKEND']!r}. Unset it, or set it to 'tensorflow'."
        )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["XLA_FLAGS"] = xla_flags()
    _import_quietly()
    import keras
    import tensorflow as tf

    # Python's side of TensorFlow warns of functions traced anew, which new layers and stages are.
    tf.get_logger().setLevel("ERROR")
    if keras.backend.backend() != "tensorflow":
        raise InputError(
            f"Headstart runs on Keras' TensorFlow backend, and Keras' settings name "
            f"{keras.backend.backend()!r}. Set KERAS_BACKEND=tensorflow."
        )
    if threads is not None and threads != tf.config.threading.get_intra_op_parallelism_threads():
        try:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)
        except RuntimeError:
            raise InputError(
                "must be set before TensorFlow has started", argument="threads", value=threads
            ) from None


def xla_flags() -> str:
    """Return the XLA_FLAGS that ``start`` sets: the user's flags, and one of ours unless they have it."""
    # XLA's matrix products of a small batch lose more by sharing them out than they gain: 1.20 ms a step
    # against 0.65 for the seed's net on two cores, and no difference for a net of 2.3 M parameters.
    given = os.environ.get("XLA_FLAGS", "")
    if "xla_cpu_multi_thread_eigen" in given:
        return given
    return f"{given} --xla_cpu_multi_thread_eigen=false".strip()


PACKAGES = ("tensorflow", "keras", "numpy")


def settings() -> dict[str, Any]:
    """Return this process' ``environment``, by the threads that TensorFlow runs with."""
    import tensorflow as tf

    return environment(tf.config.threading.get_intra_op_parallelism_threads())


def environment(threads: int, packages: Sequence[str] = PACKAGES) -> dict[str, Any]:
    """Return what can decide a result's bits besides its configuration. Does not import TensorFlow.

    Args:
        threads: of one operation; 0 means every core, and then the number of cores counts too.
        packages: distributions whose versions count, besides Headstart and Python.

    Returns:
        {"versions": {name: version}, "threads": {...}}, as JSON.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    return {
        "versions": {
            "headstart": version(),
            "python": platform.python_version(),
            **{name: version(name) for name in packages},
        },
        "threads": {
            "intra_op": threads,
            "cores": 0 if threads else cores,
            "xla_flags": xla_flags(),
            "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default"),
        },
    }


def version(distribution: str = "headstart") -> str:
    """Return the installed version of a distribution, or "unknown"."""
    try:
        return installed_version(distribution)
    except PackageNotFoundError:
        return "unknown"


def _import_quietly() -> None:
    """Import TensorFlow without the lines that its C++ prints before its log level is read."""
    if "tensorflow" in sys.modules:
        return
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as hidden:
        os.dup2(hidden.fileno(), 2)
        try:
            import tensorflow as tf

            tf.config.list_physical_devices("GPU")
        except BaseException:
            hidden.seek(0)
            os.write(kept, hidden.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
