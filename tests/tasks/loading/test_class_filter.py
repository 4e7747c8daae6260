import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.errors import InputError
from tasks.dataset import Dataset
from tasks.loading.resolve import filter_classes, pick_classes

NAMES = ("T-shirt/top", "ankle boot", "7", "shirt", "Shirt ", "0")


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        ("shirt,t-shirt/TOP", [3, 0]),
        (" ankle boot , 1", [1, None]),
        ("^ankle boot", [0, 2, 3, 4, 5]),
        ("^ 0 , 2", [0, 1, 3, 4]),  # "0" is a name and so comes before the index
        ("7", [2]),
        ("3", [3]),
    ],
)
def test_classes_are_found_by_name_then_by_index(view, expected):
    if None in expected:
        with pytest.raises(InputError, match="twice"):
            pick_classes("toy", NAMES, view)
    else:
        assert pick_classes("toy", NAMES, view) == expected


@pytest.mark.parametrize(
    ("view", "named"),
    [
        ("shrt", "'shrt'.*Did you mean 'shirt'"),
        ("6", "no class '6'"),
        ("-1", "no class '-1'"),
        ("", "no class ''"),
        ("shirt,", "no class ''"),
        ("shirt,3", "'shirt' twice"),
        ("^0,1,2,3,4,T-shirt/top,shirt", "twice"),
    ],
)
def test_bad_views_are_named(view, named):
    with pytest.raises(InputError, match=named):
        pick_classes("toy", NAMES, view)


def test_leaving_nothing_and_ambiguity_are_refused():
    with pytest.raises(InputError, match="leaves no class"):
        pick_classes("toy", ("a", "b"), "^b,a")
    with pytest.raises(InputError, match="'Ab' or 'aB'"):
        pick_classes("toy", ("Ab", "aB"), "ab")
    assert pick_classes("toy", ("Ab", "aB"), "aB") == [1]


def test_view_needs_labels_and_examples(make_dataset):
    with pytest.raises(InputError, match="no labels"):
        filter_classes(make_dataset(None), "0")
    with pytest.raises(InputError, match="no training example of cat"):
        filter_classes(make_dataset((0, 1)), "cat")


def test_test_part_without_any_of_the_classes_is_dropped(make_dataset):
    view = filter_classes(make_dataset(test=(0, 0, 1)), "cat,bee")
    assert view.y_test.tolist() == [1]
    gone = filter_classes(make_dataset(test=(0, 0)), "cat,bee")
    assert gone.x_test is None
    assert gone.y_test is None


@given(data=st.data())
def test_a_view_holds_exactly_its_classes_in_order(data):
    y = np.array([0, 1, 2, 3, 4, *data.draw(st.lists(st.integers(0, 4), max_size=40))])
    y_test = np.array(data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=10)))
    classes = data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=4, unique=True))
    exclude = data.draw(st.booleans())
    # Every example holds its own class and its place, so that both can be found again.
    x = np.stack([y, np.arange(len(y))], axis=1).astype(np.float32)
    x_test = np.stack([y_test, np.arange(len(y_test))], axis=1).astype(np.float32)
    dataset = Dataset(
        name="toy",
        x=x,
        y=y,
        x_test=x_test,
        y_test=y_test,
        class_names=("a", "b", "c", "d", "e"),
        value_range=(0, 100),
        source="made up",
    )
    names = [dataset.class_names[k] for k in classes]
    view = filter_classes(dataset, ("^" if exclude else "") + ",".join(names))
    expected = [k for k in range(5) if k not in classes] if exclude else classes
    assert view.class_names == tuple(dataset.class_names[k] for k in expected)
    assert view.n_classes == len(expected)
    assert [expected[k] for k in view.y] == view.x[:, 0].tolist()
    assert view.x[:, 1].tolist() == [i for i in range(len(y)) if y[i] in expected]
    kept_test = [i for i in range(len(y_test)) if y_test[i] in expected]
    if kept_test:
        assert view.x_test[:, 1].tolist() == kept_test
        assert [expected[k] for k in view.y_test] == view.x_test[:, 0].tolist()
    else:
        assert view.x_test is None
    assert view.value_range == dataset.value_range
