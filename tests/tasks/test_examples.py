import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from headstart.errors import InputError
from tasks.arrays import to_examples
from tasks.targets import to_labels


@pytest.mark.parametrize(
    ("x", "dtype", "span"),
    [
        (np.array([[[0, 25]]], np.uint8), np.uint8, (0, 255)),
        (np.array([[[0, 25]]], np.int64), np.uint8, (0, 255)),
        (np.array([[[0, 256]]], np.int64), np.float32, (0, 256)),
        (np.array([[[True, False]]]), np.uint8, (0, 1)),
        (np.array([[0, 25]], np.uint8), np.float32, (0, 25)),
        (np.array([[0, 255]], np.int64), np.float32, (0, 255)),
        (np.array([[-1, 5]], np.int8), np.float32, (-1, 5)),
        (np.array([[True, False]]), np.float32, (0, 1)),
        (np.array([[0.0, 1.0]], np.float16), np.float32, (0, 1)),
        (np.array([[-1.0, 1.0]], ">f8"), np.float32, (-1, 1)),
        (np.array([[0.0, 255.0]]), np.float32, (0, 255)),
    ],
)
def test_types_become_bytes_or_float32(x, dtype, span):
    examples, none, value_range = to_examples(x)
    assert none is None
    assert examples.dtype == dtype
    assert examples.dtype.isnative
    assert value_range == span
    assert np.array_equal(examples.astype(float).ravel(), x.astype(float).ravel())


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32, np.float64])
def test_a_table_means_the_same_in_every_type(dtype):
    x = np.eye(4)
    found, _, span = to_examples(x.astype(dtype), x.astype(np.uint8))
    assert (found.dtype, found.tolist(), span) == (np.float32, x.tolist(), (0, 1))


def test_columns_that_float32_cannot_tell_apart_are_refused():
    seconds = 1_700_000_000 + np.arange(200) % 50
    with pytest.raises(InputError) as caught:
        to_examples(np.stack([np.arange(200), seconds], axis=1))
    assert caught.value.argument == "x"
    assert "column, 1, from 1700000000 to 1700000049" in caught.value.rule
    assert "128 apart" in caught.value.rule or "202" in caught.value.rule
    to_examples(np.stack([np.arange(200), seconds - 1_700_000_000], axis=1))


def test_range_is_of_the_training_part_and_type_of_both():
    train, test, span = to_examples(np.array([[0, 2]]), np.array([[0, 300]]))
    assert train.dtype == test.dtype == np.float32
    assert span == (0, 2)


@pytest.mark.parametrize(
    ("shape", "becomes"),
    [((2, 3), (2, 3)), ((2, 3, 5), (2, 3, 5, 1)), ((2, 3, 5, 3), (2, 3, 5, 3))],
)
def test_images_get_a_channel_axis(shape, becomes):
    assert to_examples(np.zeros(shape))[0].shape == becomes


