"""The loop: runs that are watched and looked at, and end each stage with its best epoch."""

from dataclasses import replace

import numpy as np
import pytest
from stages import SHARED, STEPS, Linear, run_two
from toys import StopAt

from headstart.errors import Interrupted
from pretrain.engine.program import Programs
from pretrain.engine.session import Session
from pretrain.engine.stage import StageSnapshot
from pretrain.engine.train import Run, train

pytestmark = pytest.mark.usefixtures("look_up_after_every_step")


class Watching:
    """Watches a run: notes the weights after each epoch, and finds the second epoch best."""

    def __init__(self, score=lambda epoch: -((epoch - 2.0) ** 2)):
        self.score, self.seen = score, {}

    def __call__(self, stage, row):
        values = [v.numpy() for v in stage.objectives[0].variables]
        self.seen[stage.name, row["epoch"]] = [v.tobytes() for v in values]
        return {"score": self.score(row["epoch"])}


def test_a_stage_ends_with_its_best_epoch(path):
    watching = Watching()
    bits, run = run_two(watch=watching, keep_best=("score", 1))
    assert bits == watching.seen["first", 2] + watching.seen["second", 2]
    assert [row["score"] for row in run.history] == [-1.0, 0.0, -1.0] * 2
    # The second stage's data are made of the epoch that was kept, not of the last.
    assert watching.seen["second", 1] != plain().seen["second", 1]
    assert watching.seen["first", 3] == plain().seen["first", 3]


def plain():
    watching = Watching()
    run_two(watch=watching)
    return watching


@pytest.mark.parametrize(
    ("score", "sign", "epoch"),
    [
        (lambda epoch: epoch, -1, 1),
        (lambda epoch: epoch, 1, 3),
        (lambda epoch: 7.0, 1, 1),  # of equals the first
    ],
)
def test_which_epoch_is_best(score, sign, epoch):
    watching = Watching(score)
    bits, _ = run_two(watch=watching, keep_best=("score", sign))
    assert bits == watching.seen["first", epoch] + watching.seen["second", epoch]


def test_without_the_metric_the_last_epoch_is_kept():
    watching = Watching()
    assert run_two(watch=watching, keep_best=("other", 1))[0] == run_two()[0]


def test_the_best_survives_interruptions_at_every_step(tmp_path):
    how = {"keep_best": ("score", 1)}
    interruptions, folder = 0, tmp_path / "checkpoints"
    bits, run = run_two(watch=Watching(), **how)
    while True:
        try:
            reporter = StopAt(0, stage=None)
            resumed, after = run_two(
                folder, reporter=reporter, resume=True, watch=Watching(), **how
            )
            break
        except Interrupted:
            interruptions += 1
        assert interruptions <= STEPS
    assert interruptions == STEPS
    assert resumed == bits
    assert after.history == run.history


def test_a_look_is_of_the_stage_as_it_is_then_and_comes_before_the_watcher():
    """Also when the compiled steps are those of an earlier run, and so are the variables they move."""
    found = []
    for programs in (SHARED, SHARED, Programs()):
        linear, shown, order = Linear(epochs=5), [], []

        def snapshot(linear=linear, order=order):
            order.append("look")
            values = linear.w.numpy()[:, 0]
            return StageSnapshot(
                metrics={"w0": float(values[0])}, pictures={"w": np.uint8(abs(values) * 9)}
            )

        def watch(stage, row, order=order):
            order.append("watch" if "w0" in row else "watch alone")
            return {}

        def show(name, row, picture, shown=shown):
            shown.append((name, row["epoch"], picture.tobytes()))

        stage = replace(linear.stage(), snapshot=snapshot, snapshot_epochs=2)
        run = Run(
            seed=1, key="look", session=Session().sharing(programs), watch=watch, gallery=show
        )
        train([stage], run)
        looked = [(row["epoch"], row["w0"]) for row in run.history if "w0" in row]
        assert [epoch for epoch, _ in looked] == [2, 4, 5]
        assert looked[-1][1] == linear.w.numpy()[0, 0]
        assert [(name, epoch) for name, epoch, _ in shown] == [("w", 2), ("w", 4), ("w", 5)]
        assert order == ["watch alone", *["look", "watch", "watch alone"], *["look", "watch"] * 2]
        found.append((looked, shown))
    assert found[0] == found[1] == found[2]


def test_a_watcher_that_stops_a_run_leaves_an_earlier_run_of_the_same_steps_alone():
    class EnoughError(Exception):
        pass

    def watch(stage, row):
        raise EnoughError

    programs = Programs()
    first = Linear()
    train([first.stage()], Run(seed=1, key="stop", session=Session().sharing(programs)))
    before = [v.tobytes() for v in first.values()]
    with pytest.raises(EnoughError):
        train(
            [Linear().stage()],
            Run(seed=2, key="stop", session=Session().sharing(programs), watch=watch),
        )
    assert [v.tobytes() for v in first.values()] == before
