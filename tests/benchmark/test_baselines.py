from dataclasses import replace

import numpy as np
import pytest
from toys import patterns

from benchmark.baselines import BASELINES, model_and_grid, run_baseline
from tasks.task import TargetTask


@pytest.fixture(scope="module")
def task():
    return TargetTask.from_dataset(patterns(90, test=60))


@pytest.mark.parametrize("name", BASELINES)
def test_easy_patterns_are_learnt_from_a_small_budget(task, name):
    found = run_baseline(name, task, 15, seed=0)
    assert found["accuracy"] > 0.95
    assert found["n"] == 60
    assert run_baseline(name, task, 15, seed=0) == found


def test_one_nearest_neighbour_equals_a_slow_reference(task):
    noisy = replace(task, x=task.x // 60, x_test=task.x_test // 60)
    rows = noisy.labels(9, seed=4)
    near = [
        min(rows, key=lambda row: ((noisy.x[row].astype(int) - x.astype(int)) ** 2).sum())
        for x in noisy.x_test
    ]
    expected = (noisy.y[near] == noisy.y_test).mean()
    assert run_baseline("raw 1-NN", noisy, 9, seed=4)["accuracy"] == pytest.approx(
        expected, abs=0.04
    )


@pytest.mark.parametrize("name", BASELINES)
def test_parameters_are_chosen_inside_the_budget_and_never_on_the_test_part(task, name):
    other = replace(task, y_test=(task.y_test + 1) % 3)
    first, second = (run_baseline(name, t, 30, seed=1) for t in (task, other))
    assert first["chosen"] == second["chosen"]
    assert first["accuracy"] > 0.9 > second["accuracy"]
    rest = np.setdiff1d(np.arange(90), task.labels(30, seed=1))
    x = task.x.copy()
    x[rest] = 255 - x[rest]
    assert run_baseline(name, replace(task, x=x), 30, seed=1) == first


@pytest.mark.parametrize("name", BASELINES)
def test_one_label_a_class_leaves_nothing_to_validate_on(task, name):
    _, grid = model_and_grid(name, 0)
    found = run_baseline(name, task, 3, seed=0)
    assert found["chosen"] == {k: values[len(values) // 2] for k, values in grid.items()}
    assert found["accuracy"] > 0.6


def test_the_scale_of_the_values_does_not_matter(task):
    floats = replace(
        task,
        x=(task.x * 10.0).astype(np.float32),
        x_test=(task.x_test * 10.0).astype(np.float32),
        value_range=(0, 2550),
    )
    for name in BASELINES:
        a, b = (run_baseline(name, t, 12, seed=0) for t in (task, floats))
        assert a["accuracy"] == pytest.approx(b["accuracy"], abs=0.02)
