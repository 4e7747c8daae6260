from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.errors import InputError
from tasks.pairs import all_pairs, labelled_pairs, pairable

LABELS = st.lists(st.integers(0, 6), min_size=3, max_size=40).map(np.array).filter(pairable)


@given(y=LABELS, count=st.integers(2, 60), seed=st.integers(0, 2**31 - 1))
def test_pairs_are_balanced_true_and_of_two_examples(y, count, seed):
    left, right, same = labelled_pairs(y, count, seed)
    assert [a.dtype for a in (left, right, same)] == [np.int32, np.int32, np.float32]
    assert [a.shape for a in (left, right, same)] == [(count,)] * 3
    assert min(left.min(), right.min()) >= 0
    assert max(left.max(), right.max()) < len(y)
    assert (left != right).all()
    assert np.array_equal(same == 1, y[left] == y[right])
    assert same.sum() == count // 2
    again = labelled_pairs(y, count, seed)
    assert all(np.array_equal(a, b) for a, b in zip((left, right, same), again, strict=True))


@given(y=LABELS)
def test_all_pairs_are_each_pair_once(y):
    left, right, same = all_pairs(y)
    n = len(y)
    assert sorted(zip(left, right, strict=True)) == [
        (i, j) for i in range(n) for j in range(i + 1, n)
    ]
    assert np.array_equal(same == 1, y[left] == y[right])


@given(y=LABELS, shift=st.integers(-9, 9))
def test_only_which_labels_are_equal_matters(y, shift):
    first, other = labelled_pairs(y, 20, 1), labelled_pairs(7 * y + shift, 20, 1)
    assert all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_every_pair_of_a_kind_is_equally_likely():
    # Sizes 3, 2 and 1 in no order: 6 + 2 ordered same pairs, 30 - 8 different ones.
    y = np.array([4, 9, 4, 1, 9, 4])
    left, right, same = labelled_pairs(y, 44_000, 0)
    for kind, kinds in ((1, 8), (0, 22)):
        rows = same == kind
        counts = Counter(zip(left[rows].tolist(), right[rows].tolist(), strict=True))
        assert len(counts) == kinds
        expected = 22_000 / kinds
        # Six standard deviations of a Poisson count.
        assert all(abs(n - expected) < 6 * expected**0.5 for n in counts.values())


def test_the_kinds_are_mixed_and_seeds_differ():
    y = np.arange(40) % 4
    same = labelled_pairs(y, 1000, 0)[2]
    assert 200 < same[:500].sum() < 300
    assert not np.array_equal(labelled_pairs(y, 50, 0)[0], labelled_pairs(y, 50, 1)[0])


def test_too_many_pairs_are_drawn_instead():
    y = np.arange(30) % 3
    assert len(all_pairs(y, 435)[0]) == 435
    drawn = all_pairs(y, 434, seed=2)
    assert all(np.array_equal(a, b) for a, b in zip(drawn, labelled_pairs(y, 434, 2), strict=True))


@pytest.mark.parametrize("make", [all_pairs, lambda y: labelled_pairs(y, 10, 0)])
@pytest.mark.parametrize(
    ("y", "says"),
    [
        ([3, 3, 3], "No pair of different items.*all 3 examples have one label"),
        ([5], "No pair of different items"),
        ([], "No pair of different items"),
        ([0, 1, 2, 3], "No pair of the same item.*each of 4 examples"),
    ],
)
def test_labels_without_one_kind_are_refused(make, y, says):
    assert not pairable(np.array(y, int))
    with pytest.raises(InputError, match=says):
        make(np.array(y, int))


def test_one_pair_is_too_few():
    with pytest.raises(InputError, match="count must be 2 or more"):
        labelled_pairs(np.array([0, 0, 1]), 1, 0)
