"""A transfer's model as a TensorFlow SavedModel: a folder, for TensorFlow Serving and its like."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from headstart.files import atomic_folder
from transfer.export.compare import difference

MARK = "saved_model.pb"
ABOUT = Path("assets.extra") / "headstart.json"
"""TensorFlow leaves the folder assets.extra to the users of a SavedModel."""


def write_savedmodel(
    model: Any, path: Path, about: Mapping[str, Any], examples: np.ndarray, expected: np.ndarray
) -> float:
    """Write a model as a folder, reload it and compare its outputs before it counts.

    Args:
        model: of Keras.
        path: the folder.
        about: JSON, kept in the folder as assets.extra/headstart.json.
        examples: raw examples (N, ...).
        expected: the outputs (N, K) of the ``.keras`` model for them.

    Returns:
        The greatest difference between an output and the expected one.

    Raises:
        HeadstartError: the outputs differ by too much, or the disk refuses; ``path`` is as it was.
    """
    off = []

    def write(temporary: Path) -> None:
        model.export(str(temporary), format="tf_saved_model", verbose=False)
        (temporary / ABOUT).parent.mkdir()
        (temporary / ABOUT).write_text(json.dumps(about), encoding="utf-8")

    def verify(temporary: Path) -> None:
        off.append(difference(expected, run_savedmodel(temporary, examples), path))

    atomic_folder(path, write, verify=verify)
    return off[0]


def run_savedmodel(path: Path, x: np.ndarray) -> np.ndarray:
    """Return the outputs (N, K) of the folder's serving signature for raw examples ``x`` (N, ...).

    The first is given by itself, then the rest, so that two sizes of batch are tried.
    """
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))  # held: its variables go when it goes
    serve = loaded.signatures["serving_default"]
    (name,) = serve.structured_input_signature[1]
    parts = []
    for part in (x[:1], x[1:]):
        if len(part):
            (outputs,) = serve(**{name: tf.constant(part)}).values()
            parts.append(outputs.numpy())
    return np.concatenate(parts)


def is_savedmodel(folder: Path) -> bool:
    """Say whether ``folder`` holds a SavedModel, and so may be replaced by one."""
    return (folder / MARK).is_file()
