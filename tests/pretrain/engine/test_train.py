"""The loop: interruptions, and resuming to the same bits."""

import os
import signal

import pytest
from stages import STEPS, Linear, Two, reference, run_two
from toys import Lines, StopAt, listing

from headstart.errors import InputError, Interrupted
from pretrain.engine.checkpoint import Checkpoints
from pretrain.engine.program import Programs
from pretrain.engine.progress import Reporter
from pretrain.engine.session import Session
from pretrain.engine.train import Run, train

pytestmark = pytest.mark.usefixtures("look_up_after_every_step")


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


def test_the_last_epoch_may_be_a_part_of_one(tmp_path, monkeypatch):
    """5/3 epochs of three steps: five updates by a schedule that ends there, resumed to the same bits."""
    made = Linear(epochs=5 / 3, schedule="cosine").stage("a")
    assert (made.updates, made.passes) == (5, 2)
    assert [made.steps_in(epoch) for epoch in (0, 1)] == [3, 2]
    start = [v.numpy() for v in made.variables]
    run = Run(seed=4, key="part", session=Session())
    train([made], run)
    assert run.updates == 5
    assert [row["epoch"] for row in run.history] == [1, 2]
    w, b = reference(made, start, seed=4)
    assert made.variables[0].numpy().ravel() == pytest.approx(w, rel=1e-4)
    assert float(made.variables[1].numpy()[0]) == pytest.approx(b, rel=1e-4)
    bits, whole = run_two(epochs=5 / 3)
    with pytest.raises(Interrupted):
        run_two(tmp_path, reporter=StopAt(4, 2), epochs=5 / 3)
    resumed, after = run_two(tmp_path, resume=True, epochs=5 / 3)
    assert (resumed, after.history) == (bits, whole.history)
    assert after.resumed_from == "stage 2, epoch 2, step 1"


def test_there_is_one_update_at_least_unless_there_is_no_epoch():
    assert [Linear(epochs=e).stage("a").updates for e in (0, 0.01, 1, 2)] == [0, 1, 3, 6]


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
    for part in (f"stage '{name}'", f"epoch {(step - 1) // 3 + 1}", "resume=True"):
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
    run = Run(seed=4, key="two", session=Session(checkpoints=checkpoints, resume=True))
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
