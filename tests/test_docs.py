"""The documents: generated parts are fresh, links lead somewhere, the worked example works."""

import importlib.util
import re
import runpy
import shlex
import shutil
import sys
import tomllib
from dataclasses import replace
from importlib.machinery import SourceFileLoader
from pathlib import Path

import numpy as np
import pytest
from commands import run
from toys import patterns

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def docs():
    """``scripts/docs`` as a module; it has no suffix by which Python would find it."""
    loader = SourceFileLoader("scripts_docs", str(ROOT / "scripts" / "docs"))
    spec = importlib.util.spec_from_loader("scripts_docs", loader)
    module = importlib.util.module_from_spec(spec)
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    return module


@pytest.fixture
def copy(tmp_path):
    """A copy of the texts, to spoil."""
    for name in ("docs", "scripts", ".ci"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (*ROOT.glob("*.md"), *ROOT.glob("*.t*"), ROOT / "LICENSE"):
        shutil.copy(path, tmp_path)
    return tmp_path


def test_the_documents_are_in_order(docs):
    assert list(docs.check(ROOT)) == []


def test_everything_to_choose_from_is_in_the_documents():
    from pretrain.encoders import ARCHITECTURES
    from pretrain.strategies import STRATEGIES
    from tasks.sources import SOURCES

    text = "\n".join(path.read_text() for path in ROOT.glob("docs/*.md"))
    names = [*STRATEGIES, *ARCHITECTURES, *SOURCES]
    names += [f"{name}/{alias}" for name, row in SOURCES.items() for alias in row.aliases]
    for row in (*STRATEGIES.values(), *ARCHITECTURES.values()):
        names += row.options
    missing = [
        name for name in names if not re.search(rf"^### {name}$|`{name}`", text, re.MULTILINE)
    ]
    assert missing == []


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("docs/commands.md", "--strategy TEXT", "--strategy WORD", "docs/commands.md: stale"),
        ("docs/strategies.md", "### autoencoder", "### autodecoder", "docs/strategies.md: stale"),
        ("README.md", "(docs/data.md)", "(docs/date.md)", "README.md: the link docs/date.md leads"),
        ("docs/commands.md", "#exit-codes", "#codes", "names no heading of README.md"),
        (
            "CHANGELOG.md",
            "## 0.1.0",
            "/home/someone/x ## 0.1.0",
            "a machine's folder: '/home/someone",
        ),
        ("scripts/test", "set -eu", "# https:" + "//x", "scripts/test:7: a URL"),
        ("constraints.txt", "click", "# index.example" + ".org", "constraints.txt:"),
    ],
)
def test_a_fault_is_found(docs, copy, file, old, new, says):
    text = (copy / file).read_text()
    assert old in text
    (copy / file).write_text(text.replace(old, new, 1))
    assert any(says in fault for fault in docs.check(copy))


def test_it_writes_what_is_missing_and_nothing_else(docs, copy):
    (copy / "docs" / "commands.md").unlink()
    page = dict(docs.generated(copy))[copy / "docs" / "commands.md"]
    assert page == (ROOT / "docs" / "commands.md").read_text()
    subcommands = (
        "pretrain inspect",
        "pretrain import",
        "transfer predict",
        "transfer suggest",
        "transfer export",
        "benchmark report",
    )
    for command in ("pretrain", "transfer", "benchmark", *subcommands):
        assert f"\n## {command}\n" in page
    assert page.count("`--force`") == 7


def test_the_map_has_every_folder_in_the_order_of_the_floors():
    """Of the map in CONTRIBUTING.md: all sub-packages, each below those that it may import."""
    section = (ROOT / "CONTRIBUTING.md").read_text().split("## The tree")[1].split("\n## ")[0]
    found = {}
    for indent, name in re.findall(r"^( *)(\w+)/ ", section, re.MULTILINE):
        if indent:
            found[list(found)[-1]].append(name)
        else:
            found[name] = []
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    for package in ("headstart", "tasks", "pretrain", "transfer", "benchmark"):
        there = {path.parent.name for path in (ROOT / package).glob("*/__init__.py")}
        assert set(found[package]) - {"api"} == there - {"api"}
        (floors,) = [
            c["layers"] for c in contracts["contracts"] if c.get("containers") == [package]
        ]
        floor = {name: -i for i, line in enumerate(floors) for name in re.findall(r"\w+", line)}
        heights = [floor[name] for name in found[package] if name in floor]
        assert heights == sorted(heights)
        assert len(heights) >= len(there - {"api"})


