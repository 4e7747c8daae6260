import os

import numpy as np
import pytest

from headstart.errors import InputError
from tasks.loading.images import load_folder


@pytest.fixture
def pets(save_image, tmp_path):
    """Two classes of two images: cats are dark and dogs are light."""
    root = tmp_path / "pets"
    for i in range(2):
        save_image(root / "cat" / f"{i}.png", colour=(10 + i,) * 3)
        save_image(root / "dog" / f"{i}.png", colour=(210 + i,) * 3)
    return root


def refused(root, *named, **options):
    with pytest.raises(InputError) as caught:
        load_folder(root, **options)
    for part in named:
        assert part in str(caught.value)


def test_subfolders_are_classes(pets):
    dataset = load_folder(pets)
    assert dataset.name == "pets"
    assert dataset.class_names == ("cat", "dog")
    assert dataset.y.tolist() == [0, 0, 1, 1]
    assert dataset.x.shape == (4, 8, 6, 3)
    assert dataset.x[:, 0, 0, 0].tolist() == [10, 11, 210, 211]
    assert dataset.x_test is None
    assert dataset.source == "image folder pets: 4 images, 8x6"


def test_flat_images_are_unlabelled_and_sorted_by_name(save_image, tmp_path):
    for name, colour in (("b.png", 2), ("a.jpg", 1), ("c.bmp", 3)):
        save_image(tmp_path / name, mode="L", colour=colour)
    dataset = load_folder(tmp_path)
    assert dataset.y is None
    assert dataset.class_names is None
    assert dataset.x[:, 0, 0].tolist() == [[1], [2], [3]]


def test_names_that_cannot_be_written_are_refused(pets):
    """As an old archive leaves them: Latin-1, which is no UTF-8."""
    (pets / "cat" / "0.png").rename(pets / "cat" / os.fsdecode(b"caf\xe9.png"))
    refused(pets, r"'caf\udce9.png' is not UTF-8", "Rename it")


def test_train_and_test_folders(pets, save_image, tmp_path):
    (tmp_path / "both").mkdir()
    pets.rename(tmp_path / "both" / "train")
    assert load_folder(tmp_path / "both").x_test is None
    save_image(tmp_path / "both" / "test" / "dog" / "9.png", size=(5, 5), colour=(99,) * 3)
    dataset = load_folder(tmp_path / "both")
    assert dataset.class_names == ("cat", "dog")
    assert dataset.y_test.tolist() == [1]
    assert dataset.x.shape == (4, 64, 64, 3)  # one size for both parts
    assert dataset.x_test[0, 0, 0].tolist() == [99, 99, 99]
    save_image(tmp_path / "both" / "test" / "dogs" / "9.png")
    refused(tmp_path / "both", "'dogs'", "Did you mean 'dog'")


def test_train_and_test_must_both_hold_classes(pets, save_image, tmp_path):
    root = tmp_path / "both"
    (root / "test").mkdir(parents=True)
    pets.rename(root / "train")
    refused(root, str(root / "test"), "class folders")
    save_image(root / "test" / "1.png")
    refused(root, str(root / "test"), "class folders")
    (root / "train").rename(root / "other")
    refused(root, "'other'", "holds the folder 'cat'")
    (root / "test" / "1.png").unlink()
    (root / "test").rmdir()
    (root / "other").rename(root / "test")
    refused(root, "test/ and no train/")


def test_classes_may_be_called_train_and_test(save_image, tmp_path):
    for name in ("train", "test"):
        save_image(tmp_path / name / "1.png")
    assert load_folder(tmp_path).class_names == ("test", "train")


def test_litter_is_ignored(pets):
    before = load_folder(pets)
    for name in (".DS_Store", "Thumbs.db", "cat/.DS_Store", "dog/desktop.ini", "cat/._0.png"):
        (pets / name).write_bytes(b"junk")
    for name in ("__MACOSX", ".git"):
        (pets / name).mkdir()
        (pets / name / "1.png").write_bytes(b"junk")
    assert load_folder(pets).fingerprint == before.fingerprint


def test_the_place_of_the_folder_does_not_matter(pets, tmp_path):
    before = load_folder(pets)
    (tmp_path / "deeper").mkdir()
    moved = load_folder(pets.rename(tmp_path / "deeper" / "animals"))
    assert moved.fingerprint == before.fingerprint
    assert str(tmp_path) not in before.source


def test_unusable_layouts_are_named(pets, save_image, tmp_path):
    (tmp_path / "none").mkdir()
    refused(tmp_path / "none", str(tmp_path / "none"), "is empty")
    (pets / "emu").mkdir()
    refused(pets, "'emu'", "is empty")
    (pets / "emu" / "small").mkdir()
    refused(pets, "'emu'", "'small'")


@pytest.mark.parametrize("skip", [False, True])
def test_images_beside_folders_are_refused(pets, save_image, skip):
    save_image(pets / "stray.png")
    refused(pets, "mixes", "cat", "stray.png", skip_unreadable=skip)


def test_other_files_beside_folders_may_be_skipped(pets):
    (pets / "README.txt").write_text("hello")
    refused(pets, "mixes", "README.txt")
    assert "1 unreadable files skipped" in load_folder(pets, skip_unreadable=True).source


def test_unreadable_files_are_named_counted_and_skipped(pets, save_image):
    before = load_folder(pets)
    whole = (pets / "cat" / "0.png").read_bytes()
    bad = {
        "half.png": whole[: len(whole) // 2],
        "text.png": b"I am no image",
        "empty.jpg": b"",
        "notes.txt": b"notes",
        "page.html": b"<html>",
        "zz.gif": b"GIF89a",
    }
    for name, data in bad.items():
        (pets / "dog" / name).write_bytes(data)
    refused(pets, "6 of 10 files", "dog/half.png", "dog/notes.txt (not an image)", "and 1 more")
    dataset = load_folder(pets, skip_unreadable=True)
    assert dataset.fingerprint == before.fingerprint
    assert dataset.source == "image folder pets: 4 images, 8x6, 6 unreadable files skipped"


def test_nothing_readable_is_refused_even_when_skipping(pets):
    for i in range(2):
        (pets / "cat" / f"{i}.png").write_bytes(b"junk")
    refused(pets, "class 'cat'", skip_unreadable=True)
    for i in range(2):
        (pets / "dog" / f"{i}.png").write_bytes(b"junk")
    refused(pets, "None of 4 files", "cat/0.png", skip_unreadable=True)


def test_pipes_and_dangling_links_are_unreadable(pets):
    os.mkfifo(pets / "cat" / "pipe.png")
    (pets / "cat" / "link.png").symlink_to(pets / "nowhere.png")
    refused(pets, "2 of 6 files", "cat/link.png (not a file)", "cat/pipe.png (not a file)")
    assert len(load_folder(pets, skip_unreadable=True).x) == 4


def test_one_class_is_a_set(pets):
    for i in range(2):
        (pets / "dog" / f"{i}.png").unlink()
    (pets / "dog").rmdir()
    dataset = load_folder(pets)
    assert dataset.n_classes == 1
    assert np.array_equal(dataset.y, [0, 0])
