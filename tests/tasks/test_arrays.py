"""Data sets of arrays: the same as those of the .npz file that holds the arrays."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from headstart.errors import InputError
from tasks.arrays import to_array
from tasks.dataset import Dataset
from tasks.loading.resolve import as_dataset, load_dataset

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (6, 8, 8), np.uint8)
TABLE = RNG.normal(size=(6, 3))
LABELS = np.array(["cat", "dog", "cat", "dog", "cat", "dog"])


class Frame:
    """The part of a DataFrame that is used; pandas is no dependency and may not be installed."""

    def __init__(self, columns, dtype=None):
        self.columns = list(columns)
        self.values = np.array(list(columns.values()), dtype=dtype).T

    def to_numpy(self):
        return self.values


@pytest.mark.parametrize(
    "arrays",
    [
        {"x": IMAGES},
        {"x": IMAGES, "y": LABELS},
        {"x": IMAGES.astype(np.int64), "y": np.arange(6) % 3},
        {"x": TABLE, "y": TABLE[:, 0]},
        {"x": TABLE, "y": (TABLE > 0)},
        {"x": TABLE > 0, "y": LABELS, "x_test": TABLE[:2] > 0, "y_test": LABELS[:2]},
        {"x": TABLE, "y": [1, 0, 1, 0, 1, 0], "class_names": ["no", "yes"]},
        {"x": TABLE, "y": [3, 1, 2, 3, 1, 2], "y_kind": "numbers"},
        {"x": np.asfortranarray(TABLE), "x_test": TABLE[:1]},
    ],
)
def test_arrays_are_as_the_file_that_holds_them(arrays, save_npz):
    from_file = load_dataset(str(save_npz(**arrays)))
    made = Dataset.from_arrays(**arrays)
    assert made.fingerprint == from_file.fingerprint
    for field in ("target", "class_names", "value_range", "kind", "files", "input_shape"):
        assert getattr(made, field) == getattr(from_file, field)
    lists = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in arrays.items()}
    assert Dataset.from_arrays(**lists).fingerprint == from_file.fingerprint
    names = ("x", "y", "x_test", "y_test")
    if set(arrays) == set(names[: len(arrays)]):
        parts = tuple(arrays.values())
        assert as_dataset(parts).fingerprint == from_file.fingerprint


def test_arrays_are_copied():
    x = IMAGES.copy()
    made = Dataset.from_arrays(x)
    before = made.x.copy()
    x[:] = 0
    assert np.array_equal(made.x, before)


def test_whatever_is_given_becomes_a_dataset(save_npz, tmp_path):
    path = save_npz(x=IMAGES, y=LABELS)
    wanted = load_dataset(str(path)).fingerprint
    made = as_dataset((IMAGES, LABELS))
    assert as_dataset(made) is made
    assert (made.name, made.fingerprint) == ("arrays", wanted)
    assert as_dataset(path).fingerprint == as_dataset(str(path)).fingerprint == wanted
    assert as_dataset(f"{path}[dog]").class_names == ("dog",)
    assert as_dataset(IMAGES).y is None
    assert as_dataset(IMAGES.tolist()).fingerprint == as_dataset((IMAGES,)).fingerprint
    for data in (IMAGES, path, load_dataset(str(path))):
        assert as_dataset(data, image_size=(4, 5)).input_shape == (4, 5, 1)


def test_frames_of_other_packages_are_arrays():
    frame = Frame
    table = {"width": [1.5, 2, 3, 4, 5, 6], "height": [1, 2, 3, 4, 5, 6], "wild": [True, False] * 3}
    wanted = Dataset.from_arrays(np.array(list(table.values())).T, LABELS)
    for dtype in (None, object):
        made = frame(table) if dtype is None else frame(table, dtype=dtype)
        assert as_dataset((made, LABELS)).fingerprint == wanted.fingerprint
    column = frame({"label": LABELS.tolist()}, dtype=object)
    assert as_dataset((TABLE, column)).fingerprint == as_dataset((TABLE, LABELS)).fingerprint
    kinds = frame({"kind": ["a", "b"], "size": [1, 2]}, dtype=object)
    missing = frame({"size": [1, 2], "kind": [None, 3]}, dtype=object)
    for wrong, value in ((kinds, "a"), (missing, None)):
        with pytest.raises(InputError) as caught:
            as_dataset((wrong,), argument="unlabelled")
        assert caught.value.argument == "unlabelled"
        assert "x has a column 'kind'" in caught.value.rule
        assert caught.value.value == value


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (None, "is missing"),
        (7, "x must be vectors"),
        ((), "tuple of 0"),
        ((TABLE, LABELS, TABLE), "tuple of 3"),
        ((TABLE, LABELS[:5]), "y must be one label an example, 6 in all. Got 5"),
        ((TABLE, LABELS[:, None]), "y.ravel()"),
        ((TABLE, LABELS, TABLE[:, :2], LABELS), "x_test must have examples of the shape"),
        ((TABLE, LABELS, TABLE, None), "y_test is missing"),
        ([[1, 2], [3]], "x must be an array, every example of one shape"),
        ([["a", "b"]], "x must hold numbers"),
        ((TABLE[:2], ["a", 1]), "y must hold numbers or text, and holds int"),
        ((TABLE[:2], ["a", None]), "y must hold numbers or text, and holds NoneType"),
        ((TABLE[:2], ["a", float("nan")]), "y must hold numbers or text, and holds float. Got nan"),
        ((TABLE[:2], np.array(["a", float("nan")], object)), "holds float. Got nan"),
        ((TABLE[:2], [2**70, 1]), "y must hold numbers or text"),
        (np.ma.masked_array(TABLE, TABLE > 0), "x has masked values"),
        (np.array([[{}]]), "x must hold numbers or text, and holds dict"),
        (object(), "x must hold numbers or text, and holds object"),
        (np.array([["2026-01-01"]], "M8[D]"), "datetime64"),
        (np.zeros((0, 3)), "x is empty"),
        (np.array([[1, np.nan]]), "x has NaN or infinity in 1 of its 2 values"),
    ],
)
def test_unusable_data_is_refused_by_the_name_of_the_argument(data, says):
    with pytest.raises(InputError) as caught:
        as_dataset(data, argument="pool")
    assert caught.value.argument == "pool"
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("given", "argument"),
    [
        ({"y": LABELS, "x_test": TABLE}, "y_test"),
        ({"y_test": LABELS}, "x_test"),
        ({"x_test": TABLE, "y_test": LABELS}, "y"),
        ({"class_names": ["a"]}, "y"),
        ({"y_kind": "classes"}, "y"),
        ({"y": np.arange(6) % 2, "class_names": "ab"}, "class_names"),
        ({"y": np.arange(6) % 2, "class_names": [1, 2]}, "class_names"),
        ({"y": np.arange(6) % 2, "class_names": ["a", "a"]}, "class_names"),
        ({"y": LABELS, "y_kind": 1}, "y_kind"),
    ],
)
def test_arguments_that_do_not_fit_together_are_named(given, argument):
    with pytest.raises(InputError) as caught:
        Dataset.from_arrays(TABLE, **given)
    assert caught.value.argument == argument


def test_objects_that_are_all_numbers_or_all_text_are_taken():
    assert to_array(np.array([1, True, 2], object), "y").dtype == np.int64
    assert to_array(np.array([1, 0.5], object), "y").dtype == np.float64
    assert to_array(np.array(["a", "bc"], object), "y").tolist() == ["a", "bc"]
    assert to_array(["a", "bc"], "y").dtype.kind == "U"
    assert to_array(np.array(["a", "bc"], np.dtypes.StringDType()), "y").dtype.kind == "U"


def test_arrays_need_no_pandas():
    code = (
        "import sys, numpy as np\n"
        "from tasks.loading.resolve import as_dataset\n"
        "as_dataset((np.eye(3), ['a', 'b', 'a']))\n"
        "assert not {'pandas', 'tensorflow', 'keras', 'sklearn', 'scipy', 'PIL'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
