"""One pretraining run: what is refused, what is held out, how it is resumed, what is recorded."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import environment
from pretraining import pretrained
from toys import StopAt, listing, patterns

from headstart.errors import InputError, Interrupted, NonFiniteError
from pretrain.config import PretrainConfig
from pretrain.monitoring.collapse import CollapseError
from pretrain.plan import PretrainPlan
from pretrain.weights.file import WeightsFile
from tasks.splits import stratified_split

CONFIG = PretrainConfig(
    strategy="supervised",
    encoder="mlp",
    encoder_options={"units": [16, 8]},
    epochs=2,
    batch_size=16,
)

FILES = ["weights.curves.png", "weights.epochs.csv", "weights.h5"]


def run(folder, pool=None, *, force=False, resume=False, reporter=None, **changes):
    config = replace(CONFIG, **changes)
    out = folder / "weights.h5"
    how = {"force": force, "resume": resume, "reporter": reporter}
    return pretrained(pool or patterns(), config, out, **how)


def same(a, b):
    return all(np.array_equal(t, b.weights.tensors[n]) for n, t in a.weights.tensors.items())


@pytest.mark.parametrize(
    ("changes", "pool", "says"),
    [
        ({"strategy": "supervsed"}, {}, "Did you mean 'supervised'"),
        ({"options": {"loss": "bce"}}, {}, "strategy 'supervised' has no option 'loss'.* none"),
        ({"encoder": "mpl"}, {}, "encoder must be one of .*Got 'mpl'. Did you mean 'mlp'"),
        ({"encoder_options": {"units": []}}, {}, "'units' .* list of 1 to 64 integers. Got"),
        ({"encoder_options": {"units": [True]}}, {}, "'units'"),
        ({"validation": 1.0}, {}, "validation must be 0 or more and 0.9 or less. Got 1.0"),
        ({"validation": float("nan")}, {}, "validation must be a number. Got nan"),
        ({"epochs": 0}, {}, "epochs must be above 0. Got 0"),
        ({"batch_size": 0}, {}, "batch_size must be 1 or more. Got 0"),
        ({"learning_rate": True}, {}, "learning_rate must be a number"),
        ({"optimizer": "rmsprop"}, {}, "optimizer must be one of adam, sgd"),
        ({"recipe": "notbook"}, {}, "Did you mean 'notebook'"),
        ({"keep_best": "validation", "strategy": "gan"}, {}, "no single validation loss.*'probe'"),
        ({}, {"labelled": False}, "strategy needs a labelled pool, and 'patterns' has no labels"),
        ({}, {"classes": 1}, "needs two classes or more, and 'patterns' has one"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_done(tmp_path, changes, pool, says):
    with pytest.raises(InputError, match=says):
        run(tmp_path, patterns(**pool), **changes)
    assert listing(tmp_path) == {}


@pytest.mark.parametrize(("shape", "encoder"), [((8, 8, 1), "convnet"), ((64,), "mlp")])
def test_auto_takes_the_encoder_that_fits_the_examples(shape, encoder):
    pool = patterns()
    pool = replace(pool, x=pool.x.reshape(len(pool.x), *shape))
    plan = PretrainPlan.resolve(pool, PretrainConfig(strategy="autoencoder"))
    assert plan.encoder["architecture"] == encoder
    with pytest.raises(InputError, match=r"'convnet' needs images.*[Uu]se the encoder 'mlp'"):
        PretrainPlan.resolve(
            replace(pool, x=pool.x.reshape(80, 64)),
            replace(CONFIG, encoder="convnet", encoder_options={}),
        )


def test_an_existing_output_stays_unless_forced(tmp_path):
    first = run(tmp_path)
    before = listing(tmp_path)
    with pytest.raises(InputError, match="exists already"):
        run(tmp_path, seed=1)
    assert listing(tmp_path) == before
    second = run(tmp_path, seed=1, force=True)
    assert second.weights.digest != first.weights.digest
    assert WeightsFile.read(tmp_path / "weights.h5").digest == second.weights.digest


def test_a_finished_run_is_recognised_and_anothers_is_not_touched(tmp_path):
    first = run(tmp_path)
    before = listing(tmp_path)
    again = run(tmp_path, resume=True)
    assert (again.updates, again.history, again.resumed_from) == (0, [], "the end")
    assert again.weights.digest == first.weights.digest
    for changes in ({"seed": 1}, {"epochs": 3}, {"pool": patterns(seed=1)}):
        with pytest.raises(InputError, match="is another run's"):
            run(tmp_path, **changes, resume=True)
    assert listing(tmp_path) == before


def test_an_interrupted_run_waits_for_a_decision(tmp_path, monkeypatch):
    monkeypatch.setattr("pretrain.engine.train.CALL_SECONDS", 0)
    with pytest.raises(Interrupted):
        run(tmp_path, reporter=StopAt(3))
    before = listing(tmp_path)
    with pytest.raises(InputError, match=r"interrupted run lies in .*resume=True.*force=True"):
        run(tmp_path)
    with pytest.raises(InputError, match=r"recipe was .*'epochs': 2.* and is now .*'epochs': 3"):
        run(tmp_path, resume=True, epochs=3, batch_size=16)
    with pytest.raises(InputError, match=r"belongs to another run: data was"):
        run(tmp_path, patterns(seed=1), resume=True)
    assert listing(tmp_path) == before
    forced = run(tmp_path, force=True)
    assert forced.resumed_from is None
    assert list(listing(tmp_path)) == FILES


def test_what_is_held_out_is_measured_and_never_trained_on(tmp_path):
    pool = patterns()
    kept, held = stratified_split(pool.y, len(pool.x), 0.25, 3)
    assert len(held) == 20
    x = pool.x.copy()
    x[held] = 255 - x[held]
    runs = []
    for name, data in (("plain", pool), ("changed", replace(pool, x=x))):
        (tmp_path / name).mkdir()
        runs.append(run(tmp_path / name, data, validation=0.25, seed=3))
    plain, changed = runs
    assert same(plain, changed)
    assert [r["loss"] for r in plain.history] == [r["loss"] for r in changed.history]
    assert plain.history[-1]["val_loss"] != changed.history[-1]["val_loss"]
    assert plain.updates == 2 * -(-len(kept) // 16)


def test_without_a_held_out_part_everything_is_trained_on(tmp_path):
    made = run(tmp_path, validation=0.0)
    assert made.updates == 2 * 5
    assert set(made.history[0]) == {
        *("stage", "epoch", "loss", "accuracy"),
        *("feature_std", "feature_rank"),
    }


def test_the_pools_test_part_is_not_looked_at(tmp_path):
    pool = patterns(test=12)
    runs = []
    for name, data in (("a", pool), ("b", replace(pool, x_test=255 - pool.x_test))):
        (tmp_path / name).mkdir()
        runs.append(run(tmp_path / name, data))
    assert same(*runs)


def test_a_strategy_without_labels_does_not_look_at_them(tmp_path):
    runs = []
    for name, data in (("a", patterns()), ("b", patterns(labelled=False))):
        (tmp_path / name).mkdir()
        runs.append(run(tmp_path / name, data, strategy="autoencoder"))
    assert same(*runs)
    assert runs[0].weights.metadata["data"]["labels_used"] is False


def test_the_file_says_how_it_came_about(tmp_path):
    pool = patterns()
    made = run(tmp_path, pool, seed=4)
    read = WeightsFile.read(tmp_path / "weights.h5")
    about = read.metadata
    assert read.digest == made.weights.digest
    assert read.encoder["options"] == {"units": [16, 8], "activation": "selu"}
    assert read.preprocessing["value_range"] == [0, 255]
    assert (about["strategy"], about["seed"], about["validation"]) == ("supervised", 4, 0.1)
    assert about["recipe"]["epochs"] == 2
    assert about["recipe"]["optimizer"]["name"] == "adam"
    assert about["data"] == {
        "name": "patterns",
        "fingerprint": pool.fingerprint,
        "examples": 80,
        "labels_used": True,
    }
    last = {k: v for k, v in made.history[-1].items() if k != "stage"}
    assert about["metrics"] == last
    assert about["updates"] == made.updates
    assert set(about["versions"]) >= {"headstart", "tensorflow", "keras", "numpy"}
    assert "threads" in about


def test_the_file_holds_fingerprints_of_the_whole_pool_unless_told_otherwise(tmp_path):
    pool = patterns(test=5)
    prints = run(tmp_path, pool).weights.fingerprints
    assert (prints.examples, len(prints.exact), len(prints.near)) == (80, 80, 80)
    exact, near = prints.find(pool.x, pool.value_range)  # what was held out to measure on, too
    assert exact.all()
    assert near.all()
    exact, near = prints.find(pool.x_test, pool.value_range)
    assert not exact.any()
    assert not near.any()
    assert run(tmp_path, pool, fingerprints=False, force=True).weights.fingerprints is None


def test_a_run_that_becomes_non_finite_writes_nothing(tmp_path):
    (tmp_path / "weights.h5").write_text("old")
    how = {"epochs": 5, "batch_size": 128, "learning_rate": 99, "optimizer": "sgd"}
    with pytest.raises(NonFiniteError):
        run(tmp_path, **how, force=True)
    assert listing(tmp_path) == {"weights.h5": b"old"}


def test_the_best_epoch_by_validation_is_written_and_named(tmp_path):
    how = {
        "epochs": 6,
        "batch_size": 16,
        "learning_rate": 0.05,
    }  # too fast: some epochs are worse
    made = run(tmp_path, **how, keep_best="validation")
    losses = [row["val_loss"] for row in made.history]
    best = losses.index(min(losses))
    about = WeightsFile.read(tmp_path / "weights.h5").metadata
    assert about["keep_best"] == "validation"
    assert about["kept"] == [{"stage": "supervised", "epoch": best + 1, "val_loss": losses[best]}]
    assert about["metrics"]["epoch"] == best + 1
    assert made.kept == [made.history[best]]
    # The epochs of a run do not depend on which of them is kept; what is written does.
    (tmp_path / "last").mkdir()
    last = run(tmp_path / "last", **how)
    assert last.history == made.history
    assert "kept" not in last.weights.metadata
    assert same(last, made) == (best == 5)


def test_without_a_validation_loss_there_is_no_best_and_nothing_is_written(tmp_path):
    # Three examples are too few to hold any out; of siamese pairs, so are three of three people.
    for strategy, pool, says in (
        ("gan", patterns(), "no single validation loss"),
        ("supervised", patterns(3), "too small for a held-out part"),
        ("siamese", patterns(9, classes=8), "no single validation loss"),
    ):
        with pytest.raises(InputError, match=says) as caught:
            run(tmp_path, pool, keep_best="validation", strategy=strategy)
        assert caught.value.argument == "keep_best"
    assert listing(tmp_path) == {}


def test_of_a_later_stage_without_a_validation_loss_the_last_epoch_is_kept_and_it_is_told():
    from types import SimpleNamespace

    from pretrain.run import announce_last_epochs, kept_rows

    one = SimpleNamespace(name="one", objectives=[0], validation={})
    two = SimpleNamespace(name="two", objectives=[0, 0], validation={})
    said = []
    assert list(announce_last_epochs([one, two], "validation", said.append)) == [one, two]
    assert said == [
        "The stage 'two' has 2 objectives, and so no single validation loss: "
        "its last epoch is kept, not its best."
    ]
    for other in ("probe", None):
        assert list(announce_last_epochs([two, one], other, said.append)) == [two, one]
    history = [
        {"stage": "one", "epoch": 1, "val_loss": 0.5},
        {"stage": "one", "epoch": 2, "val_loss": 0.5},
        {"stage": "one", "epoch": 3, "val_loss": 0.7},
        {"stage": "one", "epoch": 1, "other": 0.1},  # a second stage of the same name
        {"stage": "one", "epoch": 2, "other": 0.9},
    ]
    assert kept_rows(history, "validation") == [history[0], history[4]]
    assert kept_rows(history, None) == [history[2], history[4]]
    assert kept_rows([], "validation") == []


def test_units_that_all_died_stop_the_run_of_any_strategy(tmp_path):
    # One step so large that no unit is ever positive again: the loss is finite, the features are 0.
    how = {"epochs": 9, "batch_size": 128, "learning_rate": 99, "optimizer": "sgd"}
    options = {"units": [8, 8], "activation": "relu"}
    with pytest.raises(CollapseError, match=r"spread is 0 of .*Use a lower learning rate"):
        run(tmp_path, **how, encoder_options=options)
    assert listing(tmp_path) == {}


def test_heads_do_not_repeat_the_encoders_first_weights():
    from pretrain.encoders.encoder import Encoder, seeded, stream
    from pretrain.plan import HEADS_STREAM
    from transfer.model.network import HEAD_STREAM

    config = {"architecture": "mlp", "input_shape": [20], "options": {"units": [30]}}
    first = Encoder({**config, "options": {"units": [30], "activation": "selu"}}, 3).tensors()[
        "block1/dense/kernel"
    ]

    def head(seed):
        import keras

        with seeded(seed):
            layer = keras.layers.Dense(30, kernel_initializer="lecun_normal")
            layer.build((None, 20))
        return layer.kernel.numpy()

    assert np.corrcoef(first.ravel(), head(3).ravel())[0, 1] > 0.99  # why there are streams
    assert HEADS_STREAM != HEAD_STREAM
    assert abs(np.corrcoef(first.ravel(), head(stream(3, HEADS_STREAM)).ravel())[0, 1]) < 0.2


def command(folder, *more, stop=False):
    """Run the command in a process of its own; return its JSON, or its exit code and errors.

    stop: by Ctrl-C when its first checkpoint is there.
    """
    words = "--strategy supervised --data digits --encoder mlp --encoder-opt units=16,8 --epochs 39"
    arguments = [
        *words.split(),
        "--batch-size",
        "32",
        "--learning-rate",
        "0.05",
        "--validation",
        "0",
    ]
    arguments += ["--threads", "2", "--json", "--checkpoint-seconds", "0", "--out", "w.h5"]
    process = subprocess.Popen(
        [sys.executable, "-m", "pretrain", *arguments, *more],
        cwd=folder,
        env=environment(PYTHONPATH=str(Path(__file__).parents[2])),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while stop and process.poll() is None:
        if any((folder / "w.h5.checkpoints").glob("checkpoint-*.npz")):
            process.send_signal(signal.SIGINT)
            break
        time.sleep(0.01)
    printed, errors = process.communicate()
    return json.loads(printed) if process.returncode == 0 else (process.returncode, errors)


PYTHON = """
import os, signal
from pathlib import Path