@pytest.mark.parametrize(
    ("x", "x_test", "argument", "says"),
    [
        (np.zeros(5), None, "x", r"reshape it to (5, 1)"),
        (np.zeros(()), None, "x", "Got ()"),
        (np.zeros((1, 2, 3, 4, 5)), None, "x", "(1, 2, 3, 4, 5)"),
        (np.zeros((2, 3, 32, 32)), None, "x", "moveaxis(x, 1, -1)"),
        (np.zeros((2, 32, 32, 5)), None, "x", "1 to 4"),
        (np.zeros((0, 3)), None, "x", "is empty"),
        (np.zeros((2, 3)), np.zeros((0, 3)), "x_test", "is empty"),
        (np.zeros((2, 3)), np.zeros((2, 4)), "x_test", "(3,). Got (4,)"),
        (np.zeros((2, 3, 3)), np.zeros((2, 3, 3), np.uint8), "x_test", "type of x, float64"),
        (np.zeros((2, 3), complex), None, "x", "complex128"),
        (np.array([["a", "b"]]), None, "x", "<U1"),
        (np.array([[1, 2], [np.nan, np.inf]]), None, "x", "in 2 of its 4 values"),
        (np.array([[1, 2], [np.nan, np.inf]]), None, "x", "(nan) at index (1, 0)"),
        (np.zeros((1, 2)), np.array([[0, -np.inf]]), "x_test", "at index (0, 1)"),
        (np.array([[1e300, 0]]), None, "x", "too large"),
    ],
)
def test_examples_that_cannot_be_used_are_named(x, x_test, argument, says):
    with pytest.raises(InputError) as caught:
        to_examples(x, x_test)
    assert caught.value.argument == argument
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("y", "expected", "names"),
    [
        ([0, 1, 2], [0, 1, 2], None),
        ([2.0, 0.0, 1.0], [2, 0, 1], None),
        ([1, 2, 1], [0, 1, 0], ("1", "2")),
        ([10, 2, -3], [2, 1, 0], ("-3", "2", "10")),
        ([0, 2], [0, 1], ("0", "2")),
        ([True, False], [1, 0], ("False", "True")),
        ([False, False], [0, 0], ("False",)),
        (["dog", "cat", "dog"], [1, 0, 1], ("cat", "dog")),
        ([b"dog", "kätzchen".encode()], [0, 1], ("dog", "kätzchen")),
        (np.array([1, 0], np.uint64), [1, 0], None),
    ],
)
def test_labels_become_indices(y, expected, names):
    y = np.array(y)
    labels, _, class_names = to_labels(y, None, len(y), 0)
    assert labels.dtype == np.int64
    assert labels.tolist() == expected
    assert class_names == names


def test_test_labels_get_the_indices_of_the_training_classes():
    _, tested, names = to_labels(np.array([7, 3, 5]), np.array([5.0, 7.0]), 3, 2)
    assert names == ("3", "5", "7")
    assert tested.tolist() == [1, 2]
    _, tested, _ = to_labels(np.array(["b", "a"]), np.array(["b"]), 2, 1)
    assert tested.tolist() == [1]


@pytest.mark.parametrize(
    ("y", "y_test", "argument", "says"),
    [
        (np.eye(3), None, "y", "numpy.argmax(y, axis=1)"),
        (np.zeros((3, 1)), None, "y", "y.ravel()"),
        (np.array(1), None, "y", "Got ()"),
        (np.array([0, 1]), None, "y", "one label an example, 3 in all. Got 2"),
        (np.array([0, 0.5, 1]), None, "y", "0.5 at index 1"),
        (np.array([0, np.nan, 1]), None, "y", "NaN or infinity in 1 of its 3 values"),
        (np.array([0, 1, 1e300]), None, "y", "index 2"),
        (np.array([1, 2, 1j]), None, "y", "complex128"),
        (np.array([1, 2, 2**64 - 1], np.uint64), None, "y", "too large"),
        (np.array([b"a", b"b", b"\xff"]), None, "y", "not UTF-8"),
        (np.array([0, 1, 2]), np.array([0, 3, 4]), "y_test", "2 classes that y has not: 3, 4"),
        (np.array([0, 1, 2]), np.array(["0", "1"]), "y_test", "text and the other numbers"),
        (np.array([0, 1, 2]), np.array([0]), "y_test", "2 in all. Got 1"),
    ],
)
def test_labels_that_cannot_be_used_are_named(y, y_test, argument, says):
    n_test = 0 if y_test is None else max(2, len(y_test))
    with pytest.raises(InputError) as caught:
        to_labels(y, y_test, 3, n_test)
    assert caught.value.argument == argument
    assert says in str(caught.value)


@given(
    hnp.arrays(np.int64, st.integers(1, 30), elements=st.integers(-(2**63), 2**63 - 1))
    | hnp.arrays(np.dtype("U3"), st.integers(1, 30))
)
def test_labels_can_be_turned_back(y):
    labels, _, names = to_labels(y, None, len(y), 0)
    assert sorted(set(labels.tolist())) == list(range(int(labels.max()) + 1))
    back = [str(k) if names is None else names[k] for k in labels]
    assert back == [str(label) for label in y.tolist()]
