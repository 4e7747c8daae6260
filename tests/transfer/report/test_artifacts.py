"""What the command writes beside a model, and what it leaves alone."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from toys import listing, patterns
from transfers import weights

from headstart.errors import HeadstartError, InputError
from tasks.task import TargetTask
from transfer.cli import cli
from transfer.export.onnx import run_onnx
from transfer.metrics.baselines import NAME, baselines
from transfer.report.model_card import card

QUICK = ["--freeze-epochs", "2", "--epochs", "2", "--batch-size", "16", "--labels", "40"]
BESIDE = ["--export", "onnx", "--export", "savedmodel", "--pictures"]


@pytest.fixture
def folder(tmp_path):
    data = patterns(test=30)
    np.savez(tmp_path / "data.npz", x=data.x, y=data.y, x_test=data.x_test, y_test=data.y_test)
    weights().write(tmp_path / "weights.h5")
    return tmp_path


def invoke(*arguments):
    result = CliRunner().invoke(cli, [str(part) for part in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def run(folder, *more):
    arguments = ["--from", folder / "weights.h5", "--data", folder / "data.npz", "--json"]
    arguments += ["--out", folder / "model.keras", *QUICK, *more]
    result = invoke(*arguments)
    return json.loads(result.stdout), result.stderr


def test_formats_pictures_and_card_lie_beside_the_model(folder):
    printed, _ = run(folder, *BESIDE)
    del printed["out"]
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "weights.h5",
        "data.npz",
        "model.keras",
        "model.json",
        "model.md",
        "model.onnx",
        "model-savedmodel",
        "model-pictures",
    }
    assert json.loads((folder / "model.json").read_text()) == printed
    assert (folder / "model.md").read_text() == card(printed, "model.keras")
    assert [(row["format"], row["file"]) for row in printed["exports"]] == [
        ("onnx", "model.onnx"),
        ("savedmodel", "model-savedmodel"),
    ]
    assert all(row["examples"] == {"n": 30, "kind": "given"} for row in printed["exports"])
    assert printed["source"] == {
        "file": "weights.h5",
        "strategy": "none",
        "data": "none",
        "seed": 77,
    }
    assert printed["input"]["dtype"] == "uint8"
    assert "model-pictures/confusion.png" in printed["pictures"]
    assert all((folder / name).is_file() for name in printed["pictures"])
    # The exported model is right on as many test examples as was measured.
    test = patterns(test=30)
    said = run_onnx(folder / "model.onnx", test.x_test).argmax(axis=1)
    assert (said == test.y_test).mean() == printed["accuracy"]


def test_a_finished_run_gets_what_was_not_asked_for_before(folder):
    first, _ = run(folder)
    assert "exports" not in first
    assert "pictures" not in first
    model = (folder / "model.keras").read_bytes()
    second, _ = run(folder, "--resume", *BESIDE)
    assert second["digest"] == first["digest"]
    assert (folder / "model.keras").read_bytes() == model
    assert "model.onnx" in (folder / "model.md").read_text()
    before = listing(folder)
    again, _ = run(folder, "--resume", "--export", "onnx")  # nothing is made twice or forgotten
    assert again == second
    assert listing(folder) == before


def test_a_map_without_pictures_is_a_mistake(folder):
    with pytest.raises(InputError, match=r"map is about figures.* Got 'umap'"):
        run(folder, "--map", "umap")


@pytest.mark.parametrize("name", ["model.md", "model.onnx", "model-pictures/wrong.png"])
def test_a_file_in_the_way_is_found_before_training(folder, name):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        run(folder, *BESIDE)
    assert not (folder / "model.keras").exists()
    assert (folder / name).read_text() == "mine"


def test_a_page_of_someones_own_is_never_replaced(folder):
    (folder / "model.md").write_text("# My thesis\n")
    with pytest.raises(InputError, match=r"model\.md is not the card of a model"):
        run(folder, "--force")
    assert (folder / "model.md").read_text() == "# My thesis\n"
    (folder / "model.md").unlink()
    run(folder)
    run(folder, "--force")


def test_another_models_files_are_pointed_out(folder):
    old = [folder / name for name in ("model.onnx", "model-savedmodel", "model-pictures")]
    old[0].write_bytes(b"old")
    for path in old[1:]:
        path.mkdir()
    _, told = run(folder)
    assert all(f"{path} lies here already; it is another model's" in told for path in old)
    _, told = run(folder, "--force", "--export", "onnx")
    assert "model.onnx lies" not in told
    assert "model-savedmodel lies" in told
    assert old[0].read_bytes() != b"old"


def test_a_format_that_fails_costs_neither_model_nor_result(folder, monkeypatch):
    def fail(*_, **__):
        raise HeadstartError("It predicts differently.")

    monkeypatch.setattr("transfer.report.artifacts.export_model", fail)
    with pytest.raises(
        HeadstartError, match=r"differently. The model itself is whole: .*model\.keras"
    ):
        run(folder, "--export", "onnx")
    assert json.loads((folder / "model.json").read_text())["labels"] == 40
    assert (folder / "model.md").exists()
    assert not (folder / "model.keras.checkpoints").exists()


def test_models_already_made_are_exported_too(folder):
    run(folder)
    model = ["export", "--model", folder / "model.keras"]
    made = json.loads(invoke(*model, "--to", "onnx", "--to", "savedmodel", "--json").stdout)
    kinds = [(row["format"], row["examples"]["kind"]) for row in made["exports"]]
    assert kinds == [("onnx", "random"), ("savedmodel", "random")]
    with pytest.raises(InputError, match="exists already"):
        invoke(*model, "--to", "onnx")
    again = invoke(*model, "--to", "onnx", "--data", folder / "data.npz", "--force")
    assert "model.onnx: its outputs differ from the model's by at most " in again.stdout
    assert "on 64 examples" in again.stdout
    np.savez(folder / "small.npz", x=np.zeros((4, 5, 5, 1), np.uint8))
    with pytest.raises(InputError, match=r"shape \(8, 8, 1\), and"):
        invoke(*model, "--to", "onnx", "--data", folder / "small.npz", "--force")


def test_the_cheap_baseline_is_the_plain_one_and_knows_when_to_stay_away(folder, monkeypatch):
    from sklearn.linear_model import LogisticRegression

    on = TargetTask.from_dataset(patterns(test=30))
    rows = on.labels(40, 0)
    found = baselines(on, rows)[NAME]
    plain = LogisticRegression(max_iter=200).fit(on.x[rows].reshape(40, -1) / 255, on.y[rows])
    assert found["accuracy"] == plain.score(on.x_test.reshape(30, -1) / 255, on.y_test)
    low, high = found["accuracy_interval"]
    assert low <= found["accuracy"] <= high
    assert baselines(on, np.flatnonzero(on.y == 1)) == {}
    some = np.concatenate([np.flatnonzero(on.y == 2)[:5], np.flatnonzero(on.y == 1)[:5]])
    assert 0.5 < baselines(on, some)[NAME]["accuracy"] <= 2 / 3  # one class was never seen
    monkeypatch.setattr("transfer.metrics.baselines.MAX_SIZE", 40 * 64 * 3 - 1)
    assert baselines(on, rows) == {}