from pretrain.config import PretrainConfig
from pretrain.engine.progress import Reporter
from pretrain.engine.session import Session
from pretrain.plan import PretrainPlan
from pretrain.run import pretrain
from tasks.loading.resolve import load_dataset


class StopAt(Reporter):
    def step(self, done, **_):
        if {stop} and done >= {stop}:
            os.kill(os.getpid(), signal.SIGINT)


config = PretrainConfig(
    strategy="supervised", encoder="mlp", encoder_options={{"units": [16, 8]}}, epochs=39, batch_size=32,
    learning_rate=0.05, validation=0,
)
session = Session(threads=2, resume={resume}, checkpoint_seconds=0, reporter=StopAt())
plan = PretrainPlan.make(load_dataset("digits"), config, out=Path("w.h5"), session=session)
done = pretrain(plan, session)
print(done.weights.digest, done.weights.metadata["identity"], done.resumed_from)
"""


def python(folder, *, stop=0, resume=False):
    """Make the same run by Python, in a process that started nothing before; its last line's words."""
    done = subprocess.run(
        [sys.executable, "-c", PYTHON.format(stop=stop, resume=resume)],
        cwd=folder,
        env=environment(PYTHONPATH=str(Path(__file__).parents[2])),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.split(maxsplit=2) if done.returncode == 0 else done.stderr


@pytest.mark.slow
def test_a_run_is_the_same_from_python_and_from_the_command_and_each_resumes_the_other(tmp_path):
    whole, first, second = (tmp_path / name for name in ("whole", "first", "second"))
    for folder in (whole, first, second):
        folder.mkdir()
    made = command(whole)
    identity = WeightsFile.read(whole / "w.h5").metadata["identity"]
    # Begun in Python, and finished by the command.
    assert "Interrupted" in python(first, stop=60)
    refused = command(first)
    assert refused[0] == 2
    assert "--resume" in refused[1]
    resumed = command(first, "--resume")
    assert resumed["resumed_from"].startswith("stage 1, epoch")
    assert resumed["digest"] == made["digest"]
    assert resumed["history"] == made["history"]
    # Begun by the command, and finished in Python.
    assert command(second, stop=True)[0] == 130
    digest, same_identity, where = python(second, resume=True)
    assert (digest, same_identity) == (made["digest"], identity)
    assert where.startswith("stage 1, epoch")
    # Finished by the command, and recognised by Python.
    assert python(whole, resume=True) == [made["digest"], identity, "the end\n"]
