"""Bad input through the real commands: one paragraph, exit code 2, nothing written or changed."""

import random
import shutil
from dataclasses import replace

import numpy as np
import pytest
from commands import run
from PIL import Image
from toys import listing, patterns
from transfers import weights

from tasks.duplicates.fingerprints import Fingerprints


def save(path, **changes):
    data = patterns(60)
    arrays = {"x": data.x, "y": data.y} | changes
    np.savez(path, **{k: v for k, v in arrays.items() if v is not None})


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """Good data and weights, and everything that can be wrong."""
    tmp_path = tmp_path_factory.mktemp("everything")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        fill(tmp_path)
    return tmp_path


@pytest.fixture
def folder(everything, tmp_path, monkeypatch):
    """A working folder with a copy of it all."""
    shutil.copytree(everything, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fill(tmp_path):
    data = patterns(60)
    save("good.npz")
    save("unlabelled.npz", y=None)
    save("short.npz", y=data.y[:59])
    save("one.npz", y=np.zeros(60, int))
    save("nan.npz", x=np.where(data.x == data.x.max(), np.nan, data.x))
    save("table.npz", x=data.x.reshape(60, -1))
    save("empty.npz", x=data.x[:0], y=data.y[:0])
    (tmp_path / "cut.npz").write_bytes((tmp_path / "good.npz").read_bytes()[:999])
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "nothing").mkdir()
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for i in range(3):
            Image.fromarray(data.x[i, ..., 0]).save(tmp_path / "pets" / name / f"{i}.png")
    (tmp_path / "pets" / "cat" / "broken.png").write_bytes(b"no image")
    weights().write(tmp_path / "good.h5")
    image = bytearray((tmp_path / "good.h5").read_bytes())
    (tmp_path / "cut.h5").write_bytes(image[: len(image) // 2])
    image[random.Random(0).randrange(2000, len(image))] ^= 4
    (tmp_path / "flipped.h5").write_bytes(image)
    (tmp_path / "renamed.h5").write_bytes((tmp_path / "good.npz").read_bytes())
    weights(shape=(5,)).write(tmp_path / "table.h5")
    leaky = weights()
    used = {**leaky.metadata, "data": {**leaky.metadata["data"], "labels_used": True}}
    prints = Fingerprints.of(data.x, data.value_range)
    replace(leaky, metadata=used, fingerprints=prints).write(tmp_path / "leaky.h5")
    (tmp_path / "other.csv").write_text("index,data\n3,0123456789abcdef\n")
    (tmp_path / "old.h5").write_text("old")
    (tmp_path / "old.keras").write_text("old")


def options(base, changes):
    given = {**base, **changes}
    parts = [(f"--{k}", v) for k, v in given.items() if v is not None]
    return [part for option, v in parts for part in ((option,) if v is True else (option, v))]


PRETRAIN = {"strategy": "supervised", "data": "good.npz", "out": "new.h5", "epochs": "1"}
AUTO = {"strategy": "auto", "epochs": None}
TRANSFER = {"from": "good.h5", "data": "good.npz", "labels": "20", "out": "new.keras"}
BENCHMARK = {"data": "good.npz", "strategies": "all", "labels": "20", "seeds": "1", "out": "report"}

CASES = [
    ("pretrain", {"strategy": "supervisd"}, ["supervisd", "Did you mean 'supervised'?"]),
    ("pretrain", {"strategy": None}, ["Missing option '--strategy'", "--list"]),
    ("pretrain", {"data": None}, ["Missing option '--data'"]),
    ("pretrain", {"stratgy": "x"}, ["No such option", "--strategy"]),
    ("pretrain", {"opt": "nois=0.2"}, ["has no option 'nois'"]),
    ("pretrain", {"opt": "noise"}, ["name=value", "'noise'"]),
    ("pretrain", {"encoder": "convnt"}, ["convnt", "Did you mean 'convnet'?"]),
    ("pretrain", {"encoder": "mlp", "encoder-opt": "unit=3"}, ["'unit'", "Did you mean 'units'?"]),
    ("pretrain", {"encoder": "mlp", "encoder-opt": "units=0"}, ["'units'", "Got '0'"]),
    ("pretrain", {"encoder": "mlp", "encoder-opt": "units=65536,65536"}, ["parameters"]),
    ("pretrain", {"strategy": "aut"}, ["--strategy", "Did you mean 'auto'?"]),
    ("pretrain", {"strategy": "auto"}, ["--epochs cannot be given with --strategy auto"]),
    ("pretrain", {**AUTO, "opt": "margin=2"}, ["--opt cannot be given with --strategy auto"]),
    ("pretrain", {**AUTO, "probe": "good.npz", "keep-best": "probe"}, ["--keep-best", "auto"]),
    ("pretrain", {**AUTO, "minutes": "0"}, ["--minutes", "x>0"]),
    ("pretrain", {**AUTO, "augment": "faecs"}, ["--augment", "Did you mean 'faces' or"]),
    ("pretrain", {**AUTO, "probe": "unlabelled.npz"}, ["--probe must be labelled"]),
    ("pretrain", {"minutes": "1"}, ["--minutes changes nothing", "--strategy auto"]),
    ("pretrain", {"recipe": "notbook"}, ["--recipe", "'notbook'", "Did you mean 'notebook'?"]),
    ("pretrain", {"epochs": "0"}, ["--epochs", "0"]),
    ("pretrain", {"learning-rate": "-1"}, ["--learning-rate"]),
    ("pretrain", {"learning-rate": "nan"}, ["--learning-rate"]),
    ("pretrain", {"seed": "-1"}, ["--seed"]),
    ("pretrain", {"validation": "0.95"}, ["--validation"]),
    ("pretrain", {"threads": "0"}, ["--threads"]),
    ("pretrain", {"image-size": "8x"}, ["--image-size", "HEIGHTxWIDTH"]),
    ("pretrain", {"data": "table.npz", "image-size": "9x8"}, ["--image-size", "needs images"]),
    ("pretrain", {"data": "digts"}, ["'digts'", "Did you mean 'digits'?"]),
    ("pretrain", {"data": "fashion-mnist/C"}, ["fashion-mnist/C", "fashion-mnist/A"]),
    ("pretrain", {"data": "digits[10]"}, ["no class '10'", "0, 1, 2"]),
    ("pretrain", {"data": "goood.npz"}, ["goood.npz", "Did you mean 'good.npz'"]),
    ("pretrain", {"data": ""}, ["There is no file or folder ''"]),
    ("pretrain", {"data": "notes.txt"}, ["notes.txt", ".npz"]),
    ("pretrain", {"data": "empty.npz"}, ["empty.npz", "is empty"]),
    ("pretrain", {"data": "cut.npz"}, ["cut.npz", "cut short"]),
    ("pretrain", {"data": "short.npz"}, ["60 in all. Got 59"]),
    ("pretrain", {"data": "one.npz"}, ["--strategy needs two classes", "'one.npz'"]),
    (
        "pretrain",
        {"data": "unlabelled.npz"},
        ["--strategy needs a labelled pool", "Got 'supervised'"],
    ),
    ("pretrain", {"data": "nan.npz"}, ["nan.npz", "NaN"]),
    ("pretrain", {"data": "nothing"}, ["nothing", "is empty"]),
    ("pretrain", {"data": "pets"}, ["1 of 7 files", "broken.png"]),
    ("pretrain", {"out": "old.h5"}, ["old.h5 exists already", "--force"]),
    ("pretrain", {"out": "notes.txt/new.h5"}, ["notes.txt/new.h5 cannot be written"]),
    ("pretrain", {"out": "nothing"}, ["nothing is a folder"]),
    ("transfer", {"from": None}, ["Missing option '--from'"]),
    ("transfer", {"from": "none.h5"}, ["none.h5"]),
    ("transfer", {"from": "cut.h5"}, ["cut.h5 is not usable", "truncated"]),
    ("transfer", {"from": "flipped.h5"}, ["flipped.h5 is not usable"]),
    ("transfer", {"from": "renamed.h5"}, ["renamed.h5 is not usable"]),
    ("transfer", {"from": "table.h5"}, ["expects examples of shape (5,)", "(8, 8, 1)"]),
    ("transfer", {"out": "model.h5"}, ["must end in .keras", "model.h5"]),
    ("transfer", {"out": "old.keras"}, ["old.keras exists already"]),
    ("transfer", {"labels": "2"}, ["--labels must be 3 or more", "Got 2"]),
    ("transfer", {"labels": "49"}, ["--labels must be 48 or less", "Got 49"]),
    ("transfer", {"labels": "0"}, ["--labels must be", "Got 0"]),
    ("transfer", {"labels-from": "x.csv"}, ["--labels and --labels-from", "Leave one"]),
    ("transfer", {"labels": None, "labels-from": "x.csv"}, ["x.csv cannot be read"]),
    ("transfer", {"labels": None, "labels-from": "notes.txt"}, ["notes.txt must have the columns"]),
    ("transfer", {"labels": None, "labels-from": "other.csv"}, ["other.csv names", "other data"]),
    ("transfer", {"from": "leaky.h5"}, ["had 12", "12 test examples", "--allow-leakage"]),
    ("transfer", {"test-part": "1"}, ["--test-part", "0<x<1"]),
    ("transfer", {"test-part": "nan"}, ["--test-part", "nan"]),
    ("transfer", {"reuse": "4"}, ["--reuse must be 'auto', 'all' or 0 to 3", "Got 4"]),
    ("transfer", {"reuse": "some"}, ["must be 'auto', 'all' or a number of blocks", "'some'"]),
    (
        "transfer",
        {"reuse": "auto", "above": "drop"},
        ["--above is what --reuse auto chooses", "Leave one"],
    ),
    (
        "transfer",
        {"search-seconds": "9"},
        ["--search-seconds bounds the search", "Give --reuse auto"],
    ),
    ("transfer", {"above": "dropp"}, ["--above must be one of", "Did you mean 'drop'?"]),
    ("transfer", {"head": "deep"}, ["--head must be one of", "'deep'"]),
    ("transfer", {"head": "knn", "pool": "good.npz"}, ["solved on frozen features"]),
    ("transfer", {"schedule": "cosin"}, ["--schedule must be", "Did you mean 'cosine'?"]),
    ("transfer", {"warmup": "2"}, ["--warmup", "2.0", "0<=x<=0.99"]),
    ("transfer", {"layer-decay": "3"}, ["--layer-decay", "3.0 is not in the range 0<x<=1"]),
    ("transfer", {"reuse": "²"}, ["--reuse", "a number of blocks", "'²'"]),
    ("transfer", {"image-size": "²"}, ["--image-size", "a number of pixels", "'²'"]),
    ("pretrain", {"out": "good.npz", "force": True}, ["good.npz is an input of this run"]),
    ("transfer", {"interpolate": "3"}, ["--interpolate", "3.0", "0<=x<=1"]),
    ("transfer", {"unfreeze": "-1"}, ["--unfreeze", "a number of blocks"]),
    ("transfer", {"learning-rate": "fnd"}, ["--learning-rate", "fnd"]),
    ("transfer", {"pool-size": "9"}, ["--unlabelled-size", "Give --unlabelled DATA"]),
    ("transfer", {"epochs": "0", "freeze-epochs": "0"}, ["at least one epoch"]),
    ("transfer", {"recipe": "notebok"}, ["Did you mean 'notebook'?"]),
    ("transfer", {"data": "one.npz"}, ["one class only"]),
    ("transfer", {"data": "unlabelled.npz"}, ["has no labels"]),
    ("transfer", {"data": "short.npz"}, ["60 in all. Got 59"]),
    ("benchmark", {"labels": "20,x"}, ["--labels", "'20,x'"]),
    ("benchmark", {"labels": "0"}, ["--labels", "positive numbers", "'0'"]),
    ("benchmark", {"labels": "20,4900"}, ["--labels must be", "Got 4900"]),
    ("benchmark", {"strategies": "supervisd"}, ["Did you mean 'supervised'?"]),
    ("benchmark", {"strategies": ","}, ["--strategies", "one or more names"]),
    (
        "benchmark",
        {"strategies": "supervised"},
        ["--strategies", "'supervised'", "needs a labelled pool"],
    ),
    ("benchmark", {"pretrain-data": "nan.npz"}, ["nan.npz", "NaN"]),
    ("benchmark", {"pretrain-data": "digts"}, ["Did you mean 'digits'?"]),
    ("benchmark", {"out": "notes.txt"}, ["--out must be a folder", "notes.txt"]),
    ("benchmark", {"out": "notes.txt/report"}, ["cannot be written"]),
    ("benchmark", {"opt": "finetune=3"}, ["STRATEGY.name=value", "'finetune=3'"]),
    ("benchmark", {"opt": "rbn.k=3"}, ["Did you mean 'rbm'?"]),
    ("benchmark", {"opt": "rbm.k=3"}, ["--opt rbm.k changes nothing"]),
    ("benchmark", {"recipe": "notebok"}, ["Did you mean 'notebook'?"]),
    ("benchmark", {"data": "one.npz"}, ["one class only"]),
]
BASES = {"pretrain": PRETRAIN, "transfer": TRANSFER, "benchmark": BENCHMARK}


@pytest.mark.parametrize(
    ("command", "changes", "says"),
    CASES,
    ids=[f"{c} {' '.join(f'{k}={v}' for k, v in changes.items())}" for c, changes, _ in CASES],
)
def test_bad_input_is_one_paragraph_and_changes_nothing(folder, capfd, command, changes, says):
    before = listing(folder)
    done = run(capfd, command, *options(BASES[command], changes))
    assert done.code == 2, done
    assert done.out == ""
    paragraph = done.err[done.err.index("Error: ") :]
    assert paragraph.endswith("\n")
    assert paragraph.count("\n") == 1
    assert done.err.startswith(("Error: ", "Usage: "))
    for part in says:
        assert part in paragraph, paragraph
    assert "Traceback" not in done.err
    after = listing(folder)
    assert [name for name in after if before.get(name, b"") != after[name]] == []
    assert set(after) == set(before)


@pytest.mark.parametrize("name", ["none.h5", "cut.h5", "flipped.h5", "renamed.h5", "good.npz", "."])
def test_inspecting_a_bad_file_is_one_paragraph(folder, capfd, name):
    done = run(capfd, "pretrain", "inspect", name)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("Error: ")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"model": "none.keras"}, "There is no model file none.keras"),
        ({"model": "old.keras"}, "old.keras is not a readable .keras model"),
        ({"model": None}, "Missing option '--model'"),
        ({"out": None}, "Missing option '--out'"),
        (
            {"model": "old.keras", "out": "old.keras", "force": True},
            "old.keras is an input of this run",
        ),
        (
            {"model": "old.keras", "out": "good.npz", "force": True},
            "good.npz is an input of this run",
        ),
    ],
)
def test_predicting_with_a_bad_model_is_one_paragraph(folder, capfd, changes, says):
    before = listing(folder)
    base = {"model": "none.keras", "data": "good.npz", "out": "new.csv"}
    done = run(capfd, "transfer", "predict", *options(base, changes))
    assert (done.code, done.out) == (2, "")
    assert says in done.err
    assert listing(folder) == before


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"from": None}, "Missing option '--from'"),
        ({"pool": None}, "Missing option '--data' / '--pool'"),
        ({"labels": None}, "Missing option '--labels'"),
        ({"labels": "0"}, "--labels"),
        ({"labels": "49"}, "--labels must be 1 to 48"),
        ({"from": "cut.h5"}, "cut.h5 is not usable"),
        ({"from": "table.h5"}, "expects examples of shape (5,)"),
        ({"pool": "digts"}, "Did you mean 'digits'?"),
        ({"out": "chosen.txt"}, "--out must end in .csv"),
        ({"out": "old.csv"}, "old.csv exists already"),
        ({"out": "seen.csv"}, "seen.png exists already"),
    ],
)
def test_a_bad_request_for_suggestions_is_one_paragraph(folder, capfd, changes, says):
    for name in ("old.csv", "seen.png"):
        (folder / name).write_text("mine")
    before = listing(folder)
    base = {"from": "good.h5", "pool": "good.npz", "labels": "5", "out": "new.csv"}
    done = run(capfd, "transfer", "suggest", *options(base, changes))
    assert (done.code, done.out) == (2, "")
    assert says in done.err
    assert "Traceback" not in done.err
    assert listing(folder) == before


@pytest.mark.parametrize("command", ["pretrain", "transfer"])
def test_a_refused_command_leaves_no_folder_behind(folder, capfd, command):
    out = "new/deeper/model.keras"
    before = listing(folder)
    done = run(capfd, command, *options(BASES[command], {"data": "digts", "out": out}))
    assert done.code == 2
    assert listing(folder) == before