def worked_example(name, tmp_path):
    """The module of a section of CONTRIBUTING.md that begins with ``name``."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    (block,) = [block for block in blocks if block.startswith(f'"""``{name}``')]
    path = tmp_path / f"{name}.py"
    path.write_text(block)
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_worked_example_of_a_strategy(tmp_path, monkeypatch):
    """The strategy in CONTRIBUTING.md trains, moves every weight, and is listed."""
    from pretraining import pretrained

    from pretrain.commands.list import listing
    from pretrain.config import PretrainConfig
    from pretrain.encoders.encoder import Encoder
    from pretrain.strategies import STRATEGIES
    from pretrain.weights.file import WeightsFile

    module = worked_example("tidy", tmp_path)
    monkeypatch.setitem(STRATEGIES, module.ROW.name, module.ROW)

    assert module.ROW.summary in listing()
    config = PretrainConfig(strategy="tidy", options={"noise": "0.1"}, epochs=4, batch_size=16)
    made = pretrained(patterns(), config, tmp_path / "weights.h5")
    assert made.history[-1]["loss"] < 0.98 * made.history[0]["loss"]
    read = WeightsFile.read(made.path)
    assert read.metadata["strategy"] == "tidy"
    assert read.metadata["options"] == {"noise": 0.1}
    before = Encoder(read.encoder, seed=0).tensors()
    assert not any(np.array_equal(tensor, read.tensors[name]) for name, tensor in before.items())


def test_the_worked_example_of_a_head(tmp_path, monkeypatch):
    """The head in CONTRIBUTING.md is chosen by name, learns, is saved and loaded, and refuses numbers."""
    import keras
    from sklearn.base import clone
    from sklearn.neighbors import NearestCentroid
    from transfers import QUICK, source, task, transferred

    from headstart.errors import InputError
    from transfer import TransferClassifier, TransferRegressor
    from transfer.config import TransferConfig
    from transfer.export.keras_file import save_model
    from transfer.heads import HEADS
    from transfer.inference import predict_batched
    from transfer.report.model_card import card

    row = worked_example("mean", tmp_path).ROW
    monkeypatch.setitem(HEADS, row.name, row)
    given, path = source(), tmp_path / "model.keras"
    for classes in (2, 3):
        on = task(classes=classes)
        done = transferred(on, given, TransferConfig(recipe=QUICK, head="mean"))
        assert done.result["accuracy"] > 0.8
        assert done.result["head_choice"]["s"] in (0.3, 1.0, 3.0, 10.0, 30.0)
        save_model(done.model, path, done.inputs, done.result, on.x_test[:8])
        outputs = predict_batched(keras.models.load_model(path, safe_mode=True), on.x_test)
        said = outputs[:, 0] > 0.5 if classes == 2 else outputs.argmax(axis=1)

        def features(x, model=done.model):
            return predict_batched([model.get_layer(n) for n in ("inputs", "encoder")], x)

        known = features(on.x)
        center, spread = known.mean(axis=0), known.std(axis=0)
        spread[spread < 1e-6 * spread.max()] = np.inf
        theirs = NearestCentroid().fit((known - center) / spread, on.y)
        assert (said == theirs.predict((features(on.x_test) - center) / spread)).all()
        page = card(done.result, path.name)
        assert "| head | mean |" in page
        assert "| s, on frozen features |" in page

    given.weights.write(tmp_path / "weights.h5")
    fitted = TransferClassifier(tmp_path / "weights.h5", head="mean").fit(on.x, on.y)
    assert fitted.score(on.x_test, on.y_test) == done.result["accuracy"]
    with pytest.raises(ValueError, match=r"head learns classes, and y of .* is numbers"):
        TransferRegressor(tmp_path / "weights.h5", head="mean").fit(on.x, on.y / 2)
    with pytest.raises(InputError) as caught:
        transferred(task(), given, TransferConfig(recipe=QUICK, head="means"))
    assert caught.value.hint == "Did you mean 'mean'?"
    assert clone(fitted).get_params()["head"] == "mean"


