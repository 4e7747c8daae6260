"""Every command of the README runs, in the order in which it is written.

Training is cut short: SHORTER is appended to each command, where the last of two equal options
counts. Nothing else is changed, and the folders of photos are made under the README's names.
"""

import csv
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import run as run_here

ROOT = Path(__file__).resolve().parent.parent
SHORTER = {
    "pretrain": ["--epochs", "1"],
    "transfer": ["--freeze-epochs", "1", "--epochs", "1"],
    "benchmark": ["--pretrain-epochs", "1", "--seeds", "1"],
}
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)

# Sections that share a folder. What a section of one story makes, the next one may use.
STORIES = {
    "digits": ["README.md: Headstart"],
    "fashion": ["README.md: Fashion-MNIST", "README.md: The notebook's experiment"],
    "seed": ["docs/seed-experiment.md: The command"],
    "own": ["README.md: Your own data", "README.md: Use the model"],
    "resume": ["README.md: Interrupted runs"],
}


def blocks():
    """Return {"file: heading": [(language, text)]} of the README and the pages with commands."""
    found = {}
    for file in ("README.md", "docs/seed-experiment.md", "docs/data.md", "docs/fair-comparison.md"):
        text = (ROOT / file).read_text()
        parts = re.split(
            r"^#+ (.*)$", BLOCK.sub(lambda m: m[0].replace("\n#", "\n\0"), text), flags=re.M
        )
        for heading, body in zip(parts[1::2], parts[2::2], strict=True):
            here = [(language, code.replace("\0", "#")) for language, code in BLOCK.findall(body)]
            if here:
                found[f"{file}: {heading}"] = here
    return found


def commands(section):
    """Return (language, words or code) of a section, one a command."""
    for language, code in blocks()[section]:
        if language == "python":
            yield language, code
            continue
        for line in code.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words:
                yield language, words


def shortened(words):
    trains = words[1:2] not in (["inspect"], ["predict"], ["export"]) and words[0] in SHORTER
    return [*words, *SHORTER[words[0]]] if trains else words


