from dataclasses import replace

import numpy as np
import pytest
from toys import patterns

from benchmark.baselines import (
    BASELINES,
    COMPONENTS,
    NEAREST,
    PATCHES,
    SPREADING,
    SVM,
    TREES,
    baselines_of,
    model_and_grid,
    run_baseline,
)
from pretrain.encoders.dictionary import random_words
from tasks.task import TargetTask
from transfer.metrics.baselines import NAME

ROWS = tuple(name for name in BASELINES if name != TREES)
CLASSICAL = (NAME, SVM, NEAREST, COMPONENTS)


@pytest.fixture(scope="module")
def task():
    return TargetTask.from_dataset(patterns(90, test=60))


@pytest.mark.parametrize("name", ROWS)
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


@pytest.mark.parametrize("name", ROWS)
def test_parameters_are_chosen_inside_the_budget_and_never_on_the_test_part(task, name):
    other = replace(task, y_test=(task.y_test + 1) % 3)
    first, second = (run_baseline(name, t, 30, seed=1) for t in (task, other))
    assert first["chosen"] == second["chosen"]
    assert first["accuracy"] > 0.9 > second["accuracy"]
    # Nor are labels beyond the budget looked at, and examples only where a baseline learns from the pool.
    rest = np.setdiff1d(np.arange(90), task.labels(30, seed=1))
    x, y = task.x.copy(), task.y.copy()
    if name in (SPREADING, COMPONENTS, PATCHES):
        y[rest] = (y[rest] + 1) % 3
    else:
        x[rest] = 255 - x[rest]
    changed = replace(task, x=x, y=y)
    rows = task.labels(30, seed=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TargetTask, "labels", lambda *_: rows)
        assert run_baseline(name, changed, 30, seed=1) == first


@pytest.mark.parametrize("name", CLASSICAL)
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
    for name in ROWS:
        a, b = (run_baseline(name, t, 12, seed=0) for t in (task, floats))
        assert a["accuracy"] == pytest.approx(b["accuracy"], abs=0.02)


def test_labels_spread_over_the_pool_where_it_is_of_the_tasks_kind(task):
    pool = patterns(400, labelled=False, seed=9)
    with_pool = run_baseline(SPREADING, task, 3, seed=0, pool=pool)
    assert with_pool["accuracy"] > 0.95
    assert with_pool["chosen"]["method"] in ("spreading", "poisson")
    other = replace(pool, x=pool.x.astype(np.float32) / 255, value_range=(0, 1))
    assert run_baseline(SPREADING, task, 3, seed=0, pool=other) == run_baseline(
        SPREADING, task, 3, seed=0
    )


def test_a_pool_that_misleads_is_left_out(task):
    # Every pool example is the mean of two patterns: labels that travel over these are mixed up.
    x = ((task.x[:60].astype(int) + np.roll(task.x[:60], 1, axis=0)) // 2).astype(np.uint8)
    between = replace(patterns(60, labelled=False), x=x)
    found = run_baseline(SPREADING, task, 15, seed=0, pool=between)
    assert found["accuracy"] > 0.95


def test_components_are_those_of_the_pool(task, monkeypatch):
    """A pool of even images has one component, their brightness."""
    monkeypatch.setattr("benchmark.baselines.MAX_COMPONENTS", 1)
    even = np.broadcast_to(np.arange(250, dtype=np.uint8)[:, None, None, None], (250, 8, 8, 1))
    pool = replace(patterns(250, labelled=False), x=np.ascontiguousarray(even))
    own, flat = (run_baseline(COMPONENTS, task, 15, 0, pool=p)["accuracy"] for p in (None, pool))
    assert own > flat


def test_patches_are_those_of_the_pool(task, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "pretrain.encoders.dictionary.random_words",
        lambda x, seed: seen.append(x) or random_words(x, seed),
    )
    pool = patterns(250, labelled=False, seed=9)
    run_baseline(PATCHES, task, 15, seed=0, pool=pool)
    known = np.concatenate([task.x[task.labels(15, 0)], pool.x])
    np.testing.assert_allclose(np.sort(seen[0].ravel()), np.sort(known.ravel()) / 255, atol=1e-6)


def test_a_dictionary_of_patches_is_no_row_for_vectors_or_tiny_images(task):
    assert baselines_of(task) == ROWS
    flat = replace(task, x=task.x.reshape(90, -1), x_test=task.x_test.reshape(60, -1))
    assert baselines_of(flat) == tuple(name for name in ROWS if name != PATCHES)


def test_rows_of_a_table_learn_from_levels_and_gaps(tmp_path):
    pytest.importorskip("pandas")
    from people import people

    from benchmark.data import BenchmarkData, DataConfig
    from benchmark.store import read_data, write_data

    people(rows=300, labelled=0.7).to_csv(tmp_path / "people.csv", index=False)
    config = DataConfig(target="churn", column=("member=categorical",))
    data = BenchmarkData.of(str(tmp_path / "people.csv"), config=config)
    assert len(data.pool.x) + len(data.task.x_test) == 300
    assert data.pool.schema.columns == data.task.schema.columns
    assert baselines_of(data.task) == tuple(name for name in BASELINES if name != PATCHES)
    for name in baselines_of(data.task):
        found = run_baseline(name, data.task, 100, seed=0, pool=data.pool)
        assert found["accuracy"] > 0.6, name
    write_data(tmp_path / "data.npz", data.task, data.pool)
    task, pool = read_data(tmp_path / "data.npz")
    assert (task.schema, pool.fingerprint) == (data.task.schema, data.pool.fingerprint)
