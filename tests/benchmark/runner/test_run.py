"""A benchmark from Python, on data in memory: its workers have the same data as those of a named file."""

from dataclasses import replace

import numpy as np
import pytest
from benchmarks import plan, run
from toys import patterns
from transfers import QUICK

from benchmark.config import BenchmarkConfig, RunnerConfig
from headstart.errors import InputError

CONFIG = BenchmarkConfig(
    strategies="rotation",
    labels=[6],
    seeds=1,
    recipe=replace(QUICK, freeze_epochs=1, epochs=1, scratch_epochs=2),
    encoder="mlp",
    encoder_options={"units": [8, 4]},
    pretrain_epochs=1,
)
# Not the weights, whose metadata name the data.
RESULTS = ("row", "status", "accuracy", "loss", "digest")


def results(outcome):
    return [{name: record.get(name) for name in RESULTS} for record in outcome.records]


@pytest.mark.slow
def test_workers_are_given_data_of_arrays_and_have_the_same_results(tmp_path):
    data, two = patterns(60, test=9), RunnerConfig(workers=2)
    shared, _ = run(plan(data, CONFIG, tmp_path / "arrays", runner=two))
    assert {record["status"] for record in shared.records} == {"done"}
    assert len(list((tmp_path / "arrays" / "data").iterdir())) == 1
    again, said = run(plan(data, CONFIG, tmp_path / "arrays", runner=two))
    assert again.records == shared.records
    assert "10 of 10 cells are done already" in " ".join(said)
    file = tmp_path / "patterns.npz"
    np.savez(file, x=data.x, y=data.y, x_test=data.x_test, y_test=data.y_test)
    named, _ = run(plan(str(file), CONFIG, tmp_path / "named", runner=two))
    assert not (tmp_path / "named" / "data").exists()
    assert results(named) == results(shared)


def test_a_folder_is_one_benchmarks_at_a_time_and_not_a_file(tmp_path):
    made = plan(patterns(60, test=9), CONFIG, tmp_path / "report")
    with made.folder.locked(), pytest.raises(InputError) as caught:
        run(made)
    assert "Another benchmark is running in" in caught.value.rule
    (tmp_path / "file").touch()
    with pytest.raises(InputError) as caught:
        plan(patterns(60, test=9), CONFIG, tmp_path / "file")
    assert caught.value.argument == "out"


def test_data_sets_of_one_name_are_refused(tmp_path):
    with pytest.raises(InputError) as caught:
        plan([patterns(60, test=9), patterns(60, test=9, seed=1)], CONFIG, tmp_path)
    assert "'patterns'" in caught.value.rule
