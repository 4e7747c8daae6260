"""Load .npz files: every header is checked before any array is read."""

from __future__ import annotations

import math
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np

from headstart.errors import InputError, suggest
from tasks.dataset import Dataset

KEYS = ("x", "y", "x_test", "y_test", "class_names", "y_kind")
MAX_BYTES = 16 << 30

# Names that other tools give to the same arrays and that look too different to be guessed.
_OTHER_NAMES = {"x_train": "x", "y_train": "y", "arr_0": "x", "arr_1": "y", "data": "x"}
_OTHER_NAMES |= {"labels": "y", "target": "y", "images": "x"}


def load_npz(path: Path) -> Dataset:
    """Load a .npz file; its keys are the arguments of ``Dataset.from_arrays``, of which only x is needed.

    Raises:
        InputError: the file is damaged or above 16 GiB, or holds unknown keys, pickled objects (which are
            never read) or arrays that ``Dataset.from_arrays`` refuses.
    """
    arrays, where = _read(path), path.name
    if "y_kind" in arrays:
        arrays["y_kind"] = arrays["y_kind"].tolist()
    try:
        return Dataset.from_arrays(**arrays, name=where, source=f"file {where}")
    except InputError as error:
        raise error.about(f"{where}:") from None


def _read(path: Path) -> dict[str, Any]:
    """Return the arrays by key; all keys are in KEYS, and x is there."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(archive, path)
            _check_headers(archive, members, path)
            arrays = {}
            for key, member in members.items():
                with archive.open(member) as file:
                    arrays[key] = np.lib.format.read_array(file, allow_pickle=False)
            return arrays
    except zipfile.BadZipFile as error:
        raise InputError(
            f"{path} is not a whole .npz file ({error}).",
            hint="It may be cut short, or be another kind of file: write it with "
            "numpy.savez('data.npz', x=examples, y=labels).",
        ) from None
    except (OSError, EOFError, ValueError, zlib.error, NotImplementedError, RuntimeError) as error:
        raise InputError(f"{path} cannot be read: {error}.") from None
    except MemoryError:
        raise InputError(f"{path} does not fit into this machine's memory.") from None


def _members(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    members: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        key = member.filename.removesuffix(".npy")
        if key in members:
            raise InputError(f"{path} holds {key!r} twice.")
        members[key] = member
        if key not in KEYS:
            other = _OTHER_NAMES.get(key.lower())
            hint = f" Is it {other!r}?" if other else suggest(key, KEYS)
            raise InputError(
                f"{path} has an array of unknown name, {key!r}.",
                hint=f"{hint.strip()} Known are x (needed), y, x_test, y_test, class_names and y_kind.",
            )
    if "x" not in members:
        has = ", ".join(members) or "nothing"
        raise InputError(f"{path} has no array 'x', the examples. It holds {has}.")
    return members


def _check_headers(
    archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], path: Path
) -> None:
    """Refuse, by the headers alone, objects, damaged arrays and more than MAX_BYTES."""
    total = 0
    for key, member in members.items():
        with archive.open(member) as file:
            shape, dtype = _header(file, key, path)
            if dtype.hasobject:
                raise InputError(
                    f"{path}: {key} holds Python objects, which are never read, for they can run code.",
                    hint="Save it as numbers (or, for y, as text): x.astype('float32').",
                )
            size = math.prod(shape, start=dtype.itemsize)
            if min(shape, default=0) < 0 or size != member.file_size - file.tell():
                raise InputError(
                    f"{path}: {key} declares {size} bytes of shape {shape} and the file holds "
                    f"{member.file_size - file.tell()}. It is damaged."
                )
        total += size
        if total > MAX_BYTES:
            raise InputError(
                f"{path} holds more than {MAX_BYTES >> 30} GiB ({key} alone: {size >> 20} MiB), "
                "which is more than is read into memory.",
                hint="Give a smaller part of it.",
            )


def _header(file: IO[bytes], key: str, path: Path) -> tuple[tuple[int, ...], np.dtype]:
    try:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        elif version == (2, 0):
            shape, _, dtype = np.lib.format.read_array_header_2_0(file)
        else:  # (3, 0) serves only records with non-ASCII field names
            raise ValueError(f"array format {version} is not supported")
    except ValueError as error:
        text = str(error).splitlines()[0]
        raise InputError(f"{path}: {key} is not an array that can be read: {text}.") from None
    return shape, dtype
