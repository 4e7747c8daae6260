from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from headstart.errors import InputError
from tasks.dataset import Dataset
from tasks.loading.resolve import load_dataset

# The machine may be busy with other work: slowness of one example is no failure.
settings.register_profile("headstart", deadline=None)
settings.load_profile("headstart")


@pytest.fixture(scope="session")
def fashion():
    try:
        return load_dataset("fashion-mnist")
    except InputError as error:
        if "could not be downloaded" not in str(error):
            raise
        pytest.skip(f"Fashion-MNIST is not on this machine: {error}")


@pytest.fixture
def make_dataset():
    def make(y=(0, 0, 1, 1, 2, 2), *, test=None, names=("ant", "bee", "cat"), x=None):
        y = None if y is None else np.array(y, dtype=np.int64)
        n = 6 if y is None else len(y)
        x = np.arange(n * 4, dtype=np.uint8).reshape(n, 4) if x is None else x
        y_test = None if test is None else np.array(test, dtype=np.int64)
        return Dataset(
            name="toy",
            x=x,
            y=y,
            x_test=None if test is None else np.full((len(test), 4), 9, np.uint8),
            y_test=y_test,
            class_names=None if y is None else names,
            value_range=(0, 255),
            source="made up",
        )

    return make


@pytest.fixture
def save_npz(tmp_path):
    def save(name="mine.npz", **arrays) -> Path:
        path = tmp_path / name
        np.savez(path, **arrays)
        return path

    return save


@pytest.fixture
def save_image():
    """Write one image: mode "L" or "RGB" (or any that the format has), filled with a colour."""

    def save(path: Path, *, size=(8, 6), mode="RGB", colour=0, **options) -> Path:
        from PIL import Image

        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new(mode, (size[1], size[0]), colour).save(path, **options)
        return path

    return save
