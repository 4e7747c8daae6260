import numpy as np
import pytest

from headstart.errors import InputError
from tasks.loading.resolve import load_dataset
from tasks.targets import to_targets

SEVERAL = np.array([[1, 1, 0], [0, 0, 0], [0, 1, 1]])


def targets(y, y_test=None, **how):
    y, y_test = np.array(y), None if y_test is None else np.array(y_test)
    return to_targets(y, y_test, len(y), 0 if y_test is None else len(y_test), **how)


@pytest.mark.parametrize(
    ("y", "how", "dtype", "expected"),
    [
        ([0.5, 2, 1], {}, np.float64, [0.5, 2, 1]),
        ([2.0, 0.0, 1.0], {}, np.int64, [2, 0, 1]),
        ([2.0, 0.0, 1.0], {"kind": "numbers"}, np.float64, [2, 0, 1]),
        ([7, 3, 5], {"kind": "numbers"}, np.float64, [7, 3, 5]),
        ([7, 3, 5], {}, np.int64, [2, 0, 1]),
        (SEVERAL, {}, np.uint8, SEVERAL.tolist()),
        (SEVERAL.astype(bool), {}, np.uint8, SEVERAL.tolist()),
        (SEVERAL.astype(float), {}, np.uint8, SEVERAL.tolist()),
        (np.eye(3), {"kind": "multi-label"}, np.uint8, np.eye(3).tolist()),
    ],
)
def test_what_y_is_can_be_seen_or_is_said(y, how, dtype, expected):
    found, _, _ = targets(y, **how)
    assert found.dtype == dtype
    assert found.tolist() == expected


def test_one_fraction_in_the_test_part_makes_numbers_of_both():
    y, tested, names = targets([1.0, 2.0], [1.5])
    assert (y.dtype, tested.dtype, names) == (np.float64, np.float64, None)


def test_names_of_classes_and_of_labels():
    assert targets([2, 0, 2], names=("a", "b", "c"))[2] == ("a", "b", "c")
    assert targets([2, 0, 2], [1], names=("a", "b", "c"))[1].tolist() == [1]
    assert targets(SEVERAL, names=("a", "b", "c"))[2] == ("a", "b", "c")


@pytest.mark.parametrize(
    ("y", "y_test", "how", "argument", "says"),
    [
        ([0, 1, 2], None, {"kind": "number"}, "y_kind", "Did you mean 'numbers'"),
        ([0, 1, 2], None, {"kind": ["classes"]}, "y_kind", "must be one of"),
        (np.eye(3), None, {}, "y", "y_kind='multi-label'"),
        ([0.5, np.nan, 1], None, {}, "y", "NaN or infinity in 1 of its 3 values"),
        ([0.5, 1, 2], None, {"kind": "classes"}, "y", "y_kind='numbers'"),
        ([0.5, 1e39, 2], None, {}, "y", "too large for float32"),
        (["a", "b", "c"], None, {"kind": "numbers"}, "y", "must be 3 numbers"),
        ([[0, 2], [1, 1]], None, {"kind": "multi-label"}, "y", "0 and 1 only"),
        ([0, 1], None, {"kind": "multi-label"}, "y", "must have shape (2, K)"),
        ([0.5, 1], None, {"names": ("a",)}, "class_names", "must be left out"),
        ([0, 3], None, {"names": ("a", "b")}, "y", "must hold the numbers 0 to 1"),
        ([0, 1], [2], {"names": ("a", "b")}, "y_test", "must hold the numbers 0 to 1"),
        (["a", "b"], None, {"names": ("a", "b")}, "y", "must hold the numbers 0 to 1"),
    ],
)
def test_unusable_targets_are_named(y, y_test, how, argument, says):
    with pytest.raises(InputError) as caught:
        targets(y, y_test, **how)
    assert caught.value.argument == argument
    assert says in str(caught.value)


def test_a_file_says_names_and_kind(save_npz):
    x = np.zeros((3, 2))
    found = load_dataset(str(save_npz(x=x, y=SEVERAL, class_names=["ant", "bee", "cat"])))
    assert (found.target, found.class_names, found.n_classes) == (
        "multi-label",
        ("ant", "bee", "cat"),
        0,
    )
    assert found.classes is None
    found = load_dataset(str(save_npz(x=x, y=np.array([3, 1, 2]), y_kind="numbers")))
    assert (found.target, found.class_names) == ("numbers", None)
    for how, says in (
        ({"y": [0, 1, 2], "y_kind": ["classes"]}, "y_kind must be one of"),
        ({"y": [0, 1, 2], "class_names": [1, 2, 3]}, "class_names must be a list of names"),
        (
            {"y": SEVERAL, "class_names": ["a", "b"]},
            "class_names must be as many as y has labels, 3. Got 2",
        ),
        ({"class_names": ["a", "b"]}, "y is missing: there is class_names"),
    ):
        with pytest.raises(InputError, match=says):
            load_dataset(str(save_npz(x=x, **how)))


def test_a_class_filter_needs_classes(save_npz):
    path = save_npz(x=np.zeros((3, 2)), y=SEVERAL)
    with pytest.raises(InputError, match=r"class filter needs classes.*any of several labels"):
        load_dataset(f"{path}[0,1]")
