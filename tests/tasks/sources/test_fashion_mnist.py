import gzip
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from headstart.errors import InputError
from tasks.loading.resolve import load_dataset
from tasks.sources import fashion_mnist

FILES = [name for _, name, _ in fashion_mnist._FILES]


def idx(array, magic):
    shape = np.array(array.shape, ">u4").tobytes()
    return np.array([magic], ">u4").tobytes() + shape + array.astype(np.uint8).tobytes()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A tiny set in $HEADSTART_DATA: 20 + 10 images, whose pixels are their labels."""
    home = tmp_path / "fashion-mnist"
    home.mkdir()
    for n, images, labels in ((20, FILES[0], FILES[1]), (10, FILES[2], FILES[3])):
        y = np.arange(n) % 10
        x = np.broadcast_to(y[:, None, None], (n, 28, 28))
        (home / images).write_bytes(gzip.compress(idx(x, 2051)))
        (home / labels).write_bytes(gzip.compress(idx(y, 2049)))
    monkeypatch.setenv("HEADSTART_DATA", str(tmp_path))
    return home


def test_the_real_set(fashion):
    assert fashion.x.shape == (60000, 28, 28, 1)
    assert fashion.x_test.shape == (10000, 28, 28, 1)
    assert np.bincount(fashion.y).tolist() == [6000] * 10
    assert np.bincount(fashion.y_test).tolist() == [1000] * 10
    assert fashion.x[0].sum() == 76247
    assert fashion.class_names[fashion.y[0]] == "ankle boot"


def test_the_real_views(fashion):
    a, b = load_dataset("fashion-mnist/A"), load_dataset("Fashion-MNIST/b")
    assert a.name == "fashion-mnist/A"
    assert b.name == "Fashion-MNIST/b"
    assert b.class_names == ("sandal", "shirt")
    assert a.class_names == tuple(n for n in fashion.class_names if n not in b.class_names)
    assert (len(a.x), len(a.x_test), len(b.x), len(b.x_test)) == (48000, 8000, 12000, 2000)
    rows = np.flatnonzero(np.isin(fashion.y, [5, 6]))
    assert np.array_equal(b.x, fashion.x[rows])
    assert np.array_equal(b.y, fashion.y[rows] - 5)
    spelled = load_dataset("fashion-mnist[sandal,6]")
    assert spelled.fingerprint == b.fingerprint


def test_users_folder_comes_first(folder):
    dataset = load_dataset("fashion-mnist")
    assert len(dataset.x) == 20
    assert "$HEADSTART_DATA" in dataset.source
    assert np.array_equal(dataset.x[:, 0, 0, 0], dataset.y)
    assert load_dataset("fashion-mnist[t-shirt/top]").x.max() == 0


def damage(name, change):
    return pytest.param(name, change, id=f"{name}-{change.__name__}")


def cut_short(data):
    return data[: len(data) // 2]


def not_gzip(data):
    return b"<html>not found</html>"


def flipped_bit(data):
    middle = len(data) - 6  # inside the checksum
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def wrong_magic(data):
    return gzip.compress(b"\0\0\7\1" + gzip.decompress(data)[4:])


def one_byte_less(data):
    return gzip.compress(gzip.decompress(data)[:-1])


def one_byte_more(data):
    return gzip.compress(gzip.decompress(data) + b"\0")


def huge_header(data):
    return gzip.compress(gzip.decompress(data)[:4] + b"\xff" * 12)


def no_bytes(data):
    return b""


def label_ten(data):
    return gzip.compress(gzip.decompress(data)[:-1] + b"\x0a")


def one_label_less(data):
    raw = gzip.decompress(data)
    return gzip.compress(raw[:4] + (19).to_bytes(4, "big") + raw[8:-1])


def other_size(data):
    return gzip.compress(idx(np.zeros((20, 8, 8)), 2051))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        damage(FILES[0], cut_short),
        damage(FILES[1], not_gzip),
        damage(FILES[2], flipped_bit),
        damage(FILES[3], wrong_magic),
        damage(FILES[0], one_byte_less),
        damage(FILES[2], one_byte_more),
        damage(FILES[0], huge_header),
        damage(FILES[1], no_bytes),
        damage(FILES[3], label_ten),
        damage(FILES[1], one_label_less),
        damage(FILES[0], other_size),
    ],
)
def test_damage_is_refused_by_file_name(folder, name, change):
    path = folder / name
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(InputError, match=rf"{name} is damaged"):
        load_dataset("fashion-mnist")


def test_missing_file_is_named(folder):
    (folder / FILES[3]).unlink()
    with pytest.raises(InputError, match=f"{FILES[3]} is missing"):
        load_dataset("fashion-mnist")


@pytest.fixture
def keras_only(monkeypatch, tmp_path):
    """No local place has the files; ``keras.datasets.fashion_mnist`` is what the test sets."""
    monkeypatch.setattr(fashion_mnist, "_places", lambda: [(Path(tmp_path), "nowhere")])
    package = types.ModuleType("keras.datasets")
    package.fashion_mnist = types.SimpleNamespace()
    monkeypatch.setitem(sys.modules, "keras.datasets", package)
    monkeypatch.setitem(sys.modules, "keras", types.ModuleType("keras"))
    return package.fashion_mnist


def test_no_download_tells_the_ways_out(keras_only):
    def load_data():
        raise OSError("URL fetch failure")

    keras_only.load_data = load_data
    with pytest.raises(InputError) as caught:
        load_dataset("fashion-mnist")
    for part in ("URL fetch failure", "apt-get install", "$HEADSTART_DATA/fashion-mnist", ".npz"):
        assert part in str(caught.value)


def test_download_keeps_stdout_clean(keras_only, capsys):
    def load_data():
        print("Downloading data")
        part = np.zeros((10, 28, 28), np.uint8), np.arange(10, dtype=np.uint8)
        return part, part

    keras_only.load_data = load_data
    dataset = load_dataset("fashion-mnist")
    assert dataset.x.shape == (10, 28, 28, 1)
    assert "Keras" in dataset.source
    out, err = capsys.readouterr()
    assert out == ""
    assert "Downloading" in err
