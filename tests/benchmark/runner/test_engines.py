"""This process, a pool and Dask give the same results, and so does a benchmark that was killed."""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import environment
from rows import OF_IMAGES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
ARGUMENTS = [
    *("--data", "digits[0,1]", "--labels", "10,20", "--seeds", "1", "--encoder", "mlp"),
    *("--encoder-opt", "units=16,8", "--pretrain-epochs", "30", "--quiet", "--json"),
    *("--strategies", "autoencoder,greedy-autoencoder"),
]
CELLS = (len(OF_IMAGES) + 5) * 2
TIMES = ("seconds", "cpu_seconds", "transfer_seconds", "pretrain_seconds", "pretrain_cpu_seconds")


def start(folder, *more):
    return subprocess.Popen(
        [sys.executable, "-m", "benchmark", *ARGUMENTS, "--out", str(folder), *more],
        env=environment(),
        cwd=Path(__file__).parents[3],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    out, err = process.communicate()
    assert process.returncode == 0, err
    return json.loads(out)


def results(folder, *, attempts=True):
    lines = (folder / "results.jsonl").read_text().splitlines()
    left_out = TIMES if attempts else (*TIMES, "attempts")
    return [{k: v for k, v in json.loads(x).items() if k not in left_out} for x in lines]


def cells(folder):
    return {path.name: path.stat().st_mtime_ns for path in (folder / "cells").glob("*.json")}


def children(pid):
    """The processes that are busy under ``pid``, by the kernel's word."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return [p for p in found if b"spawn_main" in Path(f"/proc/{p}/cmdline").read_bytes()]


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    folder = tmp_path_factory.mktemp("serial")
    finish(start(folder))
    found = results(folder)
    assert len(found) == CELLS
    assert {record["status"] for record in found} == {"done"}
    return found


def test_a_pool_gives_the_same_results(expected, tmp_path):
    finish(start(tmp_path, "--workers", "2"))
    assert results(tmp_path) == expected


def test_dask_gives_the_same_results(expected, tmp_path):
    pytest.importorskip("distributed")
    finish(start(tmp_path, "--workers", "2", "--engine", "dask"))
    assert results(tmp_path) == expected


def test_a_dask_worker_that_is_killed_costs_its_item_one_try(tmp_path):
    pytest.importorskip("distributed")
    from workitems import Die, KillParent, Say, named

    from benchmark.runner.dask import Dask

    (tmp_path / "marks").mkdir()
    engine = Dask(None, 1)
    try:
        given = named(KillParent(str(tmp_path / "mark")), Die(str(tmp_path / "marks"), 1), Say())
        found = {item.key: outcome for item, outcome in engine.run(given)}
    finally:
        engine.close()
    assert [found[key]["status"] for key in "012"] == ["done", "done", "done"]
    assert [found[key]["attempts"] for key in "012"] == [2, 2, 1]


def test_two_benchmarks_on_one_machine_can_have_clusters_of_their_own():
    pytest.importorskip("distributed")
    from benchmark.runner.dask import Dask

    with socket.socket() as other:
        # What another program's dashboard has; if it is taken already, all the better.
        with contextlib.suppress(OSError):
            other.bind(("", 8787))
            other.listen()
        Dask(None, 1).close()


def test_a_worker_that_is_killed_loses_only_its_item(expected, tmp_path):
    process = start(tmp_path, "--workers", "2")
    while len(list(tmp_path.glob("weights/*.checkpoints"))) == 0 and len(cells(tmp_path)) < 8:
        assert process.poll() is None
        time.sleep(0.05)
    victim = random.Random(0).choice(children(process.pid))
    os.kill(victim, signal.SIGKILL)
    finish(process)
    assert results(tmp_path, attempts=False) == [
        {k: v for k, v in record.items() if k != "attempts"} for record in expected
    ]
    assert sum(record["attempts"] == 2 for record in results(tmp_path)) <= 1


@pytest.mark.parametrize("workers", ["1", "2"])
def test_killed_at_any_moment_and_started_again_it_ends_the_same(expected, tmp_path, workers):
    rng = random.Random(int(workers))
    for _ in range(2):
        process = start(tmp_path, "--workers", workers)
        before = cells(tmp_path)
        at = min(CELLS - 1, len(before) + rng.randint(1, 7))
        while len(cells(tmp_path)) < at and process.poll() is None:
            time.sleep(0.01)
        time.sleep(rng.random())
        process.kill()
        process.communicate()
        after = cells(tmp_path)
        # Nothing that was finished was run again.
        assert {name: after[name] for name in before} == before
    before = cells(tmp_path)
    finish(start(tmp_path, "--workers", workers))
    after = cells(tmp_path)
    assert {name: after[name] for name in before} == before
    assert results(tmp_path) == expected
