import numpy as np
import pytest
from scipy.optimize import isotonic_regression

from benchmark.analysis.equivalent_labels import crossing, equivalent_labels, isotonic

BUDGETS = (100, 200, 400)
CURVE = (0.5, 0.6, 0.7)


def curve(offsets=(0, 0.01, -0.01)):
    return {
        b: {s: a + o for s, o in enumerate(offsets)} for b, a in zip(BUDGETS, CURVE, strict=True)
    }


def at(accuracy):
    return float(crossing(BUDGETS, np.array([CURVE]), np.array([accuracy]))[0])


def test_isotonic_is_scipys():
    values = np.random.default_rng(0).normal(size=(50, 5))
    expected = [isotonic_regression(row).x for row in values]
    assert isotonic(values) == pytest.approx(np.array(expected))


def test_it_is_interpolated_on_the_logarithm_of_labels():
    assert at(0.5) == 100
    assert at(0.55) == pytest.approx(100 * 2**0.5)  # half of the way from 100 to 200
    assert at(0.6) == pytest.approx(200)
    assert at(0.675) == pytest.approx(200 * 2**0.75)
    assert at(0.7) == pytest.approx(400)


def test_nothing_is_extrapolated():
    assert at(0.71) == np.inf
    assert at(0.49) == 0


def test_a_flat_curve_is_reached_where_it_begins():
    found = crossing((10, 20, 40), np.array([[0.5, 0.7, 0.6]]), np.array([0.65]))
    assert found == pytest.approx([20])  # 0.7 and 0.6 are both 0.65 in the fit


def test_scratch_itself_is_worth_what_it_has():
    scratch = curve()
    for labels in BUDGETS:
        found = equivalent_labels(scratch, scratch[labels], labels)
        assert (found.value, found.low, found.high) == pytest.approx((labels, labels, labels))


def test_the_luck_of_a_seed_cancels():
    scratch = curve(offsets=(0, 0.08, -0.08))
    better = {s: a + 0.05 for s, a in scratch[100].items()}
    found = equivalent_labels(scratch, better, 100)
    assert found.value == pytest.approx(100 * 2**0.5)
    assert (found.low, found.high) == pytest.approx((found.value, found.value))
    assert str(found) == "141"


def test_the_interval_holds_the_truth_and_follows_the_noise():
    rng = np.random.default_rng(1)
    held, widths = 0, {0.005: [], 0.02: []}
    for noise, list_ in widths.items():
        for _ in range(40):
            scratch = {
                b: {s: a + rng.normal(0, noise) for s in range(10)}
                for b, a in zip(BUDGETS, CURVE, strict=True)
            }
            strategy = {s: 0.55 + rng.normal(0, noise) for s in range(10)}
            found = equivalent_labels(scratch, strategy, 100)
            held += found.low <= 100 * 2**0.5 <= found.high
            list_.append(np.log(min(found.high, 800) / max(found.low, 50)))
    assert held >= 0.85 * 80  # of 95 %: with ten seeds, percentile intervals are a little narrow
    assert np.mean(widths[0.005]) < np.mean(widths[0.02])


def test_beyond_the_budgets_it_says_so():
    found = equivalent_labels(curve(), {0: 0.9, 1: 0.9, 2: 0.9}, 100)
    assert str(found) == "more than 400"
    found = equivalent_labels(curve(), {0: 0.4, 1: 0.6, 2: 0.2}, 100)
    assert str(found).startswith("fewer than 100 (fewer than 100 to ")


def test_without_two_budgets_or_common_seeds_there_is_no_answer():
    assert equivalent_labels({100: {0: 0.5}}, {0: 0.6}, 100) is None
    assert equivalent_labels({}, {0: 0.6}, 100) is None
    assert equivalent_labels(curve(), {7: 0.6}, 100) is None
    one = equivalent_labels(curve(), {0: 0.55}, 100)
    assert one.value == pytest.approx(100 * 2**0.5)
    assert np.isnan(one.low)
