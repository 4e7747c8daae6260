from dataclasses import replace

import numpy as np
import pytest

from headstart.errors import InputError
from tasks.arrays import natural_range


def test_shapes_and_classes_are_told(make_dataset):
    dataset = make_dataset()
    assert dataset.input_shape == (4,)
    assert dataset.n_classes == 3
    assert make_dataset(None).n_classes == 0
    assert make_dataset((0, 1), names=None).n_classes == 2


def test_arrays_become_contiguous_and_labels_int64(make_dataset):
    wide = np.zeros((6, 8), np.float32)[:, ::2]
    dataset = make_dataset(x=wide)
    assert dataset.x.flags.c_contiguous
    assert replace(dataset, y=dataset.y.astype(np.uint8)).y.dtype == np.int64


def test_fingerprint_is_of_contents_and_not_of_names(make_dataset):
    dataset = make_dataset(test=(0, 1))
    assert dataset.fingerprint == make_dataset(test=(0, 1)).fingerprint
    assert replace(dataset, name="other", source="elsewhere").fingerprint == dataset.fingerprint
    assert len(dataset.fingerprint) == 64


@pytest.mark.parametrize(
    "change",
    [
        lambda d: {"x": d.x[::-1]},
        lambda d: {"x": d.x.astype(np.float32), "x_test": d.x_test.astype(np.float32)},
        lambda d: {"x": d.x.reshape(6, 2, 2, 1), "x_test": d.x_test.reshape(2, 2, 2, 1)},
        lambda d: {"y": d.y[::-1]},
        lambda d: {"x_test": d.x_test + 1},
        lambda d: {"y_test": d.y_test[::-1]},
        lambda d: {"x_test": None, "y_test": None},
        lambda d: {"class_names": ("ant", "bee", "dog")},
    ],
)
def test_fingerprint_changes_with_any_part(make_dataset, change):
    dataset = make_dataset(test=(0, 1))
    assert replace(dataset, **change(dataset)).fingerprint != dataset.fingerprint


@pytest.mark.parametrize(
    ("change", "argument", "says"),
    [
        ({"x": np.zeros((6, 4))}, "x", "float64"),
        ({"x": np.zeros((6, 2, 2), np.uint8)}, "x", "(6, 2, 2)"),
        ({"x": np.zeros((6, 0), np.uint8)}, "x", "empty"),
        ({"x": [[1, 2]]}, "x", "NumPy"),
        ({"y": np.zeros(5, np.int64)}, "y", "6 in all. Got 5"),
        ({"y": np.zeros(6)}, "y_test", "of the kind of y"),
        ({"y": np.zeros(6), "y_test": np.zeros(2)}, "class_names", "must be left out"),
        ({"y": np.full(6, np.nan), "y_test": np.zeros(2)}, "y", "NaN"),
        ({"y": np.zeros(6, bool)}, "y", "6 integers"),
        (
            {"y": np.eye(6, 2, dtype=int), "y_test": np.eye(2, dtype=int)},
            "class_names",
            "as many as y has labels, 2. Got 3",
        ),
        ({"y": np.full((6, 3), 2), "y_test": np.eye(2, 3)}, "y", "0 and 1"),
        (
            {"y": np.ones((6, 1), int), "y_test": np.ones((2, 1), int)},
            "y",
            "two or more of them",
        ),
        ({"y": np.array([0, 1, 2, 0, 1, -1])}, "y", "-1"),
        ({"y": np.array([0, 1, 2, 0, 1, 3])}, "class_names", "y has class 3"),
        ({"x_test": np.zeros((2, 5), np.uint8)}, "x_test", "(5,)"),
        ({"x_test": np.zeros((2, 4), np.float32)}, "x_test", "float32"),
        ({"y_test": None}, "y_test", "together with x_test"),
        ({"y_test": np.array([0, 7])}, "y_test", "has classes that y has not"),
        ({"y": None}, "y_test", "no y"),
        ({"y": None, "y_test": None}, "class_names", "without y"),
        ({"class_names": ("ant", "ant", "bee")}, "class_names", "same name"),
        ({"value_range": (3, 3)}, "value_range", "rising"),
    ],
)
def test_a_field_that_breaks_its_rule_is_named(make_dataset, change, argument, says):
    with pytest.raises(InputError) as caught:
        replace(make_dataset(test=(0, 1)), **change)
    assert caught.value.argument == argument
    assert says in str(caught.value)


def test_its_repr_says_what_it_holds(make_dataset):
    assert repr(make_dataset(test=(0, 1))) == (
        "<Dataset 'toy': 6 examples + 2 for the test, 4; y is one class an example, 3 classes>"
    )
    assert "unlabelled" in repr(make_dataset(None))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.5], (0, 1)),
        ([-0.1, 0.5], (-1, 1)),
        ([-0.02, 0.98], (0, 1)),  # brightness that was resized by a spline
        ([-0.02, 1.03], (0, 1)),
        ([0.0, 1.05], (0, 1)),
        ([-0.2, 1.0], (-1, 1)),
        ([-0.05, 0.05], (-1, 1)),
        ([-3.0, 5.0], (-3, 5)),
        ([0.0, 1.5], (0, 1.5)),
        ([7.0, 7.0], (7, 14)),
        ([1e30, 1e30], (np.float32(1e30), 2 * float(np.float32(1e30)))),
    ],
)
def test_natural_range_of_floats(values, expected):
    assert natural_range(np.array(values, np.float32)) == pytest.approx(expected)


def test_natural_range_of_bytes():
    assert natural_range(np.array([3, 4], np.uint8)) == (0, 255)
