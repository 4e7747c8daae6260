"""Several data sets, encoders and modes in one run; the dry run; the best model."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmarks import plan, run
from commands import environment
from commands import run as command
from rows import OF_IMAGES
from toys import patterns
from transfers import QUICK

from benchmark.analysis.rows import grouped
from benchmark.cli import cli
from benchmark.config import BenchmarkConfig, Mode, RunnerConfig
from benchmark.data import paired
from benchmark.grid import RANDOM, SCRATCH, VIEWS
from benchmark.report.build import redraw
from benchmark.runner.base import InProcess
from headstart.errors import InputError
from tasks.task import TargetTask
from transfer.recipes import RECIPES

RAW = len(OF_IMAGES)
ROWS = RAW + 4
"""Those on raw values, a frozen random encoder, scratch and one strategy."""
SHORT = replace(QUICK, freeze_epochs=1, epochs=1, scratch_epochs=2)
CONFIG = BenchmarkConfig(
    strategies=["rotation"],
    labels=[6],
    seeds=1,
    recipe=SHORT,
    encoder="mlp",
    encoder_options={"units": [8, 4]},
    pretrain_fields={"epochs": 1},
)


def named(name, **how):
    return TargetTask.from_dataset(replace(patterns(**how), name=name))


def test_each_data_set_has_its_rows_and_budgets_that_it_lacks_are_skipped(tmp_path):
    tasks = [named("one", n=60, test=9), named("two", n=12, test=9, seed=3)]
    config = replace(CONFIG, labels=[6, 20])
    outcome, _ = run(plan(tasks, config, tmp_path))
    assert [r["task"] for r in outcome.records] == ["one"] * 2 * ROWS + ["two"] * 2 * ROWS
    lacking = [r for r in outcome.records if r["task"] == "two" and r["labels"] == 20]
    assert {r["status"] for r in lacking} == {"skipped"}
    assert "labels must be 12 or less, the training examples of 'two'" in lacking[0]["reason"]
    others = [r for r in outcome.records if r not in lacking]
    assert {r["status"] for r in others} == {"done"}
    tables = grouped(outcome.records)
    assert [(table.title, len(table.records)) for table in tables] == [
        ("one", 2 * ROWS),
        ("two", ROWS),
    ]
    report = redraw(tmp_path)
    assert [t["name"] for t in json.loads((tmp_path / "benchmark.json").read_text())["tasks"]] == [
        "one",
        "two",
    ]
    assert [(title, [*by]) for title, by in report.found.items()] == [
        ("one", [6, 20]),
        ("two", [6]),
    ]
    assert not any(
        row.failed for by in report.found.values() for rows in by.values() for row in rows
    )
    (skipped,) = [note for note in report.notes if note.startswith("Skipped")]
    assert skipped.startswith("Skipped: two, 20 labels: labels must be 12 or less")
    with pytest.raises(InputError) as caught:
        plan(tasks[1], config, tmp_path)
    assert caught.value.argument == "labels"


def test_encoders_and_modes_are_told_apart_and_what_is_done_is_kept(tmp_path):
    task = named("one", n=60, test=9)
    alone = run(plan(task, CONFIG, tmp_path))[0].records
    assert {r["mode"] for r in alone if r["kind"] != "raw"} == {"fine-tune"}
    probe = replace(SHORT, freeze_epochs=2, epochs=0)
    both = replace(
        CONFIG,
        encoder="mlp,convnet",
        encoder_options={"mlp.units": [8, 4], "convnet.filters": [2, 3]},
        modes={"fine-tune": Mode(recipe=SHORT), "linear-probe": Mode(recipe=probe)},
    )
    outcome, said = run(plan(task, both, tmp_path))
    found = outcome.records
    assert f"{ROWS} of {ROWS + 10} cells are done already" in " ".join(said)
    assert [r["row"] for r in found[RAW:ROWS]] == [
        f"{RANDOM} (mlp, fine-tune)",
        f"{SCRATCH} (mlp, fine-tune)",
        f"{VIEWS} (mlp, fine-tune)",
        "rotation (mlp, fine-tune)",
    ]
    results = ("accuracy", "digest")
    for old, new in zip(alone[RAW:], found[RAW:ROWS], strict=True):
        assert [old[n] for n in results] == [new[n] for n in results]
    tables = grouped(found)
    assert [table.title for table in tables][::3] == ["mlp, fine-tune", "convnet, linear-probe"]
    # Nothing is trained from scratch by a linear probe, so views could change nothing but its head.
    rows = {
        "fine-tune": [RANDOM, SCRATCH, VIEWS, "rotation"],
        "linear-probe": [RANDOM, SCRATCH, "rotation"],
    }
    assert all([r["row"] for r in table.records][RAW:] == rows[str(table.mode)] for table in tables)
    # A pretraining serves every mode.
    assert len(list(tmp_path.glob("weights/rotation-mlp-*.h5"))) == 1
    digests = {r["weights_digest"] for r in found if r["base"] == "rotation"}
    assert len(digests) == 2
    frozen = [r for r in found if r["mode"] == "linear-probe" and r["base"] == "rotation"]
    assert all(r["updates"] == 2 for r in frozen)


def test_a_mode_that_searches_does_so_for_every_trained_row_and_says_what_it_chose(tmp_path):
    # No time to search: the plain transfer is what is left, and the record says so.
    modes = {"fine-tune": Mode(recipe=SHORT), "auto": Mode(recipe=SHORT, search=1e-9)}
    made = plan(named("one", n=60, test=9), replace(CONFIG, modes=modes), tmp_path)
    records = run(made)[0].records
    assert len({r["id"] for r in records}) == len(records) == ROWS + 3
    searched = [r for r in records if "search" in r]
    chosen = {r["base"]: r["search"]["chosen"] for r in searched}
    assert set(chosen) == {"rotation", SCRATCH, RANDOM}
    assert chosen["rotation"].startswith("all 2 blocks")
    assert chosen[SCRATCH].startswith("from scratch")
    assert {r["mode"] for r in searched} == {"auto"}
    assert not any(r["search"]["complete"] for r in searched)
    digests = {r["row"]: r["digest"] for r in records if "digest" in r}
    assert digests[f"{SCRATCH} (auto)"] == digests[f"{SCRATCH} (fine-tune)"]
    about = json.loads((tmp_path / "benchmark.json").read_text())
    assert about["modes"]["auto"]["search"] == 1e-9


def test_in_the_mode_pool_every_trained_row_may_learn_from_the_pool(tmp_path, short_pool_training):
    task, modes = named("one", n=60, test=9), {"fine-tune": Mode(recipe=SHORT)}
    alone = run(plan(task, replace(CONFIG, modes=modes), tmp_path))[0].records
    modes["pool"] = Mode(recipe=SHORT, pool=True)
    records = run(plan(task, replace(CONFIG, modes=modes), tmp_path))[0].records
    by_row = {r["row"]: r for r in records}
    # What was done without a pool is what it was.
    assert {r["id"] for r in alone} < {r["id"] for r in records}
    pooled = {r["base"]: r["pool"] for r in records if "pool" in r}
    assert set(pooled) == {"rotation", SCRATCH, RANDOM}
    assert by_row[f"{SCRATCH} (pool)"]["pool"]["chosen"] in (
        "plain",
        "self-training",
        "spreading",
        "consistency",
    )
    assert [table.title for table in grouped(records)] == ["fine-tune", "pool"]
    about = json.loads((tmp_path / "benchmark.json").read_text())
    assert ("pool" in about["modes"]["fine-tune"], about["modes"]["pool"]["pool"]) == (False, True)


def test_an_option_for_an_encoder_that_is_not_there_is_refused(tmp_path):
    config = replace(CONFIG, encoder_options={"resnet.filters": [2]})
    with pytest.raises(InputError, match="the encoder 'resnet' is not in this benchmark"):
        plan(named("one", n=60, test=9), config, tmp_path)


def test_pools_are_paired_with_data():
    assert paired(["a"], []) == [("a", None)]
    assert paired(["a", "b"], ["p"]) == [("a", "p"), ("b", "p")]
    assert paired(["a", "b"], ["own", "q"]) == [("a", None), ("b", "q")]
    for data, pools, argument in (("abc", "pq", "pretrain_data"), ("aa", "", "data")):
        with pytest.raises(InputError) as caught:
            paired(list(data), list(pools))
        assert caught.value.argument == argument
    with pytest.raises(InputError) as caught:
        RunnerConfig(scheduler="tcp://there")
    assert caught.value.argument == "scheduler"


def test_steps_are_traced_as_often_for_two_seeds_as_for_one(tmp_path):
    task = named("one", n=60, test=9)
    traces = []
    for seeds in (1, 2):
        runner = InProcess()
        run(plan(task, replace(CONFIG, seeds=seeds), tmp_path / str(seeds)), runner=runner)
        traces.append(runner.context.session().programs.traces)
    assert traces[0] == traces[1] > 0


ARGUMENTS = ["--data", "digits[0,1]", "--labels", "8,10", "--seeds", "1", "--encoder", "mlp"]
ARGUMENTS += ["--pretrain-epochs", "1", "--strategies", "rotation", "--quiet", "--out"]


# Of the session, for the slow tests of all files come first.
@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    with pytest.MonkeyPatch.context() as patch:
        # The shortest of transfers: what is written does not depend on how long it trained.
        patch.setitem(RECIPES, "default", SHORT)
        cli.main([*ARGUMENTS, str(folder), "--export-best"], standalone_mode=False)
    return folder


def test_the_best_network_is_trained_again_and_written(exported):
    import keras

    lines = (exported / "results.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    card = json.loads((exported / "best.json").read_text())
    (cell,) = [r for r in records if r["id"] == card["benchmark"]["cell"]]
    assert cell["digest"] == card["digest"]  # the very model that was measured
    assert (cell["labels"], cell["seed"], card["labels"]) == (10, 0, 10)
    means = {
        row: np.mean([r["accuracy"] for r in records if r["row"] == row and r["labels"] == 10])
        for row in (RANDOM, SCRATCH, VIEWS, "rotation")
    }
    assert means[cell["row"]] == max(means.values())
    notes = json.loads((exported / "benchmark.json").read_text())["notes"]
    assert f"best.keras: {cell['row']}, trained on 10 labels" in " ".join(notes)
    model = keras.models.load_model(exported / "best.keras", compile=False)
    assert model.output_shape == (None, 1)
    assert "best.keras" in (exported / "report.html").read_text()


@pytest.mark.slow
def test_the_best_network_may_be_trained_on_all_labels(exported, tmp_path, capfd, monkeypatch):
    monkeypatch.setitem(RECIPES, "default", SHORT)
    shutil.copytree(exported, tmp_path, dirs_exist_ok=True)
    done = command(capfd, "benchmark", *ARGUMENTS, tmp_path, "--export-best", "all")
    assert (done.code, done.err) == (0, "")
    assert json.loads((tmp_path / "best.json").read_text())["labels"] == 288


def test_the_dry_run_starts_no_tensorflow_and_writes_nothing(tmp_path):
    arguments = ["--data", "digits", "--labels", "50", "--out", str(tmp_path / "report")]
    code = (
        "import sys, benchmark.cli\n"
        f"sys.argv = ['benchmark', *{arguments!r}, '--dry-run', '--json']\n"
        "try: benchmark.cli.main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(),
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found["guessed"]
    assert found["done"] == 0
    assert found["cells"] == len(found["rows"]) * 5
    assert found["pretrain_seconds"] > 0
    assert not (tmp_path / "report").exists()
