"""A transfer's model as a TensorFlow SavedModel: a folder, for TensorFlow Serving and its like."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from headstart.files import atomic_folder

MARK = "saved_model.pb"
ABOUT = Path("assets.extra") / "headstart.json"
"""TensorFlow leaves a folder of this name to the users of a SavedModel."""


def write_savedmodel(
    model: Any, path: Path, about: Mapping[str, Any], examples: np.ndarray, expected: np.ndarray
) -> float:
    """Write ``model`` as the folder ``path`` and return by how much its outputs differ.

    examples, expected: raw examples (N, ...) and what the ``.keras`` model makes of them.
    about: JSON, kept in the folder as assets.extra/headstart.json.

    Raises HeadstartError when the reloaded folder's outputs are others; nothing is at ``path`` then
    that was not before.
    """
    from transfer.export.compare import difference

    found = []

    def write(temporary: Path) -> None:
        model.export(str(temporary), format="tf_saved_model", verbose=False)
        (temporary / ABOUT).parent.mkdir()
        (temporary / ABOUT).write_text(json.dumps(about), encoding="utf-8")

    def verify(temporary: Path) -> None:
        found.append(difference(expected, run_savedmodel(temporary, examples), path))

    atomic_folder(path, write, verify=verify)
    return found[0]


def run_savedmodel(path: Path, x: np.ndarray) -> np.ndarray:
    """Return what the folder's serving signature makes of raw examples ``x`` (N, ...).

    The first is given by itself, then the rest, so that two sizes of batch are tried.
    """
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))  # held: its variables go when it goes
    serve = loaded.signatures["serving_default"]
    (name,) = serve.structured_input_signature[1]
    parts = []
    for part in (x[:1], x[1:]):
        if len(part):
            (made,) = serve(**{name: tf.constant(part)}).values()
            parts.append(made.numpy())
    return np.concatenate(parts)


def is_savedmodel(folder: Path) -> bool:
    """Say whether ``folder`` holds a SavedModel, and so may be replaced by one."""
    return (folder / MARK).is_file()
