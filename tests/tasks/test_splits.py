import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.errors import InputError
from tasks.splits import generator, stratified_order, stratified_split

counts_of_classes = st.lists(st.integers(1, 40), min_size=1, max_size=8)


def shuffled(counts, seed):
    y = np.repeat(np.arange(len(counts)), counts)
    return np.random.default_rng(seed).permutation(y)


@given(counts_of_classes, st.integers(0, 99))
def test_every_prefix_of_the_order_is_stratified(counts, seed):
    y = shuffled(counts, seed)
    total, k = len(y), len(counts)
    order = stratified_order(y, total, seed)
    assert sorted(order.tolist()) == list(range(total))
    for n in range(k, total + 1):
        taken = np.bincount(y[order[:n]], minlength=k)
        assert taken.min() >= 1
        for have, count in zip(taken.tolist(), counts, strict=True):
            assert have <= -(-n * count // total)
            if n * min(counts) >= total:
                assert have >= n * count // total


@given(counts_of_classes, st.data())
def test_orders_are_nested_and_pure(counts, data):
    y = shuffled(counts, 0)
    small = data.draw(st.integers(len(counts), len(y)))
    seed = data.draw(st.integers(0, 5))
    whole = stratified_order(y, len(y), seed)
    assert np.array_equal(stratified_order(y, small, seed), whole[:small])


def test_seeds_choose_other_examples():
    y = np.arange(1000) % 4
    assert set(stratified_order(y, 40, 0)) != set(stratified_order(y, 40, 1))


def test_examples_of_a_class_are_drawn_evenly():
    drawn = np.zeros(40)
    for seed in range(400):
        drawn[stratified_order(np.arange(40) % 2, 10, seed)] += 1
    assert drawn.sum() == 4000
    # 100 is expected of each and the deviation is about 9.
    assert drawn.min() > 60
    assert drawn.max() < 140


@given(counts_of_classes, st.floats(0.01, 0.99), st.integers(0, 9), st.booleans())
def test_split_is_complete_disjoint_and_stratified(counts, fraction, seed, each_class):
    y = shuffled(counts, seed)
    n = len(y)
    kept, held = stratified_split(y, n, fraction, seed, each_class=each_class)
    assert sorted([*kept, *held]) == list(range(n))
    assert np.all(np.diff(kept) > 0)
    assert np.all(np.diff(held) > 0)
    assert set(y[kept]) == set(range(len(counts)))
    taken = np.bincount(y[held], minlength=len(counts))
    if each_class:
        assert all(taken[k] >= 1 for k, count in enumerate(counts) if count > 1)
    spare = n - len(counts)
    wanted = max(1, round(n * fraction))
    if not each_class:
        assert len(held) == min(wanted, spare)
        if wanted <= spare and min(counts) * (1 - fraction) > 2:
            assert np.all(np.abs(taken - wanted * np.array(counts) / n) < 1)
    again = stratified_split(y, n, fraction, seed, each_class=each_class)
    assert np.array_equal(held, again[1])


@pytest.mark.parametrize(
    ("n", "fraction", "held"), [(0, 0.5, 0), (1, 0.5, 0), (2, 0.01, 1), (3, 0.9, 2), (10, 0, 0)]
)
def test_unlabelled_split_of_few(n, fraction, held):
    kept, out = stratified_split(None, n, fraction, 0)
    assert len(out) == held
    assert sorted([*kept, *out]) == list(range(n))
    assert kept.dtype == out.dtype == np.int64


def test_split_depends_on_the_seed():
    assert list(stratified_split(None, 50, 0.2, 0)[1]) != list(
        stratified_split(None, 50, 0.2, 1)[1]
    )


def test_classes_of_one_example_are_kept():
    kept, held = stratified_split(np.arange(5), 5, 0.4, 0)
    assert kept.tolist() == [0, 1, 2, 3, 4]
    assert held.tolist() == []


def test_arguments_are_checked():
    for fraction in (-0.1, 1, float("nan")):
        with pytest.raises(InputError, match="fraction must be 0 or more and below 1"):
            stratified_split(None, 5, fraction, 0)
    with pytest.raises(InputError, match=r"y must have 5 labels.*Got 4"):
        stratified_split(np.zeros(4, int), 5, 0.2, 0)
    for seed in (-1, 1.5, True, None):
        with pytest.raises(InputError, match="seed must be an integer"):
            generator(seed)
