"""Which candidate is taken, from made-up validations."""

from dataclasses import replace

import numpy as np
import pytest
from transfers import QUICK

from transfer.architecture import TransferArchitecture
from transfer.selection.candidates import Candidate
from transfer.selection.decision import CandidateResult, choose, could_win, paired_error


def made(right, wrongly=0.4, *, moves=0, cut=False, share=1.0, heat=1.0):
    """A validated candidate; those of equal ``moves`` that are not cut lie on one line.

    right: 1, 0 or NaN. wrongly: the chance given to the true class where it is told wrong; where it is told
    right, 0.9. The lower, the higher its calibrated loss. heat: by what its logits are multiplied.
    """
    recipe = QUICK if moves else replace(QUICK, epochs=0)
    candidate = Candidate(
        architecture=TransferArchitecture(reuse=2 if cut else 3, above="drop" if cut else "reset"),
        recipe=replace(recipe, interpolate=share),
        moves=moves,
        blocks=3,
        labels=40,
    )
    right = np.array(right, float)
    true = np.where(right == 1, 0.9, wrongly)
    true = np.where(np.isnan(right), np.nan, true**heat / (true**heat + (1 - true) ** heat))
    y = np.zeros(len(right), np.int32)
    return CandidateResult(
        candidate=candidate, y=y, probabilities=np.stack([true, 1 - true], axis=1)
    )


def wrong(*numbers, count=40):
    """What is right: all but these."""
    right = np.ones(count)
    right[list(numbers)] = 0
    return right


def test_what_was_told_right_and_how_surely():
    row = made([1, 0, np.nan], 0.2)
    np.testing.assert_array_equal(row.seen, [True, True, False])
    np.testing.assert_array_equal(row.correct, [1, 0, np.nan])
    np.testing.assert_allclose(row.loss, [-np.log(0.9), -np.log(0.2), np.nan], rtol=1e-5)
    assert not row.complete
    # How sure it is of itself is taken out again.
    told, hot = made(wrong(0, 1), 0.2), made(wrong(0, 1), 0.2, heat=4.0)
    assert hot.loss.mean() > told.loss.mean()
    np.testing.assert_allclose(hot.calibrated, told.calibrated, rtol=1e-3)
    assert told.to_json()["loss"] == told.calibrated.mean()


def test_of_a_line_the_lowest_calibrated_loss():
    plain = made(wrong(0, 1, 2, 3), 0.1, moves=9)
    half = made(wrong(0, 1, 2, 4), 0.45, moves=9, share=0.5)
    chosen, runner_up, reason = choose([plain, half])
    assert (chosen, runner_up) == (1, 0)
    assert reason == "the lowest loss on the way from frozen to fine-tuned"
    # It is not the accuracy, nor how sure the network is.
    assert choose([plain, made(wrong(*range(5)), 0.4, moves=9, share=0.5)])[0] == 1
    assert choose([half, made(wrong(0), 0.001, moves=9, share=0.25)])[0] == 0
    hot = made(wrong(0, 1, 2, 4), 0.4, moves=9, share=0.5, heat=9.0)
    assert hot.loss.mean() > plain.loss.mean()
    assert choose([plain, hot])[0] == 1


def test_of_losses_within_half_an_error_the_one_nearest_to_the_plain_transfer():
    plain = made(wrong(0, 1, 2, 3), moves=9)
    half = made(wrong(6, 7, 8, 9), moves=9, share=0.5)
    quarter = made(wrong(3, 4, 5), moves=9, share=0.25)
    apart = plain.calibrated - quarter.calibrated
    assert 0 < apart.mean() < 0.5 * paired_error(apart, more=np.log(2))
    chosen, _, reason = choose([plain, half, quarter])
    assert chosen == 0
    assert reason == "the plain transfer, with a loss within half a standard error of the lowest"
    bad = made(wrong(*range(20, 32)), moves=9)
    chosen, _, reason = choose([bad, quarter, half])
    assert chosen == 2
    assert reason.startswith("nearest to the plain transfer, with a loss within half")
    # Where the plain transfer interpolates itself, it is that place which needs no evidence.
    own = replace(plain.candidate, recipe=replace(plain.candidate.recipe, interpolate=0.5))
    assert choose([replace(plain, candidate=own), made(wrong(3, 4, 5, 6), moves=9)])[0] == 0


