"""A ``.keras`` file: checked as a zip, read as JSON, and only a clean copy of it is given to Keras."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pretrain.encoders.base import MAX_PARAMETERS
from pretrain.encoders.keras_graph.layers import Shape
from pretrain.engine.runtime import keras_defaults
from pretrain.keras_import.blocks import parameters
from pretrain.keras_import.config import read_config
from pretrain.keras_import.graph import Graph
from pretrain.keras_import.refusal import SAVE_AGAIN, Refusal
from pretrain.keras_import.weights_hdf5 import COPY_AGAIN, check_hdf5
from pretrain.weights.sniff import identify
from pretrain.weights.validation import short

CONFIG, WEIGHTS, METADATA = "config.json", "model.weights.h5", "metadata.json"
# headstart.json is what `transfer` adds to the models that it writes.
MEMBERS = {CONFIG, WEIGHTS, METADATA, "headstart.json", "assets/"}
MAX_JSON = 64 << 20
MAX_WEIGHTS = 4 * MAX_PARAMETERS * 4
SLACK = 64 << 20
TIMES = 8
# What plain values of the wrong kind raise where they are used.
ODD = (TypeError, ValueError, KeyError, IndexError, AttributeError, ArithmeticError, RecursionError)
DEPTH = 200


@contextlib.contextmanager
def opened(
    path: Path, input_shape: Shape | None, start: Callable[[], None]
) -> Iterator[tuple[Graph, Any, str]]:
    """Check a ``.keras`` file and yield (its graph, the Keras model, the file's sha256).

    start: imports Keras. Everything is checked before Keras is imported. Raises Refusal.
    """
    with tempfile.TemporaryDirectory() as folder, _archive(path) as archive:
        members = _members(archive)
        _check_version(_json(archive, members, METADATA))
        graph, clean = _read(_json(archive, members, CONFIG), input_shape)
        _check_size(graph, members[WEIGHTS].file_size)
        weights = Path(folder) / WEIGHTS
        with archive.open(members[WEIGHTS]) as source, weights.open("wb") as target:
            shutil.copyfileobj(source, target)
        check_hdf5(weights, f"its {WEIGHTS}")
        made = Path(folder) / "clean.keras"
        with zipfile.ZipFile(made, "w") as copy:
            copy.writestr(METADATA, archive.read(members[METADATA]))
            copy.writestr(CONFIG, json.dumps(clean))
            copy.write(weights, WEIGHTS)
        weights.unlink()
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        start()
        with keras_defaults():
            yield graph, _load(made), digest


@contextlib.contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise Refusal("it is a folder or a device", "give a .keras file")
        with path.open("rb") as file:
            head = file.read(1 << 20)
        if not head.startswith(b"PK\x03\x04"):
            what, _ = identify(head)
            raise Refusal(f"{what}; only .keras files are imported", SAVE_AGAIN)
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (FileNotFoundError, NotADirectoryError):
        raise Refusal("there is no such file", "check the path") from None
    except PermissionError:
        raise Refusal("you may not read it", "ask its owner") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise Refusal(f"it is damaged or truncated ({short(str(error))})", COPY_AGAIN) from None


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    members: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        name = member.filename
        if name in members:
            raise Refusal(f"it holds {short(repr(name))} twice", COPY_AGAIN)
        if name not in MEMBERS:
            raise Refusal(f"it holds {short(repr(name))}, which no model of this kind does")
        if member.flag_bits & 1:
            raise Refusal(f"its {name} is encrypted")
        members[name] = member
    if missing := [name for name in (METADATA, CONFIG, WEIGHTS) if name not in members]:
        raise Refusal(f"it holds no {missing[0]}, so it is not a whole .keras model", COPY_AGAIN)
    for name, most in ((METADATA, 1 << 20), (CONFIG, MAX_JSON), (WEIGHTS, MAX_WEIGHTS)):
        if members[name].file_size > most:
            raise Refusal(f"its {name} declares {members[name].file_size:,} bytes, above {most:,}")
    return members


def _json(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], name: str) -> Any:
    data = archive.read(members[name])
    try:
        # Brackets inside texts count too: then a file is refused that could have been read, no more.
        depth = deepest = 0
        for byte in data:
            depth += (byte in b"[{") - (byte in b"]}")
            deepest = max(deepest, depth)
        if deepest > DEPTH:
            raise ValueError(f"nested deeper than {DEPTH}")
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Refusal(f"its {name} is not JSON ({short(str(error))})", COPY_AGAIN) from None


def _check_version(metadata: Any) -> None:
    version = metadata.get("keras_version") if isinstance(metadata, dict) else None
    if not isinstance(version, str) or not version.startswith("3."):
        raise Refusal(
            f"it was saved by Keras {short(repr(version))}, and Keras 3 is read", SAVE_AGAIN
        )


def _read(raw: Any, input_shape: Shape | None) -> tuple[Graph, Any]:
    try:
        return read_config(raw, input_shape)
    except ODD as error:
        what = short(f"{type(error).__name__}: {error}")
        raise Refusal(f"its {CONFIG} is not what Keras 3 writes ({what})", SAVE_AGAIN) from None


def _check_size(graph: Graph, stored: int) -> None:
    """Refuse layers whose weights cannot be in the file, before any of them is made."""
    count = sum(parameters(graph).values())
    if count > MAX_PARAMETERS:
        raise Refusal(f"its layers would have {count:,} parameters, above {MAX_PARAMETERS:,}")
    # An optimizer's state is a few times the weights.
    if stored > TIMES * 4 * count + SLACK:
        raise Refusal(
            f"its {WEIGHTS} has {stored:,} bytes, far more than the {4 * count:,} that its layers need"
        )
    if 4 * count > stored:
        raise Refusal(
            f"its layers need {4 * count:,} bytes of weights, and its {WEIGHTS} has {stored:,}",
            COPY_AGAIN,
        )


def _load(path: Path) -> Any:
    """Return the Keras model of a clean copy."""
    import keras

    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        raise Refusal(
            f"Keras cannot load it ({short(' '.join(str(error).split()), 400)})", SAVE_AGAIN
        ) from None
