"""Successive halving: sizes, shares of the time, and the short list."""

import pytest

from pretrain.race.schedule import FINAL, LEAST_SECONDS, rungs, short_list


@pytest.mark.parametrize(
    ("candidates", "sizes"),
    [
        (1, []),
        (2, [2]),
        (3, [3]),
        (5, [5]),
        (6, [6, 2]),
        (9, [9, 3]),
        (12, [12, 4]),
        (27, [27, 9, 3]),
    ],
)
def test_a_third_goes_on_until_one_is_left(candidates, sizes):
    assert [rung.size for rung in rungs(candidates, 600)] == sizes


@pytest.mark.parametrize("candidates", [2, 5, 11, 30])
def test_all_rungs_take_the_same_time_and_leave_the_winners(candidates):
    found = rungs(candidates, 600)
    spent = [rung.size * rung.seconds for rung in found]
    assert spent == pytest.approx([(1 - FINAL) * 600 / len(found)] * len(found))


def test_the_short_list_is_as_long_as_the_time_allows():
    for seconds in (60, 120, 300, 600, 3600):
        count = short_list(40, seconds)
        assert rungs(count, seconds)[0].seconds >= LEAST_SECONDS
        assert all(rungs(n, seconds)[0].seconds < LEAST_SECONDS for n in range(count + 1, 41))
    assert short_list(11, 600) == 11
    assert short_list(11, 60) == 3
    # Two are compared however short the time is, and one is not.
    assert (short_list(11, 1), short_list(1, 600)) == (2, 1)
