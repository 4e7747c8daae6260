"""From seconds or updates to epochs."""

from pretrain.cost import StageCost, divide


def cost(name, seconds, *, steps=10, **more):
    return StageCost(name=name, steps=steps, seconds=seconds, **more)


def test_the_recipes_epochs_are_shared_by_all_stages_and_fixed_ones_come_off_first():
    costs = [cost("block1", 2.0), cost("block2", 1.0), cost("unrolled", 0.5, own=4)]
    found = divide(costs, seconds=20)
    # (20 - 4 x 0.5) / 3 = 6 epochs of both blocks.
    assert (found.epochs, found.seconds) == (6, 20.0)
    assert found.updates == 6 * 20 + 4 * 10
    found = divide(costs, updates=200)
    assert (found.epochs, found.updates, found.seconds) == (8, 200, None)


def test_an_epoch_may_be_cut_and_there_is_at_least_one_step():
    found = divide([cost("one", 30.0)], seconds=12)
    assert (found.epochs, found.updates, found.seconds) == (0.4, 4, 12.0)
    found = divide([cost("one", 30.0)], seconds=1)
    assert (found.epochs, found.updates, found.seconds) == (0.1, 1, 3.0)
    found = divide([cost("one", 30.0)], updates=25)
    assert (found.epochs, found.updates) == (2.5, 25)
    # Many epochs are whole ones.
    assert divide([cost("one", 3.0)], seconds=70).epochs == 23


def test_what_comes_before_the_first_step_is_part_of_the_budget():
    found = divide([cost("one", 5.0, compiling=2.5)], seconds=30)
    assert (found.epochs, found.seconds) == (5.5, 30.0)


def test_a_stage_that_xla_speeds_up_gets_its_epochs_only_when_it_is_long_enough():
    fast = cost("dense", 4.0, steps=101, xla_seconds=1.0)
    assert divide([fast], seconds=60).epochs == 60
    # 10 epochs of 100 full steps are too few for XLA: so they take 4 s each, and there are 3 or so.
    assert divide([fast], seconds=10).epochs == 10 / 4.0
