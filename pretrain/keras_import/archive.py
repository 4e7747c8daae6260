"""A ``.keras`` file: checked as a zip, as JSON and as HDF5; then a clean copy is loaded by Keras."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import stat
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from headstart.lazy import keras
from pretrain.encoders.base import MAX_PARAMETERS
from pretrain.encoders.keras_graph import deferred
from pretrain.engine.runtime import keras_defaults
from pretrain.keras_import import COPY_AGAIN, SAVE_AGAIN, Refusal
from pretrain.keras_import.config import checked_config
from pretrain.keras_import.weights_hdf5 import check_hdf5
from pretrain.weights.sniff import identify
from pretrain.weights.validation import file_sha256, oversize, short

CONFIG, WEIGHTS, METADATA = "config.json", "model.weights.h5", "metadata.json"
# headstart.json is what `transfer` adds to the models that it writes.
MEMBERS = {CONFIG, WEIGHTS, METADATA, "headstart.json", "assets/"}
MAX_JSON = 16 << 20
MAX_WEIGHTS = 4 * MAX_PARAMETERS * 4
SLACK = 64 << 20
TIMES = 8
# What plain values of the wrong kind raise where they are used.
ODD = (TypeError, ValueError, KeyError, IndexError, AttributeError, ArithmeticError, RecursionError)
DEPTH = 200


def load_archive(path: Path, start: Callable[[], None]) -> tuple[Any, str]:
    """Check a ``.keras`` file and return (the Keras model, the file's sha256).

    start: imports Keras. Before it is called everything is checked but sizes that only Keras can tell;
    those are checked before memory for a weight is taken. Raises Refusal.
    """
    with tempfile.TemporaryDirectory() as folder, _archive(path) as archive:
        members = _members(archive)
        metadata = _json(archive, members, METADATA)
        version = metadata.get("keras_version") if isinstance(metadata, dict) else None
        if not isinstance(version, str) or not version.startswith("3."):
            raise Refusal(
                f"it was saved by Keras {short(repr(version))}, and Keras 3 is read", SAVE_AGAIN
            )
        clean = _checked(_json(archive, members, CONFIG))
        weights = Path(folder) / WEIGHTS
        with archive.open(members[WEIGHTS]) as source, weights.open("wb") as target:
            shutil.copyfileobj(source, target)
        check_hdf5(weights, f"its {WEIGHTS}")
        digest = file_sha256(path)
        start()
        with keras_defaults():
            return _load(clean, weights), digest


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
    packed, unpacked = members[WEIGHTS].compress_size, members[WEIGHTS].file_size
    if unpacked > TIMES * packed + SLACK:
        raise Refusal(
            f"its {WEIGHTS} unpacks to {unpacked:,} bytes, far more than the {packed:,} packed"
        )
    return members


def _json(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], name: str) -> Any:
    data = archive.read(members[name])
    if fault := oversize(data, DEPTH):
        raise Refusal(f"its {name} {fault}", COPY_AGAIN)
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Refusal(f"its {name} is not JSON ({short(str(error))})", COPY_AGAIN) from None


def _checked(raw: Any) -> Any:
    try:
        return checked_config(raw)
    except ODD as error:
        what = short(f"{type(error).__name__}: {error}")
        raise Refusal(f"its {CONFIG} is not what Keras 3 writes ({what})", SAVE_AGAIN) from None


def _load(clean: Any, weights: Path) -> Any:
    """Return the Keras model of a clean configuration with its weights, if the file can hold them."""
    try:
        with deferred():
            model = keras.saving.deserialize_keras_object(clean, safe_mode=True)
            _check_size(model, weights.stat().st_size)
        with warnings.catch_warnings():
            # Keras only warns of layers whose weights it does not find.
            warnings.filterwarnings("error", message=".*retain their freshly")
            model.load_weights(weights)
    except Refusal:
        raise
    except Exception as error:  # Keras raises many kinds for options that do not fit together
        raise Refusal(
            f"Keras cannot load it ({short(' '.join(str(error).split()), 400)})", SAVE_AGAIN
        ) from None
    return model


def _check_size(model: Any, stored: int) -> None:
    """Refuse layers whose weights cannot be in the file, before any of them is allocated."""
    count = sum(math.prod(weight.shape) for weight in model.weights)
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
