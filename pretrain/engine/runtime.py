"""The start of TensorFlow, and the environment that a result depends on.

Keras reads a user's ``keras.json``, and a notebook may set a policy of its own. ``keras_defaults`` holds
Keras and TensorFlow to their defaults while the project computes, so that no such setting changes a number.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from headstart.errors import InputError
from headstart.lazy import keras, tf

VARIABLES = (
    "TF_XLA_FLAGS",
    "ONEDNN_MAX_CPU_ISA",
    "TF_SET_ONEDNN_FPMATH_MODE",
    "NVIDIA_TF32_OVERRIDE",
)
"""With these the same run can have other bits: they are recorded with it where they are set."""
MIXED = "auto_mixed_precision"


def start(threads: int | None = None) -> None:
    """Import TensorFlow and Keras; called by ``Session.start`` before anything else imports them.

    Args:
        threads: threads within one operation; None lets TensorFlow take every core. The bits of a
            result may depend on it, so it is recorded in the weights file.

    Raises:
        InputError: Keras was set up for another backend.
    """
    asked = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if asked != "tensorflow":
        raise InputError(
            f"Headstart runs on Keras' TensorFlow backend, and KERAS_BACKEND is {asked!r}. Unset it, or "
            f"set it to 'tensorflow'."
        )
    # Before Keras is imported: it then counts for more than the backend of a keras.json.
    os.environ |= {"KERAS_BACKEND": "tensorflow", "XLA_FLAGS": xla_flags()}
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        _import_quietly()
        backend = keras.backend.backend()
    except (AssertionError, ValueError) as error:
        # Both are raised for a value in keras.json that Keras does not know, by TensorFlow with no text.
        if not _keras_json().is_file():
            raise
        raise InputError(
            f"Keras cannot start with the settings in {_keras_json()} "
            f"({str(error) or 'one of them is not allowed'}): correct or delete that file."
        ) from None
    # Python's side of TensorFlow warns of functions traced anew, which new layers and stages are.
    tf.get_logger().setLevel("ERROR")
    if backend != "tensorflow":
        raise InputError(
            f"Headstart runs on Keras' TensorFlow backend, and Keras' settings name {backend!r}. "
            f"Set KERAS_BACKEND=tensorflow before Keras is imported."
        )
    if threads is not None and threads != tf.config.threading.get_intra_op_parallelism_threads():
        try:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)
        except RuntimeError:
            raise InputError(
                "must be set before TensorFlow has started", argument="threads", value=threads
            ) from None


@contextmanager
def keras_defaults() -> Iterator[None]:
    """Hold Keras and TensorFlow to their own defaults, and put the user's settings back afterwards.

    That is float32 without mixed precision, images with their channels last, epsilon 1e-7, and compiled
    functions. Everything that builds layers or computes runs inside, as a block or as a decorator.
    """
    global _inside, _theirs
    start()
    # The policy is one a thread, the rest one a process: the first to enter saves it, the last to leave
    # restores it.
    policy = keras.config.dtype_policy()
    with _GUARD:
        if not _inside:
            _theirs = {name: read() for name, (read, _, _) in _pinned().items()}
        _inside += 1
        for read, write, ours in _pinned().values():
            if read() != ours:
                write(ours)
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)
        with _GUARD:
            _inside -= 1
            if not _inside:
                for name, (read, write, _) in _pinned().items():
                    if read() != _theirs[name]:
                        write(_theirs[name])


_GUARD = threading.Lock()
_inside = 0
_theirs: dict[str, Any] = {}


def _pinned() -> dict[str, tuple[Callable[[], Any], Callable[[Any], Any], Any]]:
    """Return {name: (read, write, default)} of the process' settings that can change a result's bits."""
    config, precision = keras.config, tf.config.experimental
    return {
        "floatx": (config.floatx, config.set_floatx, "float32"),
        "epsilon": (config.epsilon, config.set_epsilon, 1e-7),
        "layout": (config.image_data_format, config.set_image_data_format, "channels_last"),
        "eager": (tf.config.functions_run_eagerly, tf.config.run_functions_eagerly, False),
        "jit": (tf.config.optimizer.get_jit, tf.config.optimizer.set_jit, ""),
        "tf32": (
            precision.tensor_float_32_execution_enabled,
            precision.enable_tensor_float_32_execution,
            True,
        ),
        "mixed": (
            lambda: tf.config.optimizer.get_experimental_options().get(MIXED, False),
            lambda on: tf.config.optimizer.set_experimental_options({MIXED: on}),
            False,
        ),
    }


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
    return environment(tf.config.threading.get_intra_op_parallelism_threads())


def environment(threads: int, packages: Sequence[str] = PACKAGES) -> dict[str, Any]:
    """Return what can decide a result's bits besides its configuration. Does not import TensorFlow.

    Args:
        threads: of one operation; 0 means every core, and then the number of cores counts too.
        packages: distributions whose versions count, besides Headstart and Python.

    Returns:
        {"versions": {name: version}, "threads": {...}}, as JSON.
    """
    return {
        "versions": {
            "headstart": version(),
            "python": platform.python_version(),
            **{name: version(name) for name in packages},
        },
        "threads": {
            "intra_op": threads,
            "cores": 0 if threads else cores(),
            "xla_flags": xla_flags(),
            "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default"),
            **variables(),
        },
    }


def cores() -> int:
    """Return the threads that TensorFlow takes when it is given none."""
    given = os.environ.get("TF_NUM_INTRAOP_THREADS", "")
    if given.isdecimal() and int(given):
        return int(given)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0


def variables() -> dict[str, str]:
    """Return the VARIABLES that are set."""
    return {name: os.environ[name] for name in VARIABLES if os.environ.get(name)}


def _keras_json() -> Path:
    return Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "keras.json"


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
            tf.config.list_physical_devices("GPU")
        except BaseException:
            hidden.seek(0)
            os.write(kept, hidden.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
