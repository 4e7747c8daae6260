"""``pretrain --strategy auto``: its lines, its JSON, and the command that it gives."""

import json
import shlex

import pytest
from commands import run

import headstart as hs
from pretrain.commands.race import table

RACE = [
    "--strategy",
    "auto",
    "--minutes",
    "0.05",
    "--encoder",
    "convnet",
    "--encoder-opt",
    "filters=4",
    "--seed",
    "3",
]


@pytest.mark.slow
def test_the_command_that_a_race_gives_gives_its_weights(capfd, tmp_path):
    raced = run(
        capfd, "pretrain", "--data", "digits[0,1]", "--out", tmp_path / "w.h5", *RACE, "--json"
    )
    assert raced.code == 0, raced.err
    record = json.loads(raced.out)["race"]
    assert "Rung 1: simclr, " in raced.err
    words = shlex.split(record["command"])
    plain = run(capfd, *words, "--out", tmp_path / "p.h5", "--json")
    assert plain.code == 0, plain.err
    assert json.loads(plain.out)["digest"] == record["digest"]
    encoder, alone = (hs.load_encoder(tmp_path / name) for name in ("w.h5", "p.h5"))
    assert encoder.race == record
    assert alone.race is None
    tensors = alone.weights_file.tensors
    assert all((t == tensors[n]).all() for n, t in encoder.weights_file.tensors.items())


def test_the_lines_say_what_was_tried():
    trial = {"rung": 1, "strategy": "simclr", "epochs": 0.5, "seconds": 7.123, "score": 0.25}
    record = {
        "trials": [trial, {**trial, "strategy": "gan", "score": None, "failed": "Non-finite."}],
        "strategy": "simclr",
        "measure": {"about": "views"},
        "minutes": 1.0,
        "seconds": 59.6,
        "command": "pretrain --data digits",
    }
    text = "\n".join(table(record))
    for part in (
        "simclr",
        "0.5",
        "7.1",
        "0.2500",
        "Non-finite.",
        "60 s of 60 s",
        "pretrain --data",
    ):
        assert part in text
