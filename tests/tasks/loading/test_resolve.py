import subprocess
import sys

import numpy as np
import pytest

from headstart.errors import InputError
from tasks.loading.resolve import folder_size, load_dataset


def test_digits():
    digits = load_dataset("digits")
    assert digits.x.shape == (1797, 8, 8, 1)
    assert digits.x.dtype == np.uint8
    assert digits.x.max() == 16
    assert digits.value_range == (0, 16)
    assert digits.n_classes == 10
    assert digits.x_test is None
    view = load_dataset("digits[3,8]")
    assert view.name == "digits[3,8]"
    assert view.class_names == ("3", "8")
    assert view.value_range == (0, 16)


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ("digts", "Did you mean 'digits'"),
        ("digits/A", r"no short names.*digits\[0,1\]"),
        ("digits[12]", "no class '12'"),
        ("digts[1]", "'digts' is neither.*Did you mean 'digits'"),
        ("digits[1", "neither"),
        ("[1]", "no file or folder ''"),
        ("", "no file or folder ''"),
        ("a\0b", "neither"),
        ("~nobody-of-this-name/x.npz", "no file or folder"),
        ("x" * 5000, "neither"),
    ],
)
def test_what_does_not_exist_is_named(spec, named):
    with pytest.raises(InputError, match=named):
        load_dataset(spec)


def test_unknown_alias_shows_the_views_there_are():
    with pytest.raises(InputError) as caught:
        load_dataset("fashion-mnist/C")
    assert "fashion-mnist/A (= fashion-mnist[^sandal,shirt])" in str(caught.value)
    assert "fashion-mnist/B (= fashion-mnist[sandal,shirt])" in str(caught.value)


def test_missing_path_names_near_files(save_npz):
    path = save_npz("Faces.npz", x=np.zeros((3, 2)))
    with pytest.raises(InputError, match=r"Did you mean 'Faces\.npz'"):
        load_dataset(str(path.with_name("Face.npz")))


def test_a_path_is_named_by_its_base_name_and_takes_views(save_npz):
    path = save_npz(x=np.eye(4), y=["b", "a", "b", "c"])
    assert load_dataset(str(path)).name == "mine.npz"
    view = load_dataset(f"{path}[c,a]")
    assert view.name == "mine.npz[c,a]"
    assert view.class_names == ("c", "a")
    assert str(path.parent) not in view.source


def test_what_exists_is_a_path_even_with_brackets(save_npz, monkeypatch, tmp_path):
    save_npz("digits[3].npz", x=np.ones((5, 2)))
    monkeypatch.chdir(tmp_path)
    assert load_dataset("digits[3].npz").x.shape == (5, 2)
    (tmp_path / "digits[3].npz").rename(tmp_path / "digits[3]")
    with pytest.raises(InputError, match=r"neither a \.npz file, a table"):
        load_dataset("digits[3]")


def test_folder_spelled_as_a_dot_has_a_name(save_image, tmp_path, monkeypatch):
    save_image(tmp_path / "pets" / "1.png")
    monkeypatch.chdir(tmp_path / "pets")
    assert load_dataset(".").name == "pets"


def test_the_size_for_a_folder_with_a_view_or_not(save_image, save_npz, tmp_path, monkeypatch):
    save_image(tmp_path / "pets" / "cat" / "0.png")
    monkeypatch.setenv("HOME", str(tmp_path))
    for spec in (f"{tmp_path}/pets", f"{tmp_path}/pets[cat,dog]", "~/pets", " ~/pets[^cat] "):
        assert folder_size(spec, (32, 24, 3)) == (32, 24)
        assert folder_size(spec, (20,)) is None
    for spec in ("digits", "digits[3,8]", str(save_npz(x=np.ones((4, 8, 8)))), "nowhere"):
        assert folder_size(spec, (32, 24, 3)) is None


@pytest.mark.parametrize("name", ["table.xlsx", "x.npy"])
def test_other_files_are_told_the_way_out(tmp_path, name):
    (tmp_path / name).write_text("1,2")
    with pytest.raises(InputError, match=r"numpy\.savez"):
        load_dataset(str(tmp_path / name))


@pytest.mark.parametrize("size", [(0, 5), (5,), (5, 5000), (2.0, 2)])
def test_image_size_is_checked(size):
    with pytest.raises(InputError) as caught:
        load_dataset("digits", image_size=size)
    assert (caught.value.argument, caught.value.value) == ("image_size", size)


def test_images_of_any_source_are_resized_as_those_of_a_folder_are(save_npz, tmp_path):
    from PIL import Image

    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (3, 9, 6, 3)).astype(np.uint8)
    path = save_npz(x=x, y=[0, 0, 1], x_test=x[:2], y_test=[1, 0])
    for i in range(3):
        Image.fromarray(x[i]).save(tmp_path / f"{i}.png")
    path.rename(tmp_path.parent / "mine.npz")
    as_folder = load_dataset(str(tmp_path), image_size=(4, 5))
    as_array = load_dataset(str(tmp_path.parent / "mine.npz"), image_size=(4, 5))
    assert as_array.x.shape == (3, 4, 5, 3)
    assert np.array_equal(as_array.x, as_folder.x)
    assert np.array_equal(as_array.x_test, as_array.x[:2])
    assert as_array.source.endswith("4x5 (resized, bilinear)")
    view = load_dataset(f"{tmp_path.parent}/mine.npz[1]", image_size=(4, 5))
    assert np.array_equal(view.x, as_array.x[2:])


def test_a_size_that_is_the_images_own_changes_nothing():
    same = load_dataset("digits", image_size=(8, 8))
    assert same.fingerprint == load_dataset("digits").fingerprint
    assert "resized" not in same.source


def test_images_of_floats_and_any_channels_are_resized_within_their_range(save_npz):
    x = np.random.default_rng(0).random((2, 8, 8, 4), np.float32)
    dataset = load_dataset(str(save_npz(x=x)), image_size=(4, 16))
    assert dataset.x.shape == (2, 4, 16, 4)
    assert dataset.x.dtype == np.float32
    assert dataset.value_range == (0, 1)
    assert x.min() <= dataset.x.min() <= dataset.x.max() <= x.max()
    # Halving a side averages: the mean of each channel stays about the same.
    assert np.allclose(dataset.x.mean(axis=(1, 2)), x.mean(axis=(1, 2)), atol=0.03)


def test_vectors_and_huge_results_are_refused(save_npz):
    with pytest.raises(InputError, match="image_size of 16x16 needs images"):
        load_dataset(str(save_npz(x=np.zeros((3, 2)))), image_size=(16, 16))
    with pytest.raises(InputError, match=r"1797 images of 4096x4096 pixels are more than 16 GiB"):
        load_dataset("digits", image_size=(4096, 4096))


def test_tasks_imports_nothing_heavy():
    code = (
        "import sys, tasks.loading.resolve, tasks.task, tasks.duplicates.exact; "
        "import tasks.loading.images, tasks.loading.npz; "
        "heavy = {'tensorflow', 'keras', 'sklearn', 'scipy', 'PIL'} & set(sys.modules); "
        "print(*heavy)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("\n", "")
