import subprocess
import sys

import numpy as np
import pytest

from tasks.errors import InputError
from tasks.load import load_dataset


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
        ("digits/A", r"no views with a name.*digits\[0,1\]"),
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
    with pytest.raises(InputError, match=r"neither a \.npz file nor a folder"):
        load_dataset("digits[3]")


def test_folder_spelled_as_a_dot_has_a_name(save_image, tmp_path, monkeypatch):
    save_image(tmp_path / "pets" / "1.png")
    monkeypatch.chdir(tmp_path / "pets")
    assert load_dataset(".").name == "pets"


@pytest.mark.parametrize("name", ["table.csv", "x.npy"])
def test_other_files_are_told_the_way_out(tmp_path, name):
    (tmp_path / name).write_text("1,2")
    with pytest.raises(InputError, match=r"numpy\.savez"):
        load_dataset(str(tmp_path / name))


@pytest.mark.parametrize("size", [(0, 5), (5,), (5, 5000), (2.0, 2)])
def test_image_size_is_checked(size):
    with pytest.raises(InputError, match="Image size"):
        load_dataset("digits", image_size=size)


def test_only_folders_are_resized():
    assert load_dataset("digits", image_size=(8, 8)).input_shape == (8, 8, 1)
    with pytest.raises(InputError, match="16x16"):
        load_dataset("digits", image_size=(16, 16))


def test_tasks_imports_nothing_heavy():
    code = (
        "import sys, tasks.load, tasks.target, tasks.overlap, tasks.folder, tasks.npz; "
        "heavy = {'tensorflow', 'keras', 'sklearn', 'scipy', 'PIL'} & set(sys.modules); "
        "print(*heavy)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("\n", "")
