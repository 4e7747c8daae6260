"""``transfer`` as its command runs it: files in, files out, resumed to the same bits."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from toys import StopAt, listing, patterns
from transfers import weights

from headstart.errors import InputError, Interrupted
from transfer.cli import cli
from transfer.export.keras_file import ModelInfo

QUICK = ["--freeze-epochs", "2", "--epochs", "2", "--batch-size", "16", "--labels", "40"]


@pytest.fixture
def folder(tmp_path):
    data = patterns(test=30)
    np.savez(tmp_path / "data.npz", x=data.x, y=data.y, x_test=data.x_test, y_test=data.y_test)
    weights().write(tmp_path / "weights.h5")
    return tmp_path


def run(folder, *more, out="model.keras"):
    arguments = ["--from", folder / "weights.h5", "--data", folder / "data.npz"]
    arguments += ["--out", folder / out, "--json", "--quiet", *QUICK, *more]
    result = CliRunner().invoke(cli, [str(part) for part in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return json.loads(result.stdout)


def test_interrupted_and_resumed_equals_uninterrupted(folder, monkeypatch):
    source = (folder / "weights.h5").read_bytes()
    whole = run(folder, out="whole.keras")
    for stage, step in ((1, 2), (2, 4)):
        out = f"model{stage}.keras"
        with monkeypatch.context() as patch:
            reporter = StopAt(step, stage)
            patch.setattr("pretrain.engine.progress.make_reporter", lambda quiet, r=reporter: r)
            patch.setattr("pretrain.engine.train.CALL_SECONDS", 0)
            with pytest.raises(Interrupted, match="resume=True"):
                run(folder, out=out)
        assert not (folder / out).exists()
        with pytest.raises(InputError, match="An interrupted run lies in"):
            run(folder, out=out)
        with pytest.raises(InputError, match=r"belongs to another run: seed was 0 and is now 1"):
            run(folder, "--resume", "--seed", "1", out=out)
        resumed = run(folder, "--resume", out=out)
        assert resumed["digest"] == whole["digest"]
        assert resumed["history"] == whole["history"]
    assert (folder / "weights.h5").read_bytes() == source
    # Nothing is left behind but what was asked for, each with its result.
    names = {path.name for path in folder.iterdir()}
    stems = {"model1", "model2", "whole"}
    assert names == {"weights.h5", "data.npz"} | {
        s + e for s in stems for e in (".keras", ".json", ".md")
    }


def test_the_files_hold_what_was_printed(folder):
    printed = run(folder)
    out = printed.pop("out")
    assert out == str(folder / "model.keras")
    assert json.loads((folder / "model.json").read_text()) == printed
    assert ModelInfo.read(folder / "model.keras").digest == printed["digest"]
    assert [row["stage"] for row in printed["history"]] == ["head on frozen encoder"] * 2 + [
        "fine-tune"
    ] * 2
    assert printed["test"] == {"n": 30, "origin": "the set's own test part"}


def test_a_finished_run_is_not_run_again_and_never_replaced_unasked(folder):
    first = run(folder)
    before = listing(folder)
    assert run(folder, "--resume")["digest"] == first["digest"]
    with pytest.raises(InputError, match="exists already"):
        run(folder)
    with pytest.raises(InputError, match="is another run's"):
        run(folder, "--resume", "--seed", "1")
    assert listing(folder) == before
    other = run(folder, "--force", "--seed", "1")
    assert other["digest"] != first["digest"]


def test_a_result_file_in_the_way_is_found_before_training(folder):
    (folder / "model.json").write_text("mine")
    with pytest.raises(InputError, match=r"model\.json exists already"):
        run(folder)
    assert not (folder / "model.keras").exists()
    assert (folder / "model.json").read_text() == "mine"


def test_a_person_is_told_what_was_measured(folder):
    arguments = ["--from", folder / "weights.h5", "--data", folder / "data.npz"]
    arguments += ["--out", folder / "model.keras", *QUICK]
    result = CliRunner().invoke(cli, [str(part) for part in arguments], catch_exceptions=False)
    for part in (
        "Test accuracy",
        "95 % interval",
        "30 examples",
        "40 labels, 3 of 3 blocks reused",
    ):
        assert part in result.stdout
    assert "Data: data.npz, file data.npz; test part: the set's own test part" in result.stderr
    assert "fine-tune epoch 2/2: loss" in result.stderr


def test_predictions_of_the_command(folder):
    run(folder)
    arguments = ["predict", "--model", folder / "model.keras", "--data", folder / "data.npz"]
    arguments += ["--out", folder / "out.csv", "--json"]
    result = CliRunner().invoke(cli, [str(part) for part in arguments], catch_exceptions=False)
    assert json.loads(result.stdout)["examples"] == 80
    assert len((folder / "out.csv").read_text().splitlines()) == 81


def test_the_part_kept_for_the_test_can_be_chosen(folder):
    data = patterns(60)
    np.savez(folder / "data.npz", x=data.x, y=data.y)
    half = run(folder, "--labels", "9", "--test-part", "0.5", out="half.keras")
    assert half["test"] == {"n": 30, "origin": "a stratified 50 %, split with seed 0"}
    fifth = run(folder, "--labels", "9", out="fifth.keras")
    assert fifth["test"] == {"n": 12, "origin": "a stratified fifth, split with seed 0"}
    # Another test part is another run, finished or not.
    with pytest.raises(InputError, match="is another run's"):
        run(folder, "--labels", "9", "--resume", out="half.keras")
    with pytest.raises(InputError, match=r"labels must be 30 or less.* Got 31"):
        run(folder, "--labels", "31", "--test-part", "0.5")


@pytest.mark.parametrize("name", ["mine.keras", "mine.json", "mine.md"])
def test_resume_takes_no_file_for_its_own(folder, name):
    """It stands in scripts, and what lies there may be anybody's."""
    (folder / name).write_text("not ours")
    before = listing(folder)
    with pytest.raises(InputError, match=r"mine\.\w+ (exists|is not)"):
        run(folder, "--resume", out="mine.keras")
    assert listing(folder) == before


def test_a_folder_is_read_at_the_encoders_size_with_a_view_too(folder):
    for name in ("cat", "dog", "bird"):
        (folder / "pets" / name).mkdir(parents=True)
        for i in range(4):
            Image.new("L", (20, 20), 9 * i).save(folder / "pets" / name / f"{i}.png")
    more = ["--data", f"{folder}/pets[cat,dog]", "--labels", "4"]
    result = run(folder, *more)
    assert result["input"]["shape"] == [8, 8, 1]
