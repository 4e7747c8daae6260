"""Which candidate is taken, from made-up validations."""

from dataclasses import replace

import numpy as np
import pytest
from transfers import QUICK

from transfer.arrangement import Arrangement
from transfer.candidates import Candidate
from transfer.choice import Tried, choose, could_win


def made(right, loss=None, *, moves=0, cut=False, share=1.0):
    """A validated candidate; those of equal ``moves`` that are not cut lie on one line."""
    recipe = QUICK if moves else replace(QUICK, epochs=0)
    candidate = Candidate(
        arrangement=Arrangement(reuse=2 if cut else 3, above="drop" if cut else "reset"),
        recipe=replace(recipe, interpolate=share),
        moves=moves,
        blocks=3,
        labels=40,
    )
    right = np.array(right, float)
    loss = np.full(len(right), 0.5) if loss is None else np.full(len(right), loss)
    return Tried(candidate=candidate, right=right, loss=loss)


def wrong(*numbers, count=40):
    """What is right: all but these."""
    right = np.ones(count)
    right[list(numbers)] = 0
    return right


def test_of_a_line_the_lowest_loss_within_half_an_error_of_the_most_accurate():
    plain = made(wrong(0, 1, 2, 3), 0.9, moves=9)
    half = made(wrong(0, 1, 2), 0.4, moves=9, share=0.5)
    chosen, runner_up, reason = choose([plain, half])
    assert (chosen, runner_up, reason) == (1, 0, "it validated highest")
    # One behind: 0.025 against 0.5 sqrt(1 + 1) / 40 = 0.0177; level: its loss decides.
    assert choose([plain, made(wrong(0, 1, 2, 3, 4), 0.1, moves=9, share=0.5)])[0] == 0
    assert choose([plain, made(wrong(0, 1, 2, 4), 0.1, moves=9, share=0.5)])[0] == 1
    # Four won and five lost: 0.025 against 0.5 sqrt(9 + 1) / 40 = 0.0395.
    far = made(wrong(*range(5, 10)), 0.1, moves=9, share=0.25)
    chosen, runner_up, reason = choose([plain, far])
    assert (chosen, runner_up) == (1, 0)
    assert "the lowest loss within half a standard error (7.91 points, behind by 2.50)" in reason


@pytest.mark.parametrize("other", [{"moves": 0}, {"moves": 5}, {"cut": True}])
def test_anything_else_must_be_ahead_of_the_line_by_two_errors(other):
    plain = made(wrong(*range(5)), 0.9, moves=9)
    # Five ahead: 0.125 against 2 sqrt(5 + 1) / 40 = 0.1225; four: 0.1 against 2 sqrt(4 + 1) / 40.
    chosen, _, reason = choose([plain, made(wrong(), **other)])
    assert chosen == 1
    assert "ahead of the plain transfer by more than two standard errors" in reason
    chosen, runner_up, reason = choose([plain, made(wrong(0), 0.1, **other)])
    assert (chosen, runner_up) == (0, 1)
    assert "nothing else is ahead by two standard errors" in reason
    # Not of the plain transfer alone, but of the most accurate place on its line.
    half = made(wrong(0), 0.9, moves=9, share=0.5)
    assert choose([plain, half, made(wrong(), **other)])[0] == 1


def test_of_several_that_are_ahead_the_simplest_within_an_error_of_the_best():
    plain = made(wrong(*range(16)), moves=9)
    best, near, worse = (
        made(wrong(0), moves=7),
        made(wrong(1, 2), moves=5),  # 0.025 behind, against sqrt(3 + 1) / 40 = 0.05
        made(wrong(*range(4)), moves=3),  # 0.075 behind, against sqrt(3 + 1) / 40
    )
    assert choose([plain, best])[0] == 1
    chosen, runner_up, reason = choose([plain, best, near, worse])
    assert (chosen, runner_up) == (2, 1)
    assert "the simplest within one standard error (5.00 points, behind by 2.50)" in reason
    # Of equally simple ones the best: the highest accuracy, then the lowest loss.
    assert choose([plain, made(wrong(1), 0.1), made(wrong(), 0.9)])[0] == 2
    assert choose([plain, made(wrong(1), 0.9), made(wrong(1), 0.1)])[0] == 2


def test_a_plain_transfer_that_time_cut_short_is_compared_on_what_it_saw():
    part = np.full(40, np.nan)
    part[:10] = 1
    frozen = np.ones(40)
    chosen, runner_up, reason = choose([made(part, moves=9), made(frozen)])
    assert (chosen, runner_up) == (0, 1)
    assert "time was up" in reason
    part[:5] = 0  # 0.5 on the ten against sqrt(5 + 1) / 10 = 0.245
    assert choose([made(part, moves=9), made(frozen)])[0] == 1
    assert choose([made(np.full(40, np.nan), moves=9), made(frozen)])[0] == 0


def test_from_scratch_the_better_one_is_taken():
    """None of them is the whole encoder, so no plain transfer stands in front."""

    def fresh(right, loss):
        row = made(np.full(50, right), loss, moves=9)
        return replace(row, candidate=replace(row.candidate, arrangement=Arrangement(reuse=0)))

    assert choose([fresh(0, 2.0), fresh(1, 0.1), fresh(0, 1.0)])[:2] == (1, 2)
    assert choose([fresh(1, 0.5), fresh(1, 0.1)])[0] == 1


@pytest.mark.parametrize(("failed", "could"), [(0, False), (4, False), (5, True), (40, True)])
def test_nothing_else_is_trained_where_the_line_leaves_it_no_room(failed, could):
    line = [made(wrong(*range(failed)), moves=9), made(np.zeros(40), moves=9, share=0.5)]
    assert could_win(line) is could
    assert could == (choose([*line, made(wrong(), cut=True)])[0] == 2)
    assert could_win([made(wrong(), cut=True)])


def test_a_candidate_that_was_stopped_is_not_chosen():
    part = np.ones(40)
    part[30:] = np.nan
    assert choose([made(np.r_[0, np.ones(39)], moves=9), made(part)])[0] == 0
