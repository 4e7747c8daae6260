"""The data of a benchmark: from names and from arrays, in this process and in others."""

from dataclasses import fields, replace

import numpy as np
import pytest
from toys import patterns

from benchmark.data import BenchmarkData, load
from headstart.errors import HeadstartError, InputError
from tasks.task import TargetTask


@pytest.fixture
def handed_over(tmp_path):
    pool = replace(patterns(30, seed=3, labelled=False), name="the pool", kind="photos")
    data = BenchmarkData.of(patterns(60, test=20), pool).handed_over(tmp_path / "data" / "one.npz")
    data.hand_over()
    return data


def test_data_of_arrays_reach_other_processes_through_a_file(handed_over):
    found = load(handed_over.config)
    assert found.config == handed_over.config
    for part in ("task", "pool"):
        ours, theirs = getattr(handed_over, part), getattr(found, part)
        for field in fields(ours):
            value, again = getattr(ours, field.name), getattr(theirs, field.name)
            assert type(value) is type(again)
            assert np.array_equal(value, again)


def test_a_file_of_other_data_or_a_damaged_one_is_refused(handed_over):
    with pytest.raises(InputError) as caught:
        load(replace(handed_over.config, pool_print="another"))
    assert "not those that the benchmark was planned with" in caught.value.rule
    file = handed_over.config.file
    file.write_bytes(file.read_bytes()[:-500])
    with pytest.raises(HeadstartError) as damaged:
        load(handed_over.config)
    assert file.name in damaged.value.rule


def test_data_that_have_names_need_no_file(tmp_path):
    named = BenchmarkData.of("digits[0,1]")
    assert named.handed_over(tmp_path / "data.npz").config.file is None
    assert load(named.config).config == named.config
    # One name is not enough where the pool has none.
    both = BenchmarkData.of("digits[0,1]", patterns(20, labelled=False))
    assert both.config.data is None
    assert both.handed_over(tmp_path / "data.npz").config.file is not None


def test_a_task_is_taken_as_it_is_and_numbers_are_refused():
    task = TargetTask.from_dataset(patterns(60, test=20))
    assert BenchmarkData.of(task).task is task
    numbers = replace(patterns(60), y=np.linspace(0, 1, 60), class_names=None)
    with pytest.raises(InputError) as caught:
        BenchmarkData.of(numbers)
    assert "classifiers only" in caught.value.rule