@pytest.mark.parametrize(("count", "expected"), [(10, 0), (200, 1)])
def test_what_ten_examples_agree_on_is_less_evidence_than_what_many_do(count, expected):
    every_tenth = range(0, count, 10)
    plain = made(wrong(*every_tenth, count=count), 0.4, moves=9)
    half = made(wrong(*every_tenth, count=count), 0.45, moves=9, share=0.5)
    apart = plain.calibrated - half.calibrated
    assert apart.mean() > 0.5 * apart.std() / count**0.5
    assert choose([plain, half])[0] == expected


@pytest.mark.parametrize("other", [{"moves": 0}, {"moves": 5}, {"cut": True}])
def test_anything_else_must_be_ahead_of_the_line_by_two_errors(other):
    plain = made(wrong(*range(5)), moves=9)
    # Five ahead: 0.125 against 2 sqrt(5 + 1) / 40 = 0.1225; four: 0.1 against 2 sqrt(4 + 1) / 40.
    chosen, _, reason = choose([plain, made(wrong(), **other)])
    assert chosen == 1
    assert "ahead of the plain transfer by more than two standard errors" in reason
    chosen, runner_up, reason = choose([plain, made(wrong(0), **other)])
    assert (chosen, runner_up) == (0, 1)
    assert "nothing else is ahead by two standard errors" in reason
    # Not of the plain transfer alone, but of the most accurate place on its line.
    half = made(wrong(0), 0.001, moves=9, share=0.5)
    assert choose([plain, half, made(wrong(), **other)])[0] != 2


@pytest.mark.parametrize("other", [{"moves": 0}, {"moves": 5}, {"cut": True}])
def test_anything_else_must_have_the_lower_loss_too(other):
    plain = made(wrong(*range(10)), moves=9)
    assert choose([plain, made(wrong(39), **other)])[0] == 1
    # As often right, but not at all sure of it: its probabilities tell right from wrong less well.
    unsure = made(wrong(39), 0.001, **other)
    unsure.probabilities[:39] = [0.51, 0.49]
    assert unsure.calibrated.mean() > plain.calibrated.mean()
    assert choose([plain, unsure])[0] == 0


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
    assert choose([plain, made(wrong(1), 0.4), made(wrong(), 0.4)])[0] == 2
    assert choose([plain, made(wrong(1), 0.2), made(wrong(1), 0.4)])[0] == 2


def test_a_plain_transfer_that_time_cut_short_is_compared_on_what_it_saw():
    part = np.full(40, np.nan)
    part[:10] = 1
    frozen = np.ones(40)
    chosen, runner_up, reason = choose([made(part, moves=9), made(frozen)])
    assert (chosen, runner_up) == (0, 1)
    assert "time was up" in reason
    part[:5] = 0  # 0.5 on the ten against 2 sqrt(5 + 1) / 10 = 0.49
    assert choose([made(part, moves=9), made(frozen)])[0] == 1
    assert choose([made(np.full(40, np.nan), moves=9), made(frozen)])[0] == 0


def test_from_scratch_the_better_one_is_taken():
    """None of them is the whole encoder, so no plain transfer stands in front."""

    def fresh(right, wrongly):
        row = made(np.full(50, right), wrongly, moves=9)
        return replace(
            row, candidate=replace(row.candidate, architecture=TransferArchitecture(reuse=0))
        )

    assert choose([fresh(0, 0.1), fresh(1, 0.4), fresh(0, 0.3)])[:2] == (1, 2)
    assert choose([fresh(0, 0.1), fresh(0, 0.4)])[0] == 1


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
