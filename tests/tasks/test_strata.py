import numpy as np
import pytest

from headstart.errors import InputError
from tasks.dataset import Dataset
from tasks.targets import strata, target_kind
from tasks.task import TargetTask


def dataset(y, *, test=0, names=None):
    x = np.arange(len(y), dtype=np.float32)[:, None].repeat(2, axis=1)
    return Dataset(
        name="toy",
        x=x[test:],
        y=y[test:],
        x_test=x[:test] if test else None,
        y_test=y[:test] if test else None,
        class_names=names,
        value_range=(0, 1000),
        source="made up",
    )


def several(n, chances=(0.5, 0.2, 0.05), seed=0):
    return (np.random.default_rng(seed).random((n, len(chances))) < chances).astype(np.uint8)


def test_numbers_are_put_into_tenths_by_rank():
    y = np.random.default_rng(0).lognormal(size=103).astype(np.float32)
    groups = strata(y)
    assert set(np.bincount(groups)) == {10, 11}
    order = np.argsort(y)
    assert (np.diff(groups[order]) >= 0).all()
    assert strata(np.zeros(12, np.float32)).tolist() == [0] * 6 + [1] * 6
    assert strata(np.zeros(3, np.float32)).tolist() == [0] * 3


def test_several_labels_go_by_the_rarest():
    y = np.array([[1, 1, 0], [1, 0, 0], [1, 0, 1], [0, 0, 0], [1, 1, 1], [1, 1, 0]])
    # Label 2 is on two examples, label 1 on three, label 0 on five; one example has none.
    assert strata(y).tolist() == [1, 2, 0, 3, 0, 1]
    assert target_kind(y) == "multi-label"


def test_budgets_of_numbers_are_nested_and_spread():
    y = np.random.default_rng(1).lognormal(size=200).astype(np.float32)
    task = TargetTask.from_dataset(dataset(y, test=20))
    assert (task.target, task.class_names, task.n_classes) == ("numbers", (), 0)
    whole = task.labels(180, 3)
    for n in (10, 30, 90):
        rows = task.labels(n, 3)
        assert np.array_equal(rows, whole[:n])
        assert np.bincount(strata(task.y)[rows], minlength=10).tolist() == [n // 10] * 10
    assert not np.array_equal(task.labels(30, 4), task.labels(30, 3))
    assert task.absent(whole) == []
    with pytest.raises(
        InputError, match=r"labels must be 10 or more.*each of 10 quantile bins.*Got 9"
    ):
        task.labels(9, 0)
    with pytest.raises(InputError, match=r"labels must be 180 or less.*Got 181"):
        task.labels(181, 0)


def test_budgets_of_several_labels_have_rare_ones_too():
    task = TargetTask.from_dataset(dataset(several(400), test=40))
    whole = task.labels(360, 0)
    for n in (20, 60, 180):
        rows = task.labels(n, 0)
        assert np.array_equal(rows, whole[:n])
        share = task.y[rows].mean(axis=0) / task.y.mean(axis=0)
        assert task.absent(rows) == []
        # The rarest is exact, to one example; the others nearly.
        assert abs(task.y[rows, 2].sum() - n * task.y[:, 2].mean()) <= 1
        assert n < 60 or (np.abs(share - 1) < 0.3).all()
    with pytest.raises(
        InputError, match=r"labels must be \d or more.*each label is seen once.*Got 3"
    ):
        task.labels(3, 0)
    assert task.absent(np.flatnonzero(task.y[:, 1] == 0)) == ["1"]


def test_a_fifth_is_split_off_evenly():
    y = np.arange(100, dtype=np.float32)
    task = TargetTask.from_dataset(dataset(y))
    assert task.test_origin == "a stratified fifth, split with seed 0"
    assert np.bincount(task.y_test.astype(int) // 10).tolist() == [2] * 10
    assert sorted([*task.y, *task.y_test]) == y.tolist()
    split = TargetTask.from_dataset(dataset(several(300), names=("a", "b", "c")))
    assert len(split.y_test) == 60
    assert split.class_names == ("a", "b", "c")
    total = split.y.sum(axis=0) + split.y_test.sum(axis=0)
    assert (np.abs(split.y_test.sum(axis=0) / total - 0.2) < 0.07).all()


def test_nothing_to_learn_is_refused():
    with pytest.raises(InputError, match="is 4 for every training example"):
        TargetTask.from_dataset(dataset(np.full(30, 4, np.float32)))
    y = several(30)
    y[:, 1] = 0
    with pytest.raises(InputError, match="no training example of class 'b'"):
        TargetTask.from_dataset(dataset(y, names=("a", "b", "c")))
