"""From a budget of seconds or updates to epochs, decided once and for all machines."""

import json
from dataclasses import replace

import pytest
from benchmarks import plan, pretrainings, run
from toys import patterns
from transfers import QUICK

from benchmark.config import BenchmarkConfig
from benchmark.store import BUDGETS
from headstart.errors import InputError
from pretrain.weights.file import WeightsFile
from tasks.task import TargetTask

CONFIG = BenchmarkConfig(
    strategies=["greedy-autoencoder", "rotation"],
    labels=[9],
    seeds=1,
    recipe=replace(QUICK, freeze_epochs=1, epochs=1, scratch_epochs=2),
    encoder="mlp",
    encoder_options={"units": [8, 4]},
    pretrain_updates=40,
)


@pytest.fixture(scope="module")
def task():
    return TargetTask.from_dataset(patterns(60, test=20))


def test_epochs_are_decided_once_recorded_and_used_by_every_later_run(task, tmp_path):
    made = plan(task, CONFIG, tmp_path)
    (bench,) = made.tasks
    assert bench.pretrainings.undecided()
    outcome, _ = run(made)
    decided = {e["strategy"]: e for e in json.loads((tmp_path / BUDGETS).read_text()).values()}
    # 54 examples are one batch of 128: two stages of one step, and one stage.
    assert decided["greedy-autoencoder"]["epochs"] == 20
    assert decided["rotation"]["epochs"] == 40
    trained = {p.name.split("-mlp")[0]: WeightsFile.read(p) for p in tmp_path.glob("weights/*.h5")}
    assert {n: w.metadata["updates"] for n, w in trained.items()} == {
        "greedy-autoencoder": 40,
        "rotation": 40,
    }
    record = outcome.records[-1]
    assert (record["base"], record["pretrain_planned_epochs"]) == ("rotation", 40)
    assert record["pretrain_updates"] == 40
    assert any("40 updates of pretraining" in note for note in outcome.notes)
    # Another machine would have measured otherwise; it takes what is written.
    known = json.loads((tmp_path / BUDGETS).read_text())
    for entry in known.values():
        entry["epochs"] = 3
    (tmp_path / BUDGETS).write_text(json.dumps(known))
    (again,) = plan(task, CONFIG, tmp_path).tasks
    assert not again.pretrainings.undecided()
    assert {made.recipe.epochs for made in pretrainings(again).values()} == {3}
    assert bench.identity(bench.cells[-1]) != again.identity(again.cells[-1])


def test_seconds_are_measured_and_planned(task, tmp_path):
    config = replace(CONFIG, strategies=["rotation"], pretrain_updates=None, pretrain_seconds=5.0)
    outcome, _ = run(plan(task, config, tmp_path))
    (entry,) = json.loads((tmp_path / BUDGETS).read_text()).values()
    assert entry["stages"][0]["seconds"] > 0
    assert entry["stages"][0]["compiling"] > 0
    assert entry["epochs"] > 1
    assert entry["seconds"] == pytest.approx(5, rel=0.1)
    assert outcome.records[-1]["pretrain_planned_seconds"] == entry["seconds"]


def test_a_budget_of_less_than_the_stages_of_fixed_length_is_told_to_be_exceeded(task, tmp_path):
    config = replace(CONFIG, strategies=["rbm"], options={"rbm.finetune": "9"}, pretrain_updates=2)
    config = replace(config, encoder_options={"activation": "sigmoid", "units": [8, 4]})
    made = plan(task, config, tmp_path)
    run(made)
    (entry,) = json.loads((tmp_path / BUDGETS).read_text()).values()
    assert entry["updates"] > 1
    (note,) = made.notes
    times = f"{entry['updates'] / 2:.1f} times the budget"
    assert f"(the least that it can do takes {times})" in note


def test_a_folder_whose_decisions_cannot_be_read_is_refused(task, tmp_path):
    (tmp_path / BUDGETS).write_text("{")
    with pytest.raises(InputError, match=r"budgets\.json is not JSON"):
        plan(task, CONFIG, tmp_path)
