from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from benchmark.analysis.stats import (
    Interval,
    bootstrap_interval,
    holm,
    hommel,
    p_value,
    paired,
    pooled_tests,
    t_interval,
)


@pytest.mark.parametrize("n", [2, 5, 30])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_the_interval_is_students(n, confidence):
    values = np.random.default_rng(n).normal(0.9, 0.05, n)
    found = t_interval(values, confidence)
    expected = stats.ttest_1samp(values, 0).confidence_interval(confidence)
    assert (found.mean, found.n) == (pytest.approx(values.mean()), n)
    assert [found.low, found.high] == pytest.approx(list(expected))


def test_recorded_numbers():
    # mean 3, s = sqrt(2.5), t_4(0.975) = 2.776445: 3 +- 2.776445 sqrt(2.5 / 5)
    found = t_interval([1, 2, 3, 4, 5])
    assert [found.low, found.high] == pytest.approx([1.036757, 4.963243], abs=1e-6)


@pytest.mark.parametrize("values", [[], [0.5]])
def test_fewer_than_two_values_have_no_interval(values):
    found = t_interval(values)
    assert found.n == len(values)
    assert np.isnan([found.low, found.high]).all()
    assert np.isnan(found.mean) == (not values)
    assert not found.excludes_zero


def test_equal_values_have_an_interval_without_width():
    found = t_interval([0.5, 0.5, 0.5])
    assert (found.low, found.high) == (0.5, 0.5)


def test_pairs_take_the_luck_of_the_seed_away():
    scratch = {0: 0.5, 1: 0.7, 2: 0.9, 3: 0.6}
    better = {seed: score + 0.01 + 0.001 * seed for seed, score in scratch.items()}
    found = paired(better, scratch)
    expected = stats.ttest_rel(list(better.values()), list(scratch.values()))
    assert [found.low, found.high] == pytest.approx(list(expected.confidence_interval()))
    assert found.excludes_zero
    unpaired = stats.ttest_ind(list(better.values()), list(scratch.values()))
    assert unpaired.confidence_interval().low < 0


def test_only_seeds_that_both_have_are_paired():
    found = paired({0: 0.9, 1: 0.8, 7: 0.1}, {1: 0.7, 0: 0.6, 5: 0.0})
    assert (found.mean, found.n) == (pytest.approx(0.2), 2)
    assert paired({0: 1.0}, {1: 1.0}).n == 0


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.1, 0.2, True), (-0.2, -0.1, True), (-0.1, 0.1, False), (0, 0.1, False)],
)
def test_excluding_zero(low, high, expected):
    assert Interval(mean=0, low=low, high=high, n=3).excludes_zero is expected


@pytest.mark.parametrize("n", [2, 5, 30])
def test_the_p_value_is_the_paired_t_tests(n):
    values = np.random.default_rng(n).normal(0.01, 0.02, n)
    assert p_value(values) == pytest.approx(stats.ttest_1samp(values, 0).pvalue)
    assert p_value(-values) == p_value(values)


def test_equal_differences_are_counted_and_not_measured():
    assert p_value([0.01] * 5) == pytest.approx(stats.binomtest(5, 5).pvalue)
    assert p_value([0.01] * 2) == 0.5  # two seeds of a coarse accuracy: not certain at all
    assert p_value([0.0] * 5) == 1
    assert np.isnan(p_value([0.1]))
    assert np.isnan(p_value([]))


def test_holm_by_hand():
    # sorted 0.005, 0.01, 0.03, 0.04: times 4, 3, 2, 1, and never falling
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.7, 0.6]) == [1, 1]
    assert holm([]) == []


def test_holm_counts_only_the_tests_that_were_possible():
    found = holm([0.02, float("nan"), 0.5])
    assert found[::2] == pytest.approx([0.04, 0.5])
    assert np.isnan(found[1])


def test_holm_lies_between_no_correction_and_bonferronis():
    p = np.random.default_rng(0).uniform(0, 0.2, 9)
    found = np.array(holm(p))
    assert (found >= p).all()
    assert (found <= np.minimum(1, 9 * p) + 1e-12).all()
    # The correction that SciPy has allows more errors, so it is never the more cautious one.
    assert (found >= stats.false_discovery_control(p) - 1e-12).all()


