"""Real commands, killed for real, resumed to the digest of an uninterrupted run.

One kill for each mechanism of saving: one stage, stages that add blocks, two optimisers, transfer (a killed
benchmark: tests/benchmark/runner/test_engines.py). Every strategy with every encoder is killed in one process
at each point of a write by tests/test_contract.py.
"""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import environment

from pretrain.strategies import strategies
from pretrain.weights.file import WeightsFile

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
BIN = Path(sys.executable).parent
# Updates enough to be killed twice after a checkpoint, of which there is one about every half second.
EPOCHS = {"autoencoder": 80, "greedy-autoencoder": 30, "gan": 15}
TRANSFER_EPOCHS = 80
DATA = ["--data", "digits"]


def often(epochs):
    return ["--epochs", str(epochs), "--batch-size", "32", "--checkpoint-seconds", "0.5"]


def start(folder, arguments, *more):
    with (folder / "stderr").open("w") as stderr:
        return subprocess.Popen(
            [BIN / arguments[0], *arguments[1:], *more, "--json"],
            cwd=folder,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )


def finish(process, folder):
    out, _ = process.communicate()
    assert process.returncode == 0, (folder / "stderr").read_text()
    return json.loads(out)


def newest(checkpoints):
    return max((path.name for path in checkpoints.glob("checkpoint-*")), default="")


def kill_soon(process, folder, checkpoints, delay, *, after_checkpoint, with_=signal.SIGKILL):
    """Wait until training goes on (or has saved something new), ``delay`` more, and kill."""
    before = newest(checkpoints)
    while process.poll() is None:
        saved = newest(checkpoints) > before
        if saved or (not after_checkpoint and " epoch " in (folder / "stderr").read_text()):
            break
        time.sleep(0.02)
    time.sleep(delay)
    assert process.poll() is None, "the run was over before it could be killed: make it longer"
    process.send_signal(with_)
    out, _ = process.communicate()
    assert out == ""
    return process.returncode


def killed(folder, arguments, output, *, times=2):
    """Run, kill ``times`` times, the last time with something to resume, and return the end's JSON."""
    rng = random.Random(0)
    checkpoints = folder / f"{output}.checkpoints"
    for number in range(times):
        process = start(folder, arguments, *(["--resume"] if number else []))
        later = number > 0 or times == 1
        code = kill_soon(process, folder, checkpoints, 0.7 * rng.random(), after_checkpoint=later)
        assert code == -signal.SIGKILL
        assert not (folder / output).exists()
    return finish(start(folder, arguments, "--resume"), folder)


@pytest.fixture
def folders(tmp_path):
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    return tmp_path / "whole", tmp_path / "parts"


@pytest.mark.parametrize("strategy", EPOCHS)
def test_pretraining_killed_gives_the_same_bits(folders, strategy):
    whole, parts = folders
    long = often(EPOCHS[strategy])
    arguments = ["pretrain", "--strategy", strategy, *DATA, "--out", "w.h5", *long]
    expected = finish(start(whole, arguments), whole)
    found = killed(parts, arguments, "w.h5")
    assert found["resumed_from"] is not None
    assert found["digest"] == expected["digest"]
    assert found["history"] == expected["history"]
    assert (parts / "w.h5").read_bytes() == (whole / "w.h5").read_bytes()
    assert not (parts / "w.h5.checkpoints").exists()


def test_a_transfer_killed_twice_gives_the_same_bits(folders):
    whole, parts = folders
    name = next(name for name, row in strategies().items() if not row.needs_labels)
    for folder in folders:
        arguments = ["pretrain", "--strategy", name, *DATA, "--out", "w.h5", "--epochs", "1"]
        finish(start(folder, arguments), folder)
    source = (parts / "w.h5").read_bytes()
    assert source == (whole / "w.h5").read_bytes()  # the same command twice, the same file
    arguments = ["transfer", "--from", "w.h5", *DATA, "--out", "m.keras", *often(TRANSFER_EPOCHS)]
    expected = finish(start(whole, arguments), whole)
    found = killed(parts, arguments, "m.keras")
    assert found["digest"] == expected["digest"]
    assert found["history"] == expected["history"]
    assert found["confusion"] == expected["confusion"]
    assert (parts / "w.h5").read_bytes() == source


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_checkpoints_and_says_how_to_go_on(folders, number):
    whole, parts = folders
    name = next(iter(strategies()))
    short = ["--epochs", "60", "--batch-size", "32"]
    arguments = ["pretrain", "--strategy", name, *DATA, "--out", "w.h5", *short]
    process = start(parts, arguments)
    checkpoints = parts / "w.h5.checkpoints"
    code = kill_soon(process, parts, checkpoints, 0.5, after_checkpoint=False, with_=number)
    assert code == 130
    last = (parts / "stderr").read_text().splitlines()[-1]
    assert last.startswith("Error: Interrupted in epoch ")
    assert "--resume" in last
    assert len(list(checkpoints.iterdir())) >= 1
    resumed = finish(start(parts, arguments, "--resume"), parts)
    assert resumed["digest"] == finish(start(whole, arguments), whole)["digest"]
    assert WeightsFile.read(parts / "w.h5").digest == resumed["digest"]
