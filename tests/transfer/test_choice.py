"""Which candidate is taken, from made-up validations."""

from dataclasses import replace

import numpy as np
import pytest
from transfers import QUICK, source

from transfer.arrangement import Arrangement
from transfer.candidates import Candidate, candidates
from transfer.choice import Tried, choose, could_win
from transfer.recipes import recipe


def made(right, loss=None, *, moves=0, cut=False):
    candidate = Candidate(
        arrangement=Arrangement(reuse=2 if cut else 3, above="drop" if cut else "reset"),
        recipe=QUICK,
        moves=moves,
        blocks=3,
        labels=40,
    )
    right = np.array(right, float)
    loss = np.full(len(right), 0.5) if loss is None else np.full(len(right), loss)
    return Tried(candidate=candidate, right=right, loss=loss)


def test_the_simplest_within_one_standard_error_of_the_paired_difference():
    base = np.ones(40)
    base[:4] = 0
    worse = base.copy()
    worse[4:6] = 0  # two examples behind: 0.05 against sqrt(2 + 1) / 40 = 0.0433
    much = base.copy()
    much[4:8] = 0  # four behind: 0.1 against 0.0559
    rows = [made(base, moves=100), made(worse, moves=10), made(much, moves=1)]
    chosen, runner_up, reason = choose(rows)
    assert (chosen, runner_up) == (0, 1)
    assert "validated highest" in reason
    worse[0] = 1  # two lost and one won: 0.025 against sqrt(3 + 1) / 40 = 0.05
    rows[1] = made(worse, moves=10)
    chosen, runner_up, reason = choose(rows)
    assert (chosen, runner_up) == (1, 0)
    assert "behind by 2.50" in reason
    assert "one standard error (5.00 points" in reason
    one = base.copy()
    one[4] = 0  # a single example is no evidence
    assert choose([made(base, moves=100), made(one, moves=10)])[0] == 1


def test_a_cut_network_must_be_ahead_by_two_errors_and_equals_go_by_loss():
    base = np.ones(40)
    assert choose([made(base, moves=5), made(base, 0.1, cut=True)])[0] == 0
    assert choose([made(base, 0.4), made(base, 0.3), made(base, 0.35)])[:2] == (1, 2)
    five = base.copy()
    five[:5] = 0  # 0.125 against 2 sqrt(6) / 40 = 0.1225, 0.1 against 2 sqrt(5) / 40
    assert choose([made(five, moves=5), made(base, cut=True)])[0] == 1
    chosen, runner_up, reason = choose(
        [made(five[::-1]), made(np.r_[0, five[1:4], base[4:]], cut=True)]
    )
    assert (chosen, runner_up) == (0, 1)
    assert "no changed network is ahead" in reason


def test_of_equally_simple_ones_the_highest_accuracy_comes_before_the_loss():
    base = np.ones(40)
    one = base.copy()
    one[4] = 0
    assert choose([made(one, 0.1, moves=5), made(base, 0.9, moves=5)])[0] == 1
    assert choose([made(one, 0.1), made(base, 0.9)])[0] == 1


def test_a_frozen_encoder_must_be_ahead_of_the_fine_tuned_ones_by_an_error():
    base = np.ones(40)
    base[:4] = 0
    assert choose([made(base, 0.5, moves=9), made(base, 0.1)])[0] == 0
    better = base.copy()
    better[:2] = 1  # 0.05 against sqrt(2 + 1) / 40 = 0.0433
    assert choose([made(base, moves=9), made(better)])[0] == 1
    better[4] = 0  # 0.025 against sqrt(3 + 1) / 40 = 0.05
    chosen, _, reason = choose([made(base, moves=9), made(better)])
    assert chosen == 0
    assert "no frozen encoder is ahead" in reason
    assert choose([made(base, 0.2), made(base, 0.1)])[0] == 1


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


def test_an_encoder_that_moves_below_a_random_head_must_be_ahead_by_two_errors_too():
    encoder = source("convnet").encoder
    found = candidates(encoder, recipe("default"), 200)
    (rushed,) = [c for c in found if c.rushed]
    assert "never frozen" in rushed.name
    # Where the recipe is so itself, nothing is unusual about it.
    own = candidates(encoder, replace(recipe("default"), freeze_epochs=0), 200)
    assert not any(c.rushed for c in own)
    three = np.ones(40)
    three[:3] = 0
    hasty = made(np.ones(40), 0.1, moves=9)
    hasty = replace(hasty, candidate=replace(hasty.candidate, rushed=True))
    assert choose([made(three, moves=9), hasty])[0] == 0


@pytest.mark.parametrize(("wrong", "could"), [(0, False), (4, False), (5, True), (40, True)])
def test_a_cut_network_is_not_trained_where_the_plain_one_leaves_it_no_room(wrong, could):
    right = np.ones(40)
    right[:wrong] = 0
    best = np.ones(40)
    assert could_win(made(right, moves=9), made(best, cut=True)) is could
    assert could == (choose([made(right, moves=9), made(best, cut=True)])[0] == 1)
    assert could_win(made(right, moves=9), made(best, moves=5))


def test_a_candidate_that_was_stopped_is_not_chosen():
    part = np.ones(40)
    part[30:] = np.nan
    assert choose([made(np.r_[0, np.ones(39)], moves=9), made(part)])[0] == 0