def test_the_bootstrap_is_scipys_bca():
    values = np.random.default_rng(3).exponential(0.02, 12)
    found = bootstrap_interval(values)
    expected = stats.bootstrap(
        (values,), np.mean, n_resamples=4999, method="BCa", rng=np.random.default_rng(0)
    ).confidence_interval
    assert (found.low, found.high) == (expected.low, expected.high)
    assert bootstrap_interval(values) == found  # the same every time
    plain = t_interval(values)
    assert found.high - found.mean > found.mean - found.low  # it knows that the values are skewed
    assert plain.high - plain.mean == pytest.approx(plain.mean - plain.low)


@pytest.mark.parametrize("values", [[], [0.5], [0.5, 0.6], [0.5, 0.5, 0.5]])
def test_too_few_values_for_a_bootstrap_have_students_interval(values):
    found, expected = bootstrap_interval(values), t_interval(values)
    assert np.array_equal(
        [found.mean, found.low, found.high],
        [expected.mean, expected.low, expected.high],
        equal_nan=True,
    )


def test_a_single_rows_pooled_test_is_students():
    values = np.random.default_rng(3).normal(0.01, 0.02, 6)
    (found,) = pooled_tests([values])
    expected = stats.ttest_1samp(values, 0)
    assert (found.mean, found.n, found.df) == (pytest.approx(values.mean()), 6, pytest.approx(5))
    assert found.p_above == pytest.approx(2 * stats.t.sf(expected.statistic, 5))
    low, high = expected.confidence_interval()
    assert [found.end(0.025), found.end(0.975)] == pytest.approx([low, high])


@pytest.mark.parametrize(("rows", "n"), [(2, 3), (4, 5), (12, 5), (3, 10)])
def test_several_rows_vary_no_less_than_they_do_on_average(rows, n):
    values = np.random.default_rng(rows).normal(0.0, np.linspace(1, 3, rows)[:, None], (rows, n))
    found = pooled_tests(values)
    covariance = np.atleast_2d(np.cov(values))
    df = (n - 1) * np.trace(covariance) ** 2 / np.trace(covariance @ covariance)
    floor = np.diag(covariance).mean()
    errors = np.sqrt(np.maximum(np.diag(covariance), floor) / n)
    assert [t.df for t in found] == pytest.approx([df] * rows)
    assert [t.error for t in found] == pytest.approx(list(errors))
    p = np.minimum(1, 2 * stats.t.sf(values.mean(axis=1) / errors, df))
    assert [t.p_above for t in found] == pytest.approx(list(p))


def test_rows_that_share_the_rivals_luck_have_no_more_degrees_of_freedom_than_one():
    luck = np.random.default_rng(0).normal(0, 1, 5)
    shared = pooled_tests([luck + i for i in range(8)])
    assert [t.df for t in shared] == pytest.approx([4] * 8)


def test_without_any_spread_the_pooled_test_is_the_sign_test():
    above, equal = pooled_tests([[0.1, 0.1, 0.1, 0.1], [0.0, 0.0, 0.0, 0.0]])
    assert (above.p_above, equal.p_above) == (2**-3, 1.0)
    # The spread of another row is one to measure the mean by.
    above, _ = pooled_tests([[0.1, 0.1, 0.1, 0.1], [0.1, -0.1, 0.2, -0.2]])
    assert above.error > 0.05


@pytest.mark.parametrize("seed", range(6))
def test_hommels_is_the_closed_test_with_simes_test(seed):
    p = np.random.default_rng(seed).uniform(0, [0.02, 0.2, 1][seed % 3], 6)

    def simes(chosen):
        ordered = np.sort(p[list(chosen)])
        return float((len(ordered) * ordered / np.arange(1, len(ordered) + 1)).min())

    sets = [c for size in range(1, 7) for c in combinations(range(6), size)]
    expected = [max(simes(c) for c in sets if i in c) for i in range(6)]
    assert hommel(p) == pytest.approx(expected)
    assert all(a <= b + 1e-12 for a, b in zip(hommel(p), holm(p), strict=True))


def test_hommels_numbers_by_hand_and_those_that_are_unknown():
    # Of all four, Simes' p is 4 * 0.04 / 4; no smaller set has a larger one.
    assert hommel([0.01, 0.02, 0.03, 0.04]) == pytest.approx([0.04] * 4)
    assert holm([0.01, 0.02, 0.03, 0.04]) == pytest.approx([0.04, 0.06, 0.06, 0.06])
    with_nan = hommel([0.01, float("nan"), 0.02])
    assert np.isnan(with_nan[1])
    assert [with_nan[0], with_nan[2]] == pytest.approx(hommel([0.01, 0.02]))
    assert hommel([]) == []