def environment(**more):
    """This environment, and its programs found first."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "TF_CPP_MIN_LOG_LEVEL": "3", **more}


def run(words, folder, **more):
    done = subprocess.run(
        words,
        cwd=folder,
        env=environment(**more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{shlex.join(map(str, words))}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture
def tell(tmp_path, monkeypatch, capfd, short_pool_training):
    """Run a story in a folder of its own; return the output of each command by its line.

    Commands run in this process: starting TensorFlow for each would take most of the time.
    """

    def told(story):
        monkeypatch.chdir(tmp_path)
        said = {}
        for section in STORIES[story]:
            for language, what in commands(section):
                if language == "python":
                    said[what] = run([sys.executable, "-c", what], tmp_path)
                elif not what[0].startswith("scripts/"):
                    words = shortened(what)
                    ended = run_here(capfd, *words)
                    assert ended.code == 0, f"{shlex.join(words)}\n{ended.out}\n{ended.err}"
                    said[" ".join(what)] = ended.out
                    if "--out" in words:
                        assert (tmp_path / words[words.index("--out") + 1]).exists()
        return said

    return told


def test_every_block_belongs_to_a_story():
    assert sorted(blocks()) == sorted(section for story in STORIES.values() for section in story)
    programs = {words[0] for s in blocks() for kind, words in commands(s) if kind != "python"}
    assert programs == {"pretrain", "transfer", "benchmark", "scripts/demo", "scripts/test"}
    assert {kind for here in blocks().values() for kind, _ in here} == {"sh", "python"}


def test_set_up_comes_first():
    first, second, *rest = (ROOT / "README.md").read_text().split("```sh\n")
    assert len(first.splitlines()) < 20
    assert [line.split()[0] for line in second.splitlines()[:2]] == ["scripts/demo", "scripts/test"]
    assert [line.split()[0] for line in rest[0].splitlines()[:3]] == list(SHORTER)


@pytest.mark.slow
def test_digits(tell, tmp_path):
    said = tell("digits")
    (table,) = (text for line, text in said.items() if line.startswith("benchmark"))
    assert "minus scratch" in table
    assert json.loads((tmp_path / "model.json").read_text())["labels"] == 20


@pytest.mark.slow
@pytest.mark.parametrize("story", ["fashion", "seed"])
def test_fashion_mnist(story, tell, tmp_path):
    from headstart.errors import InputError
    from tasks.loading.resolve import load_dataset

    try:
        load_dataset("fashion-mnist")
    except InputError as error:
        if "could not be downloaded" not in str(error):
            raise
        pytest.skip(f"Fashion-MNIST is not on this machine: {error}")
    said = tell(story)
    assert any("raw logistic regression" in text for text in said.values())
    lines = (tmp_path / "runs" / "seed" / "results.jsonl").read_text().splitlines()
    rows = {json.loads(line)["row"] for line in lines}
    assert {"scratch", "supervised"} <= rows


@pytest.mark.slow
def test_ones_own_data(tell, tmp_path):
    from PIL import Image

    random = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for i in range(40):
        pixels = random.integers(0, 256, (30, 40, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{i}.jpg")
    for k, name in enumerate(("bird", "cat", "dog")):
        (tmp_path / "labelled" / name).mkdir(parents=True)
        for i in range(90):
            pixels = random.integers(0, 128, (20 + i % 3, 24, 3), np.uint8)
            pixels[..., k] += 100
            Image.fromarray(pixels).save(tmp_path / "labelled" / name / f"{i}.png")

    said = tell("own")
    with (tmp_path / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 40
    about = ["index", "file", "predicted", "probability"]
    assert list(rows[0]) == [*about, "p(bird)", "p(cat)", "p(dog)"]
    assert rows[0]["file"] == "0.jpg"
    assert json.loads((tmp_path / "cat-or-dog.json").read_text())["classes"] == ["cat", "dog"]
    assert json.loads((tmp_path / "no-birds.json").read_text())["classes"] == ["cat", "dog"]
    assert json.loads((tmp_path / "pets.json").read_text())["classes"] == ["bird", "cat", "dog"]
    assert any("convnet" in text for line, text in said.items() if "inspect" in line)


def test_resume(tell):
    (said,) = tell("resume").values()
    assert "Wrote digits.h5" in said


@pytest.mark.slow
def test_the_demo_can_be_run_twice(tmp_path):
    """With training cut short, in a copy."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "lib.sh", tmp_path / "scripts")
    text, shorter = (ROOT / "scripts" / "demo").read_text(), tmp_path / "scripts" / "demo"
    spreading = "--unlabelled digits --unlabelled-method spreading"
    for long, short in (
        ("epochs 30", "epochs 2"),
        ("--seeds 3", "--seeds 1"),
        ("--unlabelled digits", spreading),
    ):
        assert long in text
        text = text.replace(long, short)
    shorter.write_text(text)
    shorter.chmod(0o755)
    more = {"HEADSTART_VENV": sys.prefix, "HEADSTART_INSTALLED": "1"}
    first = run([shorter, "runs"], tmp_path, **more)
    for words in (
        "$ pretrain --",
        "$ transfer --",
        "$ benchmark --",
        "minus scratch",
        "raw RBF SVM",
        "Done in",
    ):
        assert words in first
    assert run([shorter, "runs"], tmp_path, **more).count("Wrote") == 4
    left = {path.name for path in (tmp_path / "runs").iterdir()}
    models = {"model.json", "model.keras", "model.md"}
    pretrained = {"weights.epochs.csv", "weights.curves.png", "weights.h5"}
    assert left == {*models, *pretrained, "report"}


@pytest.mark.parametrize("script", ["demo", "test", "check"])
def test_scripts_can_be_run_and_are_sound(script, tmp_path):
    path = ROOT / "scripts" / script
    assert os.access(path, os.X_OK)
    run(["bash", "-n", path], tmp_path)


def test_the_test_script_hands_its_arguments_on(tmp_path):
    more = {"HEADSTART_VENV": sys.prefix, "HEADSTART_INSTALLED": "1"}
    assert "pytest" in run([ROOT / "scripts" / "test", "--version"], tmp_path, **more)


@pytest.mark.parametrize(
    ("python", "says"),
    [
        ("echo 3.9; exit 1", "needs Python 3.11 to 3.13"),
        ('case "$2" in *ensurepip*) exit 1;; esac', "apt-get install -y python3-venv"),
        (None, "There is no"),
    ],
)
def test_a_machine_that_cannot_make_an_environment_is_told_so(python, says, tmp_path):
    program = tmp_path / "python"
    if python is not None:
        program.write_text(f"#!/bin/sh\n{python}\n")
        program.chmod(0o755)
    done = subprocess.run(
        [ROOT / "scripts" / "demo", "runs"],
        cwd=tmp_path,
        env=environment(
            PYTHON=str(program), HEADSTART_VENV=str(tmp_path / "venv"), HEADSTART_INSTALLED=""
        ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert says in done.stderr
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "venv").exists()
