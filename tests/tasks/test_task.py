import numpy as np
import pytest

from headstart.errors import InputError
from tasks.dataset import Dataset
from tasks.loading.resolve import load_dataset
from tasks.task import TargetTask


def test_own_test_part_is_used(make_dataset):
    dataset = make_dataset(test=(2, 1))
    task = TargetTask.from_dataset(dataset, seed=5, test_fraction=0.5)
    assert task.test_origin == "the set's own test part"
    assert np.array_equal(task.x, dataset.x)
    assert task.y_test.tolist() == [2, 1]
    assert (task.name, task.source, task.value_range) == ("toy", "made up", (0, 255))
    assert task.input_shape == (4,)
    assert task.class_names == ("ant", "bee", "cat")


def test_digits_are_split_by_fifths():
    task = TargetTask.from_dataset(load_dataset("digits"))
    assert task.test_origin == "a stratified fifth, split with seed 0"
    assert len(task.x_test) == 359
    assert len(task.x) == 1797 - 359
    share = np.bincount(task.y_test) / (np.bincount(task.y) + np.bincount(task.y_test))
    assert np.all(np.abs(share - 0.2) < 0.01)
    other = TargetTask.from_dataset(load_dataset("digits"), seed=1, test_fraction=0.25)
    assert other.test_origin == "a stratified 25 %, split with seed 1"


def test_split_loses_and_repeats_nothing(make_dataset):
    dataset = make_dataset()
    task = TargetTask.from_dataset(dataset)
    rows = np.concatenate([task.x, task.x_test])
    assert sorted(rows[:, 0]) == sorted(dataset.x[:, 0])
    # Even of two examples a class, one is learnt from and one is tested.
    assert sorted(task.y) == sorted(task.y_test) == [0, 1, 2]


def test_nameless_classes_are_named_by_index(make_dataset):
    task = TargetTask.from_dataset(make_dataset(names=None))
    assert task.class_names == ("0", "1", "2")
    assert task.n_classes == 3


def test_budgets(make_dataset):
    task = TargetTask.from_dataset(make_dataset([0] * 70 + [1] * 20 + [2] * 10, test=(0,)))
    for n, shares in ((3, [1, 1, 1]), (10, [7, 2, 1]), (50, [35, 10, 5]), (100, [70, 20, 10])):
        chosen = task.labels(n, seed=3)
        assert chosen.dtype == np.int64
        assert np.bincount(task.y[chosen]).tolist() == shares
        assert np.array_equal(chosen, task.labels(100, seed=3)[:n])


def test_budgets_of_the_real_set(fashion):
    task = TargetTask.from_dataset(load_dataset("fashion-mnist/B"))
    assert np.bincount(task.y[task.labels(200, 0)]).tolist() == [100, 100]
    assert set(task.labels(50, 0)) < set(task.labels(200, 0))
    assert set(task.labels(200, 0)) != set(task.labels(200, 1))


@pytest.mark.parametrize(
    ("n", "rule"),
    [
        (2, "3 or more for 'toy', one a class"),
        (0, "3 or more"),
        (-5, "3 or more"),
        (7, "6 or less"),
    ],
)
def test_budgets_out_of_bounds(make_dataset, n, rule):
    task = TargetTask.from_dataset(make_dataset(test=(0,)))
    with pytest.raises(InputError) as caught:
        task.labels(n, 0)
    assert (caught.value.argument, caught.value.value) == ("labels", n)
    assert rule in caught.value.rule


def test_sets_that_are_no_task(make_dataset):
    with pytest.raises(InputError, match="no labels"):
        TargetTask.from_dataset(make_dataset(None))
    with pytest.raises(InputError, match="one class only, 'ant'"):
        TargetTask.from_dataset(make_dataset((0, 0), names=("ant",)))
    with pytest.raises(InputError, match="no training example of class 'cat'"):
        TargetTask.from_dataset(make_dataset((0, 0, 1, 1)))
    with pytest.raises(InputError, match="'cat' has a single example"):
        TargetTask.from_dataset(make_dataset((0, 0, 1, 1, 2)))
    assert TargetTask.from_dataset(make_dataset((0, 1, 2), test=(0,))).n_classes == 3
    for fraction in (0, 1, -1):
        with pytest.raises(InputError) as caught:
            TargetTask.from_dataset(make_dataset(), test_fraction=fraction)
        assert (caught.value.argument, caught.value.value) == ("test_part", fraction)


def test_a_gap_in_the_classes_is_found_without_names():
    x = np.zeros((4, 2), np.float32)
    dataset = Dataset(
        name="gap",
        x=x,
        y=np.array([0, 0, 2, 2]),
        x_test=None,
        y_test=None,
        class_names=None,
        value_range=(0, 1),
        source="made up",
    )
    with pytest.raises(InputError, match="class '1'"):
        TargetTask.from_dataset(dataset)


@pytest.mark.parametrize(("unit", "fits"), [(1e6, True), (100.0, False)])
def test_numbers_that_float32_cannot_tell_apart_are_refused(unit, fits):
    y = 1.7e9 + unit * np.arange(4)
    dataset = Dataset(
        name="dates",
        x=np.zeros((4, 2), np.float32),
        y=y,
        x_test=np.zeros((4, 2), np.float32),
        y_test=y,
        class_names=None,
        value_range=(0, 1),
        source="made",
    )
    if fits:
        assert TargetTask.from_dataset(dataset).y.tolist() == y.tolist()
    else:
        with pytest.raises(InputError, match=r"1.7e\+09 and varies by only 111.803.*Subtract"):
            TargetTask.from_dataset(dataset)
