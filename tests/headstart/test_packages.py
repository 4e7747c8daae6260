"""A file of the same name as one of the packages is named, and never imported in its place."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands import environment

ROOT = str(Path(__file__).parents[2])


def python(folder, *arguments, path=()):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment(PYTHONPATH=os.pathsep.join([*map(str, path), ROOT])),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def stray(tmp_path):
    (tmp_path / "tasks.py").write_text("x = 1\n")
    return tmp_path


@pytest.mark.parametrize("command", ["pretrain", "transfer", "benchmark"])
def test_a_command_says_so_in_one_sentence(stray, command):
    done = python(stray, "-m", command, "--version")
    assert done.returncode == 2
    assert done.stderr.startswith(f"Error: The package 'tasks' is loaded from {stray}/tasks.py")
    assert "Rename it, take its folder off PYTHONPATH" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "line", ["from pretrain import load_encoder", "from transfer import TransferClassifier"]
)
def test_python_says_so_too(stray, tmp_path_factory, line):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    assert python(elsewhere, "-c", line).returncode == 0
    for done in (python(stray, "-c", line), python(elsewhere, "-c", line, path=[stray])):
        last = done.stderr.strip().splitlines()[-1]
        assert last.startswith("headstart.errors.InputError: The package 'tasks' is loaded from")
