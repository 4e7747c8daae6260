"""Fashion-MNIST: where its four idx files may lie, and reading them without trust."""

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
    """Return the fields of the Dataset: x (60000, 28, 28, 1) uint8 and so on.

    Looks into the local places first, then asks Keras to download it. Raises InputError for files
    that are damaged or incomplete (naming the file) and when nothing can be downloaded.
    """
    for folder, label in _places():
        present = [name for _, name, _ in _FILES if (folder / name).exists()]
        if len(present) == len(_FILES):
            return {
                **read_folder(folder),
                "class_names": CLASS_NAMES,
                "value_range": (0.0, 255.0),
                "source": f"Fashion-MNIST from {label}",
                "kind": "objects",
            }
        # Keras fills its own cache file by file, so there a part is no error: it goes on itself.
        if present and "Keras" not in label:
            missing = next(name for _, name, _ in _FILES if name not in present)
            raise InputError(
                f"Fashion-MNIST in {folder} is incomplete: {missing} is missing. Add it, or move "
                "the folder away."
            )
    return _download()


def _places() -> list[tuple[Path, str]]:
    """The folders to look into, in order, each with words that name no user's home."""
    places = []
    if os.environ.get("HEADSTART_DATA"):
        folder = Path(os.environ["HEADSTART_DATA"]).expanduser() / "fashion-mnist"
        places.append((folder, "$HEADSTART_DATA/fashion-mnist"))
    debian = "/usr/share/datasets/fashion-mnist"
    places.append((Path(debian), f"{debian} (Debian package dataset-fashion-mnist)"))
    own = "~/.cache/headstart/fashion-mnist"
    keras = "~/.keras/datasets/fashion-mnist"
    places.append((Path(own).expanduser(), own))
    places.append((Path(keras).expanduser(), f"{keras} (Keras' cache)"))
    return places


def read_folder(folder: Path) -> dict[str, np.ndarray]:
    """Return x, y, x_test and y_test from the four files in ``folder``; InputError if damaged."""
    fields: dict[str, np.ndarray] = {}
    for field, name, magic in _FILES:
        path = folder / name
        array = read_idx(path, magic)
        if array.ndim == 3:
            if array.shape[1:] != (28, 28):
                raise InputError(f"{path} is damaged: it holds images of {array.shape[1:]}.")
            fields[field] = array[..., np.newaxis]
            continue
        if len(array) != len(fields["x" if field == "y" else "x_test"]):
            raise InputError(f"{path} is damaged: {len(array)} labels, and not one an image.")
        if array.max(initial=0) >= len(CLASS_NAMES):
            raise InputError(f"{path} is damaged: it holds the label {array.max()}, above 9.")
        fields[field] = array.astype(np.int64)
    return fields


def read_idx(path: Path, magic: int) -> np.ndarray:
    """Return the uint8 array of a gzipped idx file, whose dimensions are the magic's last byte.

    Raises InputError that names the file unless magic, sizes, length and checksum all fit.
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
        raise InputError(f"{path} is damaged: {error}. Delete it or fetch it again.") from None
    return np.frombuffer(data, dtype=np.uint8).reshape(shape).copy()


def _download() -> dict[str, Any]:
    try:
        # Keras prints its progress to stdout, which belongs to results.
        with redirect_stdout(sys.stderr):
            from keras.datasets import fashion_mnist

            (x, y), (x_test, y_test) = fashion_mnist.load_data()
    except Exception as error:
        raise InputError(
            "Fashion-MNIST was not found on this machine and could not be downloaded "
            f"({str(error)[:200]}). Ways out: apt-get install -y dataset-fashion-mnist; or put its "
            "four -ubyte.gz files into $HEADSTART_DATA/fashion-mnist; or give any .npz file of "
            "your own as the data."
        ) from error
    return {
        "x": x[..., np.newaxis],
        "y": y.astype(np.int64),
        "x_test": x_test[..., np.newaxis],
        "y_test": y_test.astype(np.int64),
        "class_names": CLASS_NAMES,
        "value_range": (0.0, 255.0),
        "source": "Fashion-MNIST, downloaded by Keras",
        "kind": "objects",
    }
