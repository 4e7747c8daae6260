"""The trained model as one stock Keras model, and its ``.keras`` file."""

from __future__ import annotations

import copy
import json
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headstart.errors import HeadstartError, InputError
from headstart.files import atomic_write
from headstart.lazy import keras
from pretrain.engine.runtime import keras_defaults
from tasks.tables.schema import Schema
from transfer.data.input_adapter import InputAdapter
from transfer.inference import predict_batched
from transfer.targets import TARGETS, Target, target_of_result

MEMBER = "headstart.json"
"""An extra member of the archive, which Keras ignores."""
MAX_BYTES = 8 << 20
# A reloaded model runs the same operations; only their fusion may differ.
TOLERANCE = 1e-5
LATER: dict[str, Any] = {
    "fill_mode": "constant",
    "fill_value": 0.0,
    "input_axes": None,
    "optional": False,
    "output_axes": None,
    "pad_to_aspect_ratio": False,
    "quantization_config": None,
    "ragged": False,
    "renorm": False,
    "renorm_clipping": None,
    "renorm_momentum": 0.99,
    "rms_scaling": False,
}
"""Arguments that came after Keras 3.0, with the values that change nothing."""


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """The facts about a ``.keras`` file that predicting with it needs.

    Attributes:
        target: the kind of y, with the names of the classes.
        shape: of a raw example.
        dtype: of raw examples.
        value_range: (low, high) of raw examples.
        digest: of the model's weights.
        source_digest: of the weights file; None of a fresh encoder.
        table: of a table with named columns, its schema; the model then takes raw columns by name.
    """

    target: Target
    shape: tuple[int, ...]
    dtype: str
    value_range: tuple[float, float]
    digest: str | None = None
    source_digest: str | None = None
    table: Schema | None = None

    @classmethod
    def of(cls, inputs: InputAdapter, result: Mapping[str, Any]) -> ModelInfo:
        """Return the facts about a trained model, of its adapter and its result's JSON."""
        return cls(
            target=target_of_result(result),
            shape=inputs.shape,
            dtype=inputs.dtype,
            value_range=inputs.value_range,
            digest=result["digest"],
            source_digest=result["source_digest"],
            table=inputs.table,
        )

    def raw(self, x: np.ndarray) -> np.ndarray | dict[str, np.ndarray]:
        """Return examples (N, ...) of a data set as the model takes them: of a table raw columns by name."""
        return x if self.table is None else self.table.raw(x)

    @classmethod
    def read(cls, path: Path) -> ModelInfo:
        """Read the facts from a file that ``save_model`` wrote, without loading the model.

        Raises:
            InputError: any other file.
        """
        if not path.is_file():
            raise InputError(f"There is no model file {path}.")
        try:
            with zipfile.ZipFile(path) as archive:
                if MEMBER not in archive.namelist():
                    raise InputError(
                        f"{path} is not a model that `transfer` wrote: it holds no {MEMBER}.",
                        hint="Load it with keras.models.load_model instead.",
                    )
                if archive.getinfo(MEMBER).file_size > MAX_BYTES:
                    raise InputError(f"{path}: its {MEMBER} is larger than eight megabytes.")
                return cls._from_json(json.loads(archive.read(MEMBER)))
        except (
            zipfile.BadZipFile, OSError, ValueError, KeyError, TypeError, RecursionError
        ) as error:  # fmt: skip
            raise InputError(
                f"{path} is not a readable .keras model ({type(error).__name__}: {error}).",
                hint="Give the file that `transfer` wrote.",
            ) from None

    @classmethod
    def _from_json(cls, stored: Any) -> ModelInfo:
        classes, given = stored["classes"], stored["input"]
        table = given.get("table")
        low, high = given["value_range"]
        if not isinstance(classes, list) or stored.get("target", "classes") not in TARGETS:
            raise ValueError("classes or target of the wrong kind")
        return cls(
            target=target_of_result(stored),
            shape=tuple(given["shape"]),
            dtype=given["dtype"],
            value_range=(float(low), float(high)),
            digest=stored.get("digest"),
            source_digest=stored.get("source_digest"),
            table=None if table is None else Schema.from_json(table),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the facts as the archive holds them."""
        return {
            "target": self.target.name,
            "classes": list(self.target.names),
            "input": {
                "shape": list(self.shape),
                "dtype": self.dtype,
                "value_range": list(self.value_range),
                **({} if self.table is None else {"table": self.table.to_json()}),
            },
            "digest": self.digest,
            "source_digest": self.source_digest,
        }


def whole_model(front: Any, encoder: Any, head: Any, last: Any) -> Any:
    """Return one Keras model of raw examples (B, ...), which shares the weights of its parts.

    The parts are the input adapter's model, an encoder or network (its ``model``), a head, and the layer
    behind it, as ``Target.layer`` makes it. Of a table the first is that of ``table_inputs``, and the model
    takes raw columns by name.
    """
    if isinstance(front.input, dict):
        hidden = encoder.model(front.output)
        return keras.Model(front.input, last(head(hidden)), name="headstart")
    inputs = keras.Input(front.input_shape[1:], dtype=front.inputs[0].dtype, name="raw")
    return keras.Model(inputs, last(head(encoder.model(front(inputs)))), name="headstart")


def save_model(
    model: Any, path: Path, inputs: InputAdapter, result: Mapping[str, Any], examples: np.ndarray
) -> None:
    """Write a model as ``write_model`` does, with the facts that ``ModelInfo.of`` makes of a result."""
    write_model(model, path, ModelInfo.of(inputs, result), examples)


@keras_defaults()
def write_model(model: Any, path: Path, info: ModelInfo, examples: np.ndarray) -> None:
    """Write a trained model as a ``.keras`` file that stock Keras loads, verified before it counts.

    Args:
        model: of ``whole_model``.
        path: the file.
        info: the facts about it.
        examples: (N, ...) raw, or of a table x (N, D), on which the reloaded file is compared with the
            model.

    Raises:
        HeadstartError: the reloaded file predicts differently, or the disk refuses.
    """
    with tempfile.TemporaryDirectory() as folder:
        # Keras insists on the suffix, which the temporary name of an atomic write does not have.
        saved, made = Path(folder) / "saved.keras", Path(folder) / "model.keras"
        model.save(saved)
        _copy_plainly(saved, made)
        saved.unlink()
        with zipfile.ZipFile(made, "a") as archive:
            archive.writestr(MEMBER, json.dumps(info.to_json()))
        reloaded = keras.models.load_model(made, compile=False)
        given = info.raw(examples)
        difference(predict_batched(model, given), predict_batched(reloaded, given), path)

        def write(temporary: Path) -> None:
            shutil.copyfile(made, temporary)

        atomic_write(path, write)


def load_model(path: Path) -> Any:
    """Return the Keras model of a ``.keras`` file.

    Raises:
        InputError: Keras cannot load it.
    """
    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        raise InputError(f"{path} cannot be loaded by Keras: {error}") from None


def difference(expected: np.ndarray, got: np.ndarray, path: Path) -> float:
    """Return the greatest difference between the outputs of a model and of a file made from it.

    Allowed are 1e-5; that part of the spread of numbers that vary by more than 1; plus float32's rounding.

    Args:
        expected: (N, K) float, of the model.
        got: the outputs of the file.
        path: the file that is to be written, for the message.

    Raises:
        HeadstartError: they differ by more than that, in shape, or are not finite.
    """
    same = expected.shape == got.shape
    off = float(np.abs(expected - got).max()) if same else float("inf")
    values = expected.astype(np.float64)
    varies = np.abs(values - values.mean(axis=0)).max(axis=0)
    rounding = 4 * np.finfo(np.float32).eps * np.abs(values).max(axis=0)
    limit = TOLERANCE * np.maximum(1.0, varies) + rounding
    if not same or not np.allclose(expected, got, rtol=0, atol=limit):
        raise HeadstartError(
            f"The exported file predicts differently from the model (by up to {off:.2g}, and "
            f"{limit.max():.2g} is allowed); {path} was not written."
        )
    return off


def plain_config(node: Any) -> Any:
    """Return a model's configuration, as JSON, so that older versions of Keras, from 3.9 on, read it too.

    Keras writes every argument of a layer, and an older version refuses one that it does not know, even
    where it asks for nothing new. Those that stand at their default are left out, which means the same.
    """
    if isinstance(node, list):
        return [plain_config(value) for value in node]
    if not isinstance(node, dict):
        return node
    if node.get("class_name") == "DTypePolicy":
        # Its name says it all, and every version takes that.
        return node["config"]["name"]
    made = {key: plain_config(value) for key, value in node.items()}
    config = made.get("config")
    if "class_name" in made and isinstance(config, dict):
        kept = {k: v for k, v in config.items() if k not in LATER or v != LATER[k]}
        if str(made.get("module")).startswith("keras.src.ops."):
            # An operation's name stands beside its configuration; inside, Keras 3.10 refuses it.
            kept.pop("name", None)
        made["config"] = kept
    return made


def _copy_plainly(source: Path, target: Path) -> None:
    """Copy a ``.keras`` file with its configuration made plain."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for member in old.infolist():
            if member.filename == "config.json":
                new.writestr(
                    member.filename, json.dumps(plain_config(json.loads(old.read(member))))
                )
                continue
            with old.open(member) as content, new.open(copy.copy(member), "w") as place:
                shutil.copyfileobj(content, place)
