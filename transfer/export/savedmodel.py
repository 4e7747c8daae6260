"""A transfer's model as a TensorFlow SavedModel: a folder, for TensorFlow Serving and its like."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from headstart.lazy import tf

MARK = "saved_model.pb"
ABOUT = Path("assets.extra") / "headstart.json"
"""TensorFlow leaves the folder assets.extra to the users of a SavedModel."""


def write_savedmodel(model: Any, path: Path, about: Mapping[str, Any]) -> None:
    """Write a Keras model as the folder ``path``; the JSON is kept in assets.extra/headstart.json."""
    model.export(str(path), format="tf_saved_model", verbose=False)
    (path / ABOUT).parent.mkdir()
    (path / ABOUT).write_text(json.dumps(about), encoding="utf-8")


def run_savedmodel(path: Path, x: np.ndarray) -> np.ndarray:
    """Return the outputs (N, K) of the folder's serving signature for raw examples ``x`` (N, ...)."""
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
