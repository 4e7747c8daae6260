"""One run from Python and from the command: the same identity and digest; each resumes the other."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from toys import StopAt, patterns
from transfers import weights

from headstart.errors import InputError, Interrupted
from pretrain.engine.session import Session
from pretrain.weights.file import WeightsFile
from tasks.loading.resolve import load_dataset
from tasks.task import TargetTask
from transfer.cli import cli
from transfer.config import TransferConfig
from transfer.encoder_source import EncoderSource
from transfer.plan import TransferPlan
from transfer.run import transfer

CONFIG = {"freeze_epochs": 2, "epochs": 2, "batch_size": 16, "labels": 40, "seed": 3}


@pytest.fixture
def folder(tmp_path):
    data = patterns(test=30)
    np.savez(tmp_path / "data.npz", x=data.x, y=data.y, x_test=data.x_test, y_test=data.y_test)
    np.savez(tmp_path / "more.npz", x=patterns(50, seed=5).x)
    weights().write(tmp_path / "weights.h5")
    return tmp_path


def by_command(folder, out, *more):
    arguments = [
        "--from",
        folder / "weights.h5",
        "--data",
        folder / "data.npz",
        "--json",
        "--quiet",
    ]
    for name, value in CONFIG.items():
        arguments += [f"--{name.replace('_', '-')}", value]
    arguments += ["--out", folder / out, *more]
    done = CliRunner().invoke(cli, [str(part) for part in arguments], catch_exceptions=False)
    return json.loads(done.stdout)


def by_python(folder, out, *, unlabelled=None, session=None, **config):
    task = TargetTask.from_dataset(load_dataset(str(folder / "data.npz")))
    source = EncoderSource.from_weights(WeightsFile.read(folder / "weights.h5"), "weights.h5")
    session = session or Session()
    plan = TransferPlan.make(
        task,
        source,
        TransferConfig(**CONFIG, **config),
        unlabelled=unlabelled,
        out=folder / out,
        session=session,
    )
    return transfer(plan, session)


def settled(result):
    return {k: v for k, v in result.items() if k not in ("seconds", "out")}


def test_python_and_the_command_give_one_result(folder, short_pool_training):
    command = by_command(
        folder, "command.keras", "--unlabelled", folder / "more.npz", "--head", "hidden"
    )
    python = by_python(
        folder, "python.keras", unlabelled=load_dataset(str(folder / "more.npz")), head="hidden"
    )
    assert python.path == folder / "python.keras"
    # Times of the parts apart, all of it: identity, digest, history, card's facts.
    for result in (command, python.result):
        result["pool"].pop("seconds")
    assert settled(python.result) == settled(command)
    assert json.loads((folder / "python.json").read_text())["identity"] == command["identity"]
    assert (folder / "python.md").read_text().count("\n") == (
        (folder / "command.md").read_text().count("\n")
    )


@pytest.mark.parametrize("begun_by", ["python", "command"])
def test_each_resumes_the_other(folder, monkeypatch, begun_by):
    whole = by_command(folder, "whole.keras")
    with monkeypatch.context() as patch:
        patch.setattr("pretrain.engine.train.CALL_SECONDS", 0)
        patch.setattr("pretrain.engine.progress.make_reporter", lambda quiet: StopAt(4, 2))
        begin = {
            "python": lambda: by_python(
                folder, "cut.keras", session=Session(reporter=StopAt(4, 2))
            ),
            "command": lambda: by_command(folder, "cut.keras"),
        }[begun_by]
        with pytest.raises(Interrupted):
            begin()
    # Neither goes on, or replaces it, unasked.
    for again in (by_python, by_command):
        with pytest.raises(InputError, match="An interrupted run lies in"):
            again(folder, "cut.keras")
    if begun_by == "python":
        resumed = by_command(folder, "cut.keras", "--resume")
    else:
        resumed = by_python(folder, "cut.keras", session=Session(resume=True)).result
    assert settled(resumed) == settled(whole)
    # It is over, and both know it.
    finished = by_python(folder, "cut.keras", session=Session(resume=True))
    assert finished.result["digest"] == by_command(folder, "cut.keras", "--resume")["digest"]
    assert finished.model.input_shape == (None, 8, 8, 1)


@pytest.mark.parametrize(
    ("config", "argument"),
    [
        ({"labels_from": "chosen.csv"}, "labels"),
        ({"search_seconds": 3.0}, "search_seconds"),
        ({"reuse": "auto", "head": "knn"}, "head"),
        ({"map": "umap"}, "map"),
        ({"batch_size": 0}, "batch_size"),
        ({"reuse": "some"}, "reuse"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"unlabelled_size": 10}, "unlabelled_size"),
        ({"head": "knn", "epochs": 2}, "freeze_epochs"),
        ({"recipe": "best"}, "recipe"),
        ({"unfreeze": 4}, "unfreeze"),
        ({"reuse": 1, "above": "add", "solve": 1.0}, "solve"),
    ],
)
def test_what_contradicts_itself_is_refused_while_planning(folder, config, argument):
    config = {k: v for k, v in {**CONFIG, **config}.items() if v is not None}
    task = TargetTask.from_dataset(load_dataset(str(folder / "data.npz")))
    source = EncoderSource.from_weights(WeightsFile.read(folder / "weights.h5"))
    with pytest.raises(InputError) as caught:
        TransferPlan.make(task, source, TransferConfig(**config), out=folder / "model.keras")
    assert caught.value.argument == argument
    assert not (folder / "model.keras").exists()
