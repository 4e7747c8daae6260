"""The loop: interruptions, resuming to the same bits, and runs that stop being finite."""

import os
import signal
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from stages import Linear, data
from toys import Lines, StopAt, listing

from pretrain.engine.checkpoint import Checkpoints
from pretrain.engine.program import Programs
from pretrain.engine.progress import Reporter
from pretrain.engine.train import Run, train
from pretrain.stage import Look, Objective, Optimizer, Stage
from tasks.errors import InputError, Interrupted, NonFiniteError

STEPS = 18  # two stages of three epochs of three steps


@pytest.fixture(autouse=True)
def look_up_after_every_step(monkeypatch):
    monkeypatch.setattr("pretrain.engine.train.CALL_SECONDS", 0)


@pytest.fixture(params=[False, True], ids=["graph", "xla"])
def path(request, monkeypatch):
    monkeypatch.setattr("pretrain.engine.train.use_xla", lambda stage: request.param)


# Compiled once for all tests but those that are about a fresh process.
SHARED = Programs()


class Two:
    """A second stage whose data are the first stage's result."""

    def __init__(self):
        self.first = Linear(epochs=3, validation=data(4))
        self.second = Linear(epochs=3)

    def stages(self):
        yield self.first.stage("first")
        x = self.second.how["arrays"]["x"] * self.first.w.numpy()[:, 0]
        self.second.how["arrays"] = {**self.second.how["arrays"], "x": x}
        self.second.b.assign(self.first.b.value)
        yield self.second.stage("second")

    def bits(self):
        return [v.tobytes() for v in (*self.first.values(), *self.second.values())]


def run_two(folder=None, *, reporter=None, resume=False, programs=SHARED, seconds=5.0, **how):
    two = Two()
    run = Run(
        seed=4,
        key="two",
        checkpoints=folder and Checkpoints(folder, {"run": "two"}, seconds),
        reporter=reporter or Reporter(),
        resume=resume,
        programs=programs,
        **how,
    )
    train(two.stages(), run)
    return two.bits(), run


def test_interrupted_after_every_step_equals_uninterrupted(path, tmp_path):
    interruptions, folder = 0, tmp_path / "checkpoints"
    bits, run = run_two()
    while True:
        try:
            reporter = StopAt(0, stage=None)
            resumed, after = run_two(folder, reporter=reporter, resume=True)
            break
        except Interrupted:
            interruptions += 1
        assert interruptions <= STEPS
        assert len(list(folder.iterdir())) <= 2
    assert interruptions == STEPS
    assert resumed == bits
    assert after.history == run.history
    assert after.updates == run.updates == STEPS
    assert after.resumed_from == "stage 2, epoch 3, step 3"
    assert run.resumed_from is None


@pytest.mark.parametrize(
    ("stage", "step", "xla"), [(1, 1, False), (1, 9, False), (2, 3, False), (2, 4, True)]
)
def test_resumed_with_nothing_compiled_equals_uninterrupted(
    tmp_path, monkeypatch, stage, step, xla
):
    monkeypatch.setattr("pretrain.engine.train.use_xla", lambda stage: xla)
    bits, run = run_two()
    with pytest.raises(Interrupted) as caught:
        run_two(tmp_path, reporter=StopAt(step, stage))
    name = ("first", "second")[stage - 1]
    for part in (f"stage '{name}'", f"epoch {(step - 1) // 3 + 1}", "--resume"):
        assert part in str(caught.value)
    assert caught.value.exit_code == 130
    heard = Lines()
    resumed, after = run_two(tmp_path, resume=True, reporter=heard, programs=Programs())
    assert resumed == bits
    assert after.history == run.history
    assert heard.said == [f"Resuming at {after.resumed_from}."]


def test_checkpoints_are_written_on_the_way_and_serve(tmp_path):
    """As after kill -9: what was last saved by the clock is resumed, not a farewell checkpoint."""

    class PulledError(Exception):
        pass

    class PullThePlug(Reporter):
        def step(self, done, **_):
            if done == 8:
                raise PulledError

    bits, _ = run_two()
    with pytest.raises(PulledError):
        run_two(tmp_path, reporter=PullThePlug(), seconds=0)
    resumed, after = run_two(tmp_path, resume=True)
    assert after.resumed_from is not None
    assert resumed == bits


def test_resume_without_a_checkpoint_starts(tmp_path):
    bits, _ = run_two()
    assert run_two(tmp_path / "none", resume=True)[0] == bits


def test_another_runs_checkpoint_is_not_resumed(tmp_path):
    with pytest.raises(Interrupted):
        run_two(tmp_path, reporter=StopAt(2))
    before = listing(tmp_path)
    checkpoints = Checkpoints(tmp_path, {"run": "three"})
    run = Run(seed=4, key="two", checkpoints=checkpoints, resume=True)
    with pytest.raises(InputError, match="run was 'two' and is now 'three'"):
        train(Two().stages(), run)
    assert listing(tmp_path) == before