def test_the_worked_example_of_a_target(tmp_path, monkeypatch):
    """The target in CONTRIBUTING.md is learnt by two heads, saved, and loaded by stock Keras."""
    import keras
    from sklearn.metrics import r2_score
    from transfers import QUICK, source, task, transferred

    from tasks.targets import KINDS
    from tasks.task import TargetTask
    from transfer.config import TransferConfig
    from transfer.export.keras_file import ModelInfo, save_model
    from transfer.inference import predict_batched
    from transfer.report.model_card import card
    from transfer.targets import TARGETS

    row = worked_example("amounts", tmp_path).ROW
    monkeypatch.setitem(TARGETS, row.name, row)
    monkeypatch.setitem(KINDS, row.name, "one amount an example")
    monkeypatch.setattr(TargetTask, "target", row.name)
    classes = task(classes=3)
    on = replace(
        classes,
        y=7.0 * 10.0**classes.y,
        y_test=7.0 * 10.0**classes.y_test,
        class_names=(),
    )
    for head in ("linear", "logistic"):
        recipe = replace(QUICK, freeze_epochs=40, head_learning_rate=0.03)
        config = TransferConfig(recipe=recipe, head=head)
        done = transferred(on, source(), config)
        assert done.result["target"] == "amounts"
        path = tmp_path / f"{head}.keras"
        save_model(done.model, path, done.inputs, done.result, on.x_test[:8])
        said = predict_batched(keras.models.load_model(path, safe_mode=True), on.x_test)[:, 0]
        assert np.mean(np.abs(np.log10(said / on.y_test)) < 0.5) > 0.8
        assert done.result["r2"] == pytest.approx(r2_score(on.y_test, said), rel=1e-3)
        assert isinstance(ModelInfo.read(path).target, row)
        assert "A model of one amount" in card(done.result, path.name)


@pytest.mark.slow
def test_the_python_page_runs_from_top_to_bottom(tmp_path, monkeypatch, capfd):
    """Training is cut short; nothing else is changed."""
    encoded, transferred, benched, refused, classified, chosen, searched, compared, keras_shape = (
        page("python", tmp_path, monkeypatch, capfd)
    )
    assert encoded == "(5, 128)\n"
    assert float(transferred.split()[0]) > 0.5
    assert {"digits.keras", "digits.json", "digits.md"} <= {p.name for p in tmp_path.iterdir()}
    assert "minus scratch" in benched
    argument, rule, hint, whole = refused.splitlines()
    assert argument == "head knm"
    assert hint == "Did you mean 'knn'?"
    assert whole.startswith(f"head {rule}. Got 'knm'.")
    assert float(classified.split()[0]) > 0.5
    assert float(chosen.split()[1]) > 0.5
    assert "features__reuse" in searched
    assert float(searched.split()[-1]) > 0.5
    assert "scratch" in compared
    assert "pretrained" in compared
    assert keras_shape.endswith("(2, 10)\n")


def test_the_transfer_page_runs_from_top_to_bottom(tmp_path, monkeypatch, capfd):
    page("transfer", tmp_path, monkeypatch, capfd)
    names = {path.name for path in tmp_path.iterdir()}
    assert {"logistic.keras", "knn.json", "ink.csv", "several.csv"} <= names
    with (tmp_path / "several.csv").open() as file:
        assert "p(above four)" in file.readline()


def page(name, folder, monkeypatch, capfd):
    """Run what a page shows, and return what its Python printed; training is cut short."""
    monkeypatch.chdir(folder)
    text = (ROOT / "docs" / f"{name}.md").read_text()
    said = []
    for language, code in re.findall(r"^```(\w+)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        if language == "sh":
            for line in code.splitlines():
                command, *words = shlex.split(line)
                trains = words[0] != "predict"
                short = ["--epochs", "2"] if trains and "--head" not in words else []
                done = run(capfd, command, *words, *short, *(["--quiet"] if trains else []))
                assert done.code == 0, done.err
        else:
            (folder / "block.py").write_text(code)
            capfd.readouterr()
            runpy.run_path("block.py")
            said.append(capfd.readouterr().out)
    return said
