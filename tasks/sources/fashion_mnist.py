"""Fashion-MNIST: find its four idx files and read them, checking every byte."""

from __future__ import annotations

import gzip
import os
import sys
import zlib
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from headstart.errors import InputError
from tasks.sources.folders import find_files, local_folders

CLASS_NAMES = (
    "t-shirt/top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)

# (field, file, idx magic: 2051 is bytes in three dimensions, 2049 bytes in one)
_FILES = (
    ("x", "train-images-idx3-ubyte.gz", 2051),
    ("y", "train-labels-idx1-ubyte.gz", 2049),
    ("x_test", "t10k-images-idx3-ubyte.gz", 2051),
    ("y_test", "t10k-labels-idx1-ubyte.gz", 2049),
)


def load_fashion_mnist(seed: int = 0) -> dict[str, Any]:
    """Read Fashion-MNIST from a local folder, or else download it with Keras; ``seed`` has no effect.

    Returns:
        The fields of the Dataset: x (60000, 28, 28, 1) uint8 and so on.

    Raises:
        InputError: a file is damaged or missing, or nothing can be downloaded.
    """
    names = [name for _, name, _ in _FILES]
    found = find_files("Fashion-MNIST", names, _places(), "Add it, or move the folder away.")
    if found is None:
        return _fields(_download(), "Fashion-MNIST, downloaded by Keras")
    folder, label = found
    return _fields(read_folder(folder), f"Fashion-MNIST from {label}")


def _fields(arrays: dict[str, np.ndarray], source: str) -> dict[str, Any]:
    about = {"class_names": CLASS_NAMES, "value_range": (0.0, 255.0), "kind": "objects"}
    return {**arrays, **about, "source": source}


def _places() -> list[tuple[Path, str]]:
    """Return the folders to search, as ``local_folders`` does."""
    *given, own = local_folders("fashion-mnist")
    debian = "/usr/share/datasets/fashion-mnist"
    packaged = (Path(debian), f"{debian} (Debian package dataset-fashion-mnist)")
    keras = "~/.keras/datasets/fashion-mnist"
    return [*given, packaged, own, (Path(keras).expanduser(), f"{keras} (Keras' cache)")]


def read_folder(folder: Path) -> dict[str, np.ndarray]:
    """Return x, y, x_test and y_test from the four files in ``folder``; InputError if damaged."""
    fields: dict[str, np.ndarray] = {}
    for field, name, magic in _FILES:
        path = folder / name
        array = read_idx(path, magic)
        if array.ndim == 3:
            if array.shape[1:] != (28, 28):
                raise _damaged(path, f"it holds images of {array.shape[1:]}")
            fields[field] = array[..., np.newaxis]
            continue
        if len(array) != len(fields["x" if field == "y" else "x_test"]):
            raise _damaged(path, f"{len(array)} labels, and not one an image")
        if array.max(initial=0) >= len(CLASS_NAMES):
            raise _damaged(path, f"it holds the label {array.max()}, above 9")
        fields[field] = array.astype(np.int64)
    return fields


def read_idx(path: Path, magic: int) -> np.ndarray:
    """Read a gzipped idx file of bytes; the last byte of ``magic`` is the number of dimensions.

    Raises:
        InputError: magic, sizes, length or checksum do not fit.
    """
    header = 4 * (1 + magic % 256)
    try:
        with gzip.open(path) as file:
            words = np.frombuffer(file.read(header), dtype=">u4")
            if len(words) * 4 != header or words[0] != magic:
                raise ValueError(f"it does not begin as an idx file of type {magic}")
            shape = tuple(int(word) for word in words[1:])
            size = int(np.prod(shape, dtype=object))
            if not 0 < size <= 1 << 31:
                raise ValueError(f"it declares {shape} values")
            data = file.read(size)
            # Reading on past the end is what makes gzip check its sum.
            if len(data) != size or file.read(1):
                raise ValueError(f"it does not hold the {size} bytes that it declares")
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise _damaged(path, str(error)) from None
    return np.frombuffer(data, dtype=np.uint8).reshape(shape).copy()


def _damaged(path: Path, reason: str) -> InputError:
    return InputError(f"{path} is damaged: {reason}.", hint="Delete it or fetch it again.")


def _download() -> dict[str, np.ndarray]:
    try:
        # Keras prints its progress to stdout, which belongs to results.
        with redirect_stdout(sys.stderr):
            # A keras.json may name a backend that is not there.
            os.environ["KERAS_BACKEND"] = "tensorflow"
            from keras.datasets import fashion_mnist

            (x, y), (x_test, y_test) = fashion_mnist.load_data()
    except Exception as error:
        raise InputError(
            "Fashion-MNIST was not found on this machine and could not be downloaded "
            f"({str(error)[:200]}).",
            hint="Ways out: apt-get install -y dataset-fashion-mnist; or put its four -ubyte.gz files into "
            "$HEADSTART_DATA/fashion-mnist; or give any .npz file of your own as the data.",
        ) from error
    return {
        "x": x[..., np.newaxis],
        "y": y.astype(np.int64),
        "x_test": x_test[..., np.newaxis],
        "y_test": y_test.astype(np.int64),
    }
