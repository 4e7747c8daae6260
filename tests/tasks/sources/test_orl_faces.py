import sys
import types

import numpy as np
import pytest
from PIL import Image

from headstart.errors import InputError
from tasks.loading.resolve import load_dataset
from tasks.sources import orl_faces
from tasks.sources.folders import local_folders


def face(person, number):
    """Every image is one grey, which tells who it is and which."""
    return np.full(orl_faces.SIZE, 6 * person + number % 5, np.uint8)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """All 400 files in $HEADSTART_DATA, as the real ones are named and written."""
    home = tmp_path / "orl-faces"
    for person in range(1, 41):
        (home / f"s{person}").mkdir(parents=True)
        for number in range(1, 11):
            Image.fromarray(face(person, number)).save(home / f"s{person}" / f"{number}.pgm")
    monkeypatch.setenv("HEADSTART_DATA", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    return home


def scikit_learn(monkeypatch, fetch):
    module = types.ModuleType("sklearn.datasets")
    module.fetch_olivetti_faces = fetch
    monkeypatch.setitem(sys.modules, "sklearn.datasets", module)


def test_people_and_pictures_are_in_the_order_of_their_numbers(folder):
    dataset = load_dataset("orl-faces")
    assert dataset.x.shape == (400, 112, 92, 1)
    assert dataset.x.dtype == np.uint8
    assert np.array_equal(dataset.y, np.repeat(np.arange(40), 10))
    assert dataset.class_names == tuple(f"s{k}" for k in range(1, 41))
    assert (dataset.value_range, dataset.kind, dataset.x_test) == ((0, 255), "faces", None)
    expected = [face(person, number)[0, 0] for person in range(1, 41) for number in range(1, 11)]
    assert dataset.x[:, 50, 40, 0].tolist() == expected
    assert str(folder) not in dataset.source
    assert "$HEADSTART_DATA/orl-faces" in dataset.source


def test_a_and_b_share_nobody(folder):
    a, b = load_dataset("orl-faces/A"), load_dataset("orl-faces/B")
    assert a.class_names == tuple(f"s{k}" for k in range(1, 31))
    assert b.class_names == tuple(f"s{k}" for k in range(31, 41))
    assert (len(a.x), len(b.x)) == (300, 100)
    assert b.x[0, 0, 0, 0] == face(31, 1)[0, 0]


def test_the_size_can_be_asked_for(folder):
    assert load_dataset("orl-faces/B", image_size=(56, 46)).x.shape == (100, 56, 46, 1)


def test_it_is_looked_for_in_the_cache_too(folder, tmp_path, monkeypatch):
    monkeypatch.delenv("HEADSTART_DATA")
    cache = tmp_path / "nobody" / ".cache" / "headstart"
    cache.mkdir(parents=True)
    folder.rename(cache / "orl-faces")
    assert load_dataset("orl-faces").source.endswith("from ~/.cache/headstart/orl-faces")


def test_a_missing_file_is_named(folder):
    (folder / "s7" / "10.pgm").unlink()
    with pytest.raises(InputError, match=r"s7/10\.pgm is missing.*scripts/data orl-faces"):
        load_dataset("orl-faces")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "cannot identify"),
        (b"hello", "cannot identify"),
        (b"P5\n92 112\n255\n" + bytes(99), ""),
        (b"P5\n46 56\n255\n" + bytes(46 * 56), "it is 56x46 of mode L"),
        (b"P6\n92 112\n255\n" + bytes(3 * 92 * 112), "of mode RGB"),
        (b"P5\n92000 112000\n255\n", ""),
        (b"P5\n92 112\n255\n" + bytes(1 << 18), "it is larger than 128 kB"),
    ],
)
def test_damage_is_refused_by_file_name(folder, content, says):
    (folder / "s3" / "4.pgm").write_bytes(content)
    with pytest.raises(InputError, match=rf"s3/4\.pgm is damaged: .*{says}"):
        load_dataset("orl-faces")


def test_scikit_learns_copy_is_smaller_and_it_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HEADSTART_DATA", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    people = np.roll(np.repeat(np.arange(40), 10), 10)  # not in order
    images = np.broadcast_to(people[:, None, None] / 255, (400, 64, 64))

    def fetch():
        print("downloading Olivetti faces")
        return types.SimpleNamespace(images=images.astype(np.float32), target=people)

    scikit_learn(monkeypatch, fetch)
    dataset = load_dataset("orl-faces")
    assert dataset.x.shape == (400, 64, 64, 1)
    assert np.array_equal(dataset.x[:, 5, 5, 0], dataset.y)
    assert "64x64 instead of 112x92" in dataset.source
    assert capsys.readouterr().out == ""


def test_a_failed_download_names_the_ways_out(tmp_path, monkeypatch):
    monkeypatch.delenv("HEADSTART_DATA", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))

    def fetch():
        raise OSError("no route to host")

    scikit_learn(monkeypatch, fetch)
    with pytest.raises(InputError, match=r"no route to host.*scripts/data orl-faces.*1\.pgm"):
        load_dataset("orl-faces")


def test_the_real_set():
    if not any((folder / "s1" / "1.pgm").exists() for folder, _ in local_folders("orl-faces")):
        pytest.skip("orl-faces is not on this machine: scripts/data orl-faces")
    dataset = load_dataset("orl-faces")
    assert dataset.x.shape == (400, 112, 92, 1)
    assert len({image.tobytes() for image in dataset.x}) == 400
    assert dataset.x[0, 0, :3, 0].tolist() == [48, 49, 45]
    # Each person's pictures are nearer to each other than to the next one's.
    flat = dataset.x.reshape(40, 10, -1).astype(float)
    own = np.linalg.norm(flat - flat.mean(axis=1, keepdims=True), axis=2).mean()
    other = np.linalg.norm(
        flat - np.roll(flat, 1, axis=0).mean(axis=1, keepdims=True), axis=2
    ).mean()
    assert own < 0.7 * other
