"""A transfer's model as an ``.onnx`` file: written, run by onnxruntime, and only then put in place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from headstart.files import atomic_write


def write_onnx(
    model: Any, path: Path, about: Mapping[str, Any], examples: np.ndarray, expected: np.ndarray
) -> float:
    """Write ``model`` as the file ``path`` and return by how much its outputs differ.

    examples, expected: raw examples (N, ...) and what the ``.keras`` model makes of them.
    about: JSON, kept in the file's metadata under "headstart".

    Raises:
        InputError: a layer cannot be written as ONNX; it is named.
        HeadstartError: the file's outputs are others; nothing is at ``path`` that was not before.
    """
    from transfer.export.compare import difference
    from transfer.export.onnx_graph import to_onnx

    made = to_onnx(model, {"headstart": json.dumps(about)})
    found = []

    def verify(temporary: Path) -> None:
        found.append(difference(expected, run_onnx(temporary, examples), path))

    content = made.SerializeToString(deterministic=True)
    atomic_write(path, lambda temporary: _write_bytes(temporary, content), verify=verify)
    return found[0]


def run_onnx(path: Path, x: np.ndarray) -> np.ndarray:
    """Return what onnxruntime makes of raw examples ``x`` (N, ...): the first by itself, then the rest."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        str(path), sess_options=options, providers=["CPUExecutionProvider"]
    )
    (given,) = session.get_inputs()
    parts = [session.run(None, {given.name: part})[0] for part in (x[:1], x[1:]) if len(part)]
    return np.concatenate(parts)


def _write_bytes(path: Path, content: bytes) -> None:
    path.write_bytes(content)
