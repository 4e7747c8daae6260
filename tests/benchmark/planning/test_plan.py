"""The benchmark itself, on two classes of digits and two epochs."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from benchmarks import plan, pretrainings
from benchmarks import run as run_plan
from commands import run as command
from rows import OF_IMAGES
from toys import patterns
from transfers import QUICK

from benchmark.baselines import learns_from_pool
from benchmark.config import BenchmarkConfig
from benchmark.data import BenchmarkData
from benchmark.grid import RANDOM, SCRATCH, VIEWS
from benchmark.work.cell import PretrainItem
from headstart.errors import InputError
from pretrain.strategies import strategies
from pretrain.weights.file import WeightsFile
from tasks.loading.resolve import load_dataset
from tasks.task import TargetTask

TABLE = dict(strategies())
LABELLED = [name for name, row in strategies().items() if row.needs_labels]
# The two that compile fastest: that every strategy trains on every encoder is seen in test_contract.py.
UNLABELLED = ["autoencoder", "rotation"]
CONFIG = BenchmarkConfig(
    strategies=["all"],
    labels=[10, 20],
    seeds=2,
    recipe=replace(QUICK, freeze_epochs=1, epochs=1, scratch_epochs=2),
    encoder="mlp",
    encoder_options={"units": [16, 8]},
    pretrain_fields={"epochs": 2, "batch_size": 32},
)


@pytest.fixture(scope="module", autouse=True)
def table():
    """All that need labels, and few of the others."""
    kept = {n: row for n, row in strategies().items() if n in (*LABELLED, *UNLABELLED)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pretrain.strategies.STRATEGIES", kept)
        yield


@pytest.fixture(scope="module")
def task():
    return TargetTask.from_dataset(load_dataset("digits[0,1]"))


def run(folder, task, *, pool=None, **changes):
    made = plan(task, replace(CONFIG, **changes), folder, pool=pool)
    outcome, said = run_plan(made)
    return made.tasks[0], outcome, [line for line in said if line.startswith("[")]


@pytest.fixture(scope="module")
def first(task, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    return folder, *run(folder, task)


def names(outcome):
    return list(dict.fromkeys(record["row"] for record in outcome.records))


def files(folder):
    return {path.name: path.stat().st_mtime_ns for path in (folder / "weights").glob("*.h5")}


def test_every_cell_is_there_and_each_strategy_is_pretrained_once_a_seed(first):
    folder, _, outcome, lines = first
    rows = [*OF_IMAGES, RANDOM, SCRATCH, VIEWS, *UNLABELLED]
    assert names(outcome) == rows
    assert len(outcome.records) == len(lines) == len(rows) * 2 * 2
    assert all(record["status"] == "done" for record in outcome.records)
    assert len(files(folder)) == len(UNLABELLED) * 2
    written = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    assert written == outcome.records
    for record in outcome.records:
        assert 0 <= record["accuracy"] <= 1
        if record["kind"] == "strategy":
            assert record["weights_digest"]
            assert record["pretrain_seconds"] > 0
    assert all(
        f"{name} was left out: it needs a labelled pool" in " ".join(outcome.notes)
        for name in LABELLED
    )


def test_all_are_those_that_need_no_labels_and_bring_no_encoder_of_their_own(task, tmp_path):
    # Those that do are left out: see test_eligibility.py.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pretrain.strategies.STRATEGIES", TABLE)
        (bench,) = (made := plan(task, CONFIG, tmp_path)).tasks
        unlabelled = [n for n, row in TABLE.items() if not row.needs_labels and not row.encoders]
        assert bench.strategies == unlabelled
        trained = [i.pretrain for i in made.compile() if isinstance(i, PretrainItem)]
    assert len(trained) == 2 * len(unlabelled)
    assert {(p.strategy, p.seed) for p in trained} == {(n, s) for n in unlabelled for s in (0, 1)}


def test_run_again_it_runs_nothing_and_extended_only_what_is_new(first, task, tmp_path):
    folder, _, outcome, _ = first
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    before = files(tmp_path)
    _, again, lines = run(tmp_path, task)
    assert lines == []
    assert again.records == outcome.records
    _, wider, lines = run(tmp_path, task, seeds=3, labels=[10])
    assert len(lines) == len(names(wider))
    assert all("seed 2" in line for line in lines)
    old = {record["id"]: record for record in outcome.records}
    assert all(old[r["id"]] == r for r in wider.records if r["seed"] < 2)
    assert {name: before[name] for name in before} == {
        name: time for name, time in files(tmp_path).items() if name in before
    }
    # What this grid does not show is kept for the next one that does.
    _, back, lines = run(tmp_path, task)
    assert lines == []
    assert back.records == outcome.records


def test_another_recipe_is_run_anew(first, task, tmp_path):
    folder = first[0]
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    changed = replace(CONFIG.recipe, learning_rate=2e-3)
    _, other, lines = run(tmp_path, task, recipe=changed, labels=[10], seeds=1)
    ran = [line.split("] ")[1].split(",")[0] for line in lines]
    assert ran == [RANDOM, SCRATCH, VIEWS, *UNLABELLED]  # raw rows have no recipe, and are kept
    assert len(other.records) == len(names(other))


def test_the_same_subset_and_encoder_for_every_row(first):
    _, bench, outcome, _ = first
    digests = {r["weights_digest"] for r in outcome.records if r["kind"] == "strategy"}
    assert len(digests) == 2 * len(UNLABELLED)  # by seed, the same for both budgets
    assert len({json.dumps(plan.encoder) for plan in pretrainings(bench).values()}) == 1


def test_a_cell_that_fails_is_recorded_shown_and_tried_again(task, tmp_path, capfd):
    arguments = ["--data", "digits[0,1]", "--labels", "10", "--seeds", "1", "--out", tmp_path]
    arguments += ["--encoder", "mlp", "--pretrain-epochs", "1", "--strategies", UNLABELLED[0]]
    with pytest.MonkeyPatch.context() as patch:
        from transfer.recipes import RECIPES

        bad = replace(CONFIG.recipe, head_learning_rate=1e38)
        patch.setitem(RECIPES, "default", bad)
        done = command(capfd, "benchmark", *arguments)
        assert done.code == 1
        records = [json.loads(x) for x in (tmp_path / "results.jsonl").read_text().splitlines()]
        failed = [r for r in records if r["status"] == "failed"]
        assert {r["row"] for r in failed} == {RANDOM, UNLABELLED[0]}
        assert all("non-finite" in r["reason"] for r in failed)
        assert {r["row"] for r in records if r["status"] == "done"} == {*OF_IMAGES, SCRATCH, VIEWS}
        assert "0 (1 failed)" in done.out
        assert f"Failed: {UNLABELLED[0]}, 10 labels, seed 0: Training became non-finite" in done.out
        assert done.err.splitlines()[-1].startswith("Error: 2 of 10 cells failed")
        assert "(1 failed)" in (tmp_path / "table.md").read_text()
        again = command(capfd, "benchmark", *arguments)
        assert again.code == 1
        assert "8 of 10 cells are done already" in again.err


def test_the_command_prints_one_json_value(tmp_path, capfd):
    arguments = ["--data", "digits[0,1]", "--labels", "10", "--seeds", "1", "--out", tmp_path]
    arguments += ["--encoder", "mlp", "--pretrain-epochs", "1", "--strategies", UNLABELLED[0]]
    done = command(capfd, "benchmark", *arguments, "--recipe", "seed", "--json", "--quiet")
    assert (done.code, done.err) == (0, "")
    result = json.loads(done.out)
    assert [row["name"] for row in result["tables"]["10"]][-1] == UNLABELLED[0]
    assert result["tables"]["10"][0]["accuracy"]["low"] is None  # one seed: NaN is no JSON
    assert "one seed proves nothing" in result["claims"][0]


def test_the_part_kept_for_the_test_can_be_chosen(tmp_path, capfd):
    arguments = ["--data", "digits[0,1]", "--labels", "181", "--out", tmp_path / "report"]
    done = command(capfd, "benchmark", *arguments, "--test-part", "0.5", "--strategies", "rotation")
    assert done.code == 2
    assert "--labels must be 180 or less" in done.err
    assert "a stratified 50 %, split with seed 0" in done.err


def test_options_of_one_strategy_and_frozen_encoders(tmp_path, capfd):
    arguments = ["--data", "digits[0,1]", "--labels", "10", "--seeds", "1", "--out", tmp_path]
    arguments += ["--encoder", "mlp", "--pretrain-epochs", "1", "--recipe", "linear-probe"]
    arguments += ["--strategies", "autoencoder,rotation", "--opt", "autoencoder.loss=mse"]
    done = command(capfd, "benchmark", *arguments, "--json", "--quiet")
    assert (done.code, done.err) == (0, "")
    found = {p.name.split("-")[0]: WeightsFile.read(p) for p in tmp_path.glob("weights/*.h5")}
    assert found["autoencoder"].metadata["options"] == {"loss": "mse"}
    assert found["rotation"].metadata["options"] == {}
    records = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    # The head alone, as on the random encoder: as many updates, and none more for the encoder.
    updates = {r["row"]: r["updates"] for r in records if "updates" in r}
    assert updates["autoencoder"] == updates[RANDOM] == updates["rotation"]


def test_test_examples_are_taken_out_of_the_pool_and_it_is_told(tmp_path):
    task = TargetTask.from_dataset(patterns(60, test=30))
    pool = patterns(50, seed=3)
    leaking = replace(
        pool, x=np.concatenate([pool.x, task.x_test[:7], task.x_test[:1]]), y=np.zeros(58, int)
    )
    config = replace(CONFIG, strategies=UNLABELLED)
    (bench,) = plan(task, config, tmp_path, pool=leaking).tasks
    assert np.array_equal(bench.data.pool.x, pool.x)
    said = f"8 examples of the pool are test examples of {task.name} too and were left out of it."
    assert bench.notes == [bench.data.leakage] == [said]
    (clean,) = plan(task, config, tmp_path, pool=pool).tasks
    assert clean.notes == []
    assert "no test example of" in clean.data.leakage
    assert clean.data.near == 0
    assert clean.data.warned == []
    # The same values in another type are the same examples.
    other = BenchmarkData.of(task, replace(leaking, x=leaking.x.astype(np.float32)))
    assert (other.left_out, len(other.pool.x)) == (8, 50)
    wide = BenchmarkData.of(task, replace(pool, x=np.repeat(pool.x, 2, axis=2)))
    assert wide.left_out is None
    assert "equal ones were not looked for" in wide.leakage
    with pytest.raises(InputError, match=r"Every example of the pool .* is a test example"):
        plan(task, CONFIG, tmp_path, pool=replace(pool, x=task.x_test, y=task.y_test))


def test_near_duplicates_that_stay_in_the_pool_are_counted():
    task = TargetTask.from_dataset(patterns(60, test=30))
    pool = patterns(50, seed=3)
    brighter = np.clip(task.x_test[:7].astype(int) + 3, 0, 255).astype(np.uint8)
    both = np.concatenate([pool.x, brighter])
    planted = replace(pool, x=both, y=None, class_names=None)
    loaded = BenchmarkData.of(task, planted)
    assert (loaded.near, loaded.left_out) == (7, 0)
    assert "Of its 30 test examples, 7 are nearly the same" in loaded.leakage
    assert "7 of the 30 test examples" in loaded.warned[0]
    assert "may gain from having seen them" in loaded.warned[0]
    labelled = BenchmarkData.of(task, replace(pool, x=both, y=np.zeros(57, int)))
    assert "may know the answers" in labelled.warned[0]


@pytest.mark.parametrize("name", LABELLED)
def test_what_needs_labels_is_refused_by_name_when_the_pool_has_none(task, tmp_path, name):
    with pytest.raises(InputError) as caught:
        plan(task, replace(CONFIG, strategies=[name]), tmp_path)
    assert caught.value.argument == "strategies"
    assert f"{name!r}, which needs a labelled pool" in caught.value.rule
    labelled = TargetTask.from_dataset(patterns(60, test=9))
    assert name in plan(labelled, CONFIG, tmp_path, pool=patterns(40)).tasks[0].strategies


def test_a_result_that_was_cut_short_costs_only_its_cell(first, task, tmp_path):
    folder, _, outcome, _ = first
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    last = outcome.records[-1]
    path = tmp_path / "cells" / f"{last['id']}.json"
    path.write_text(path.read_text()[:-30])
    (tmp_path / "results.jsonl").write_text("{")  # put together from the cells, and so no matter
    _, again, lines = run(tmp_path, task)
    assert len(lines) == 1
    found = again.records[-1]
    assert (found["id"], found["digest"], found["accuracy"]) == (
        last["id"],
        last["digest"],
        last["accuracy"],
    )
    written = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert written == again.records


def test_a_baseline_that_learns_from_the_pool_is_run_anew_for_another(task, tmp_path):
    config = replace(CONFIG, strategies=[UNLABELLED[0]])
    pools = [load_dataset("digits[2,3]"), None]
    plans = [plan(task, config, tmp_path, pool=pool).tasks[0] for pool in pools]
    ids = [{c.base: p.identity(c) for c in p.cells if c.kind == "raw"} for p in plans]
    changed = {name for name in ids[0] if ids[0][name] != ids[1][name]}
    assert changed == {name for name in OF_IMAGES if learns_from_pool(name)}


def test_the_primary_strategy_must_be_one_of_the_benchmark(tmp_path, task):
    with pytest.raises(InputError) as caught:
        plan(task, replace(CONFIG, strategies=("autoencoder",), primary="rotation"), tmp_path)
    assert caught.value.argument == "primary"
    assert "rotation" in caught.value.rule


def test_when_the_primary_strategy_was_named_is_remembered_and_changes_no_cell(tmp_path, task):
    def planned(primary):
        return plan(task, replace(CONFIG, strategies=("autoencoder",), primary=primary), tmp_path)

    first = planned("autoencoder")
    beforehand = [{"strategy": "autoencoder", "cells": 0}]
    assert first.about([])["primary"] == beforehand
    first.folder.write_about(first.about([]))
    (whole,) = first.tasks
    assert first.about([])["primary"] == beforehand
    for cell in whole.cells:  # a baseline's result says nothing of strategies
        if cell.kind == "raw" or (cell.base, cell.seed) == ("autoencoder", 0):
            record = {"id": whole.identity(cell), "status": "done", "seconds": 1.0}
            first.folder.write_cell({**record, **whole.record_fields(cell)})
    assert first.about([])["primary"] == beforehand
    none = planned(None)
    assert none.about([])["primary"] == [*beforehand, {"strategy": None, "cells": 2}]
    assert none.tasks[0].identity(whole.cells[-1]) == whole.identity(whole.cells[-1])
    (tmp_path / "benchmark.json").unlink()
    # A folder from before there was a name, or whose description is lost.
    late = [{"strategy": None, "cells": 0}, {"strategy": "autoencoder", "cells": 2}]
    assert first.about([])["primary"] == late
