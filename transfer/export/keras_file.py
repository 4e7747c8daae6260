"""The trained model as one stock Keras model, and its ``.keras`` file."""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from headstart.errors import HeadstartError, InputError
from headstart.files import atomic_write
from transfer.data.input_adapter import InputAdapter
from transfer.export.compare import allowed
from transfer.inference import predict_batched
from transfer.numerics import class_probabilities
from transfer.targets import TARGETS

ABOUT = "headstart.json"


def whole_model(
    front: Any, encoder: Any, head: Any, n_classes: int = 0, *, last: Any = None
) -> Any:
    """Return raw examples -> probabilities, (B, 1) for two classes, else (B, K); shares the weights.

    last: the layer behind the head (Target.layer); None is that of ``n_classes`` classes.
    """
    import keras

    inputs = keras.Input(front.input_shape[1:], dtype=front.inputs[0].dtype, name="raw")
    if last is None:
        activation = "sigmoid" if n_classes == 2 else "softmax"
        last = keras.layers.Activation(activation, name="probabilities")
    return keras.Model(inputs, last(head(encoder.model(front(inputs)))), name="headstart")


def probabilities(front: Any, encoder: Any, head: Any, x: np.ndarray) -> np.ndarray:
    """Return class probabilities (N, K) float32 of raw examples ``x`` (N, ...)."""
    return class_probabilities(predict_batched((front, encoder.model, head), x))


def save_model(
    model: Any, path: Path, inputs: InputAdapter, result: dict[str, Any], examples: np.ndarray
) -> None:
    """Write ``model`` as a ``.keras`` file that stock Keras loads, and verify it before it counts.

    An extra member of the archive, which Keras ignores, holds class names and input range for
    ``transfer predict``.

    Raises HeadstartError when the reloaded file does not predict ``examples`` as the model does.
    """
    import keras

    about = {
        "target": result["target"],
        "classes": result["classes"],
        "input": {
            "shape": list(inputs.shape),
            "dtype": inputs.dtype,
            "value_range": list(inputs.value_range),
        },
        "digest": result["digest"],
        "source_digest": result["source_digest"],
    }
    with tempfile.TemporaryDirectory() as folder:
        # Keras insists on the suffix, which the temporary name of an atomic write does not have.
        made = Path(folder) / "model.keras"
        model.save(made)
        with zipfile.ZipFile(made, "a") as archive:
            archive.writestr(ABOUT, json.dumps(about))
        reloaded = keras.models.load_model(made, compile=False)
        expected, got = predict_batched(model, examples), predict_batched(reloaded, examples)
        if not np.allclose(expected, got, rtol=0, atol=allowed(expected)):
            raise HeadstartError(
                f"The saved model predicts differently from the trained one (by up to "
                f"{np.abs(expected - got).max():.2g}); {path} was not written."
            )
        atomic_write(path, lambda temporary: _copy(made, temporary))


def read_about(path: Path) -> dict[str, Any]:
    """Return what ``save_model`` put into the archive. Raises InputError for any other file."""
    if not path.is_file():
        raise InputError(f"There is no model file {path}.")
    try:
        with zipfile.ZipFile(path) as archive:
            if ABOUT not in archive.namelist():
                raise InputError(
                    f"{path} is not a model that `transfer` wrote: it holds no {ABOUT}. "
                    f"Load it with keras.models.load_model instead."
                )
            if archive.getinfo(ABOUT).file_size > 1 << 20:
                raise InputError(f"{path}: its {ABOUT} is larger than a megabyte.")
            about = json.loads(archive.read(ABOUT))
            classes, given = about["classes"], about["input"]
            if not isinstance(classes, list) or len(given["value_range"]) != 2:
                raise ValueError("classes or range of the wrong kind")
            if about.setdefault("target", "classes") not in TARGETS:
                raise ValueError("target of the wrong kind")
            return about
    except (zipfile.BadZipFile, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            f"{path} is not a readable .keras model ({type(error).__name__}: {error}). "
            f"Give the file that `transfer --out` wrote."
        ) from None


def load_model(path: Path) -> Any:
    """Return the Keras model of a ``.keras`` file. Raises InputError when Keras refuses it."""
    import keras

    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        raise InputError(f"{path} cannot be loaded by Keras: {error}") from None


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