def test_without_checkpoints_an_interruption_says_that_nothing_is_kept():
    with pytest.raises(Interrupted, match="Nothing was written"):
        run_two(reporter=StopAt(1))


def test_sigterm_is_heeded_and_the_handlers_are_put_back(tmp_path):
    class Terminate(Reporter):
        def step(self, done, **_):
            os.kill(os.getpid(), signal.SIGTERM)

    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(Interrupted):
        run_two(tmp_path, reporter=Terminate())
    assert len(list(tmp_path.iterdir())) == 1
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_second_ctrl_c_stops_at_once():
    class Impatient(Reporter):
        def step(self, done, **_):
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run_two(reporter=Impatient())


def test_a_checkpoint_that_cannot_be_written_does_not_stop_the_training(tmp_path):
    (tmp_path / "file").write_text("in the way")
    heard = Lines()
    bits, _ = run_two(tmp_path / "file", reporter=heard, seconds=0)
    assert bits == run_two()[0]
    assert any("Warning: no checkpoint could be written" in line for line in heard.said)


def test_the_reporter_hears_every_update_and_epoch():
    heard = Lines()
    _, run = run_two(reporter=heard)
    assert heard.steps == [*range(1, 10)] * 2
    assert heard.rows == run.history
    assert [(row["stage"], row["epoch"]) for row in run.history] == [
        (stage, epoch) for stage in ("first", "second") for epoch in (1, 2, 3)
    ]


def test_a_stage_of_no_epochs_changes_nothing():
    linear = Linear(epochs=0)
    before = [v.tobytes() for v in linear.values()]
    run = Run(seed=0, key="none")
    train([linear.stage()], run)
    assert [v.tobytes() for v in linear.values()] == before
    assert (run.history, run.updates) == ([], 0)


def stop(stage, folder):
    run = Run(seed=0, key="bad", checkpoints=Checkpoints(folder, {}, 1e9))
    with pytest.raises(NonFiniteError) as caught:
        train([stage], run)
    assert caught.value.exit_code == 3
    assert list(folder.iterdir()) == []
    assert "--learning-rate" in str(caught.value)
    return str(caught.value)


def test_a_huge_learning_rate_stops_the_run(path, tmp_path):
    linear = Linear(optimizer=Optimizer(name="sgd"), learning_rate=1e30, epochs=9)
    assert "it was 1e+30" in stop(linear.stage(), tmp_path)


def test_nan_in_the_data_stops_the_run(path, tmp_path):
    linear = Linear(n=9)
    linear.how["arrays"]["x"][8, 1] = np.nan
    text = stop(linear.stage(), tmp_path)
    assert "stage 'linear', epoch 1, within steps" in text


def test_nan_weights_behind_a_relu_that_hides_them_are_found(path, tmp_path):
    layer = keras.layers.Dense(8, activation="relu", name="hidden")
    layer.build((None, 3))
    layer.kernel.assign(np.full((3, 8), np.nan))

    def loss(batch):
        # oneDNN's relu can turn NaN into 0; here it is sure to.
        hidden = layer(batch.x)
        return {"loss": tf.reduce_mean(tf.where(tf.math.is_nan(hidden), 0.0, hidden))}

    objective = Objective(name="hide", loss=loss, variables=layer.trainable_weights)
    stage = Stage(
        name="hide",
        objectives=[objective],
        arrays=data(8),
        epochs=1,
        batch_size=4,
        learning_rate=0.0,
    )
    assert "the weights hidden/kernel" in stop(stage, tmp_path)


def test_a_state_that_becomes_infinite_is_found(path, tmp_path):
    linear = Linear()
    average = keras.Variable(1.0, name="average")
    stage = linear.stage(state=[average], after=lambda batch: average.assign(average * np.inf))
    assert "the weights average" in stop(stage, tmp_path)


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

        def look(linear=linear, order=order):
            order.append("look")
            values = linear.w.numpy()[:, 0]
            return Look(metrics={"w0": float(values[0])}, pictures={"w": np.uint8(abs(values) * 9)})

        def watch(stage, row, order=order):
            order.append("watch" if "w0" in row else "watch alone")
            return {}

        def show(name, row, picture, shown=shown):
            shown.append((name, row["epoch"], picture.tobytes()))

        stage = replace(linear.stage(), look=look, look_epochs=2)
        run = Run(seed=1, key="look", programs=programs, watch=watch, gallery=show)
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
    train([first.stage()], Run(seed=1, key="stop", programs=programs))
    before = [v.tobytes() for v in first.values()]
    with pytest.raises(EnoughError):
        train([Linear().stage()], Run(seed=2, key="stop", programs=programs, watch=watch))
    assert [v.tobytes() for v in first.values()] == before
