import numpy as np
import pytest
from scipy import stats

from benchmark.analysis.ranks import Ranking, rank


def scores(n, k, step=1.0, seed=0):
    rng = np.random.default_rng(seed)
    return [{f"row {i}": step * i + rng.normal() for i in range(k)} for _ in range(n)]


def test_friedmans_test_is_scipys():
    table = scores(8, 4)
    found = rank(table)
    expected = stats.friedmanchisquare(*np.array([list(s.values()) for s in table]).T)
    assert found.p == pytest.approx(expected.pvalue)


@pytest.mark.parametrize(("k", "q"), [(2, 1.960), (5, 2.728), (10, 3.164)])
def test_the_critical_difference_is_that_of_the_published_table(k, q):
    # Demsar 2006, table 5a, for 0.05
    assert rank(scores(14, k)).critical == pytest.approx(
        q * (k * (k + 1) / (6 * 14)) ** 0.5, rel=1e-3
    )


def test_ranks_begin_with_the_best_and_ties_share():
    found = rank([{"a": 0.9, "b": 0.8, "c": 0.8}, {"a": 0.9, "b": 0.7, "c": 0.8}])
    assert found.ranks == {"a": 1, "c": 2.25, "b": 2.75}
    assert list(found.ranks) == ["a", "c", "b"]


def test_only_rows_that_all_data_sets_have_are_ranked():
    found = rank([{"a": 1, "b": 2, "c": 3}, {"a": 1, "c": 3}])
    assert list(found.ranks) == ["c", "a"]


def test_too_little_to_rank():
    assert rank([]) is None
    assert rank([{"a": 1, "b": 2}]) is None
    assert rank([{"a": 1}, {"a": 2}]) is None


def test_equal_rows_have_no_test():
    found = rank([{"a": 1, "b": 1, "c": 1}] * 3)
    assert np.isnan(found.p)
    assert set(found.ranks.values()) == {2}


def test_groups_are_the_widest_that_do_not_differ():
    def groups(*ranks, critical=1.0):
        named = dict(zip("abcdef", ranks, strict=False))
        return Ranking(ranks=named, n=9, p=0, critical=critical).groups()

    assert groups(1, 1.5, 2.6, 3, 5) == [["a", "b"], ["c", "d"]]
    assert groups(1, 1.9, 2.5) == [["a", "b"], ["b", "c"]]
    assert groups(1, 3, 5) == []
    assert groups(1, 2, critical=9) == [["a", "b"]]
