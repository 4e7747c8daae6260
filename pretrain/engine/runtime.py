"""Starting TensorFlow: quietly, on Keras' TensorFlow backend, with the threads that were asked for."""

from __future__ import annotations

import os
import sys
import tempfile
from typing import Any

from headstart.errors import InputError


def start(threads: int | None = None) -> None:
    """Import TensorFlow and Keras; call it before anything else does.

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
            raise InputError("--threads must be set before TensorFlow has started.") from None


def xla_flags() -> str:
    """Return what ``start`` sets XLA_FLAGS to: the user's flags, and one of ours unless they have it."""
    # XLA's matrix products of a small batch lose more by sharing them out than they gain: 1.20 ms a step
    # against 0.65 for the seed's net on two cores, and no difference for a net of 2.3 M parameters.
    given = os.environ.get("XLA_FLAGS", "")
    if "xla_cpu_multi_thread_eigen" in given:
        return given
    return f"{given} --xla_cpu_multi_thread_eigen=false".strip()


def settings() -> dict[str, Any]:
    """Return what beside the configuration can decide a result's bits: versions and threads."""
    import platform

    import keras
    import numpy as np
    import tensorflow as tf

    threads = tf.config.threading.get_intra_op_parallelism_threads()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    return {
        "versions": {
            "headstart": version(),
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
        },
        "threads": {
            "intra_op": threads,
            # Their number decides nothing where the threads are set.
            "cores": 0 if threads else cores,
            "xla_flags": os.environ.get("XLA_FLAGS", ""),
            "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default"),
        },
    }


def version() -> str:
    """Return the installed version of the distribution."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("headstart")
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
