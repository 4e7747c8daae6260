import numpy as np
import pytest

from pretrain.engine.order import learning_rates, permutation


@pytest.mark.parametrize("size", [1, 2, 37, 1000])
def test_a_permutation_holds_every_example_once(size):
    order = permutation(size, seed=3, stage=1, epoch=2)
    assert order.dtype == np.int32
    assert sorted(order) == list(range(size))


def test_a_permutation_is_a_pure_function_of_seed_stage_and_epoch():
    np.random.seed(1)
    first = permutation(50, 7, 0, 3)
    np.random.seed(2)
    permutation(50, 7, 0, 2)
    assert np.array_equal(permutation(50, 7, 0, 3), first)
    others = [permutation(50, *where) for where in ((8, 0, 3), (7, 1, 3), (7, 0, 4), (0, 7, 3))]
    assert not any(np.array_equal(first, other) for other in others)


def test_the_cosine_falls_over_all_epochs_to_zero():
    # 0.1 (1 + cos(pi t / 4)) / 2 for t = 0, 1, 2, 3 by hand
    first = learning_rates(0.1, "cosine", epoch=0, steps=2, updates=4)
    second = learning_rates(0.1, "cosine", epoch=1, steps=2, updates=4)
    assert first.dtype == np.float32
    assert first == pytest.approx([0.1, 0.08535534], rel=1e-6)
    assert second == pytest.approx([0.05, 0.01464466], rel=1e-6)


def test_a_constant_rate_stays():
    rates = learning_rates(0.3, "constant", epoch=4, steps=3, updates=15)
    assert rates.tolist() == [np.float32(0.3)] * 3


def test_another_schedule_is_refused():
    with pytest.raises(ValueError, match=r"'constant' or 'cosine'. Got 'linear'"):
        learning_rates(0.1, "linear", 0, 1, 1)


def test_the_warm_up_rises_in_equal_parts_and_the_cosine_begins_after_it():
    # 8 steps, a quarter of them rising: 1/2, 1, then 0.5 (1 + cos(pi t / 6)) for t = 0 to 5
    first = learning_rates(1.0, "cosine", epoch=0, steps=4, updates=8, warmup=0.25)
    second = learning_rates(1.0, "cosine", epoch=1, steps=4, updates=8, warmup=0.25)
    assert first == pytest.approx([0.5, 1.0, 1.0, 0.9330127], rel=1e-6)
    assert second == pytest.approx([0.75, 0.5, 0.25, 0.0669873], rel=1e-6)
    constant = learning_rates(0.6, "constant", epoch=0, steps=4, updates=4, warmup=0.75)
    assert constant == pytest.approx([0.2, 0.4, 0.6, 0.6])
