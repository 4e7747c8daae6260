"""From trainings to the cost of the next one."""

import pytest

from pretrain.cost import StageCost
from pretrain.race.pace import Pace, Stopwatch


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def trained(epochs, *, step, validation, look, setup, compiling, steps=10):
    """Watch a made-up training; return the stopwatch and its seconds."""
    clock = Clock()
    watch = Stopwatch(clock)
    clock.now += setup
    watch.stage("one", steps=epochs * steps, done=0, epochs=epochs, examples=100)
    clock.now += compiling
    for epoch in range(epochs):
        for i in range(steps):
            clock.now += step
            watch.step(epoch * steps + i + 1, epoch=epoch + 1, loss=0.0, rate=0.0)
        clock.now += validation + look
        watch.epoch({"stage": "one", "epoch": epoch + 1}, rate=0.0)
    return watch, clock.now


# Ten steps of 0.1 s and 0.2 s of validation; the first few steps are compiled in 2 s.
COST = StageCost(name="one", steps=10, seconds=1.2, validating=0.2, compiling=2.0)


def test_a_pace_is_learnt_from_a_training():
    watch, seconds = trained(4, step=0.15, validation=0.3, look=0.25, setup=3.0, compiling=2.0)
    assert (watch.stages[0].steps, watch.stages[0].epochs) == (39, 4)
    pace = Pace(costs=(COST,)).after(watch, 4, training=seconds, scoring=0.7)
    assert pace.ratio == pytest.approx(1.5)
    assert pace.look == pytest.approx(0.25)
    assert pace.overhead == pytest.approx(3.0)
    assert pace.scoring == 0.7
    # So the next one takes as long as it would: 3 + 2 + e (1.5 + 0.3 + 0.25).
    assert pace.fill(3 + 2 + 9 * 2.05) == pytest.approx(9, abs=0.2)


def test_the_features_are_looked_at_fifty_times_at_most():
    watch, seconds = trained(40, step=0.1, validation=0.2, look=1.0, setup=0.0, compiling=2.0)
    pace = Pace(costs=(COST,)).after(watch, 40, training=seconds, scoring=0.0)
    assert pace.look == pytest.approx(1.0)
    # 400 epochs have 50 looks: 2 + 400 x 1.2 + 50.
    assert pace.fill(2 + 480 + 50) == pytest.approx(400, rel=0.01)


def test_a_training_too_short_to_time_keeps_the_first_pace():
    watch, seconds = trained(1, step=0.01, validation=0.0, look=0.0, setup=3.0, compiling=2.0)
    pace = Pace(costs=(COST,)).after(watch, 1, training=seconds, scoring=0.0)
    assert pace.ratio == 1.0


def test_before_any_training_what_the_survey_took_beside_its_steps_is_overhead():
    # 2 s of compiling and 0.5 to 1 s of steps are its own.
    assert Pace.of([COST], 7.0).overhead == pytest.approx(7 - 2 - 0.75)
    assert Pace.of([COST], 1.0).overhead == 0


def test_it_is_kept_as_json():
    pace = Pace(costs=(COST, COST), ratio=1.5, look=0.1, overhead=3.0, scoring=0.2)
    assert Pace.from_json(pace.to_json()) == pace
