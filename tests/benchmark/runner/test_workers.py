"""Worker processes: kept, replaced when they are killed, interrupted, and gone with their parent."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from commands import environment
from workitems import Die, Say, Sleep, named

from benchmark.runner.workers import WorkerProcesses
from headstart.errors import Interrupted

SUPPORT = Path(__file__).parents[2] / "support"


def outcomes(workers, items, on_event=lambda *_: None):
    try:
        return {item.key: outcome for item, outcome in workers.run(items, on_event)}
    finally:
        workers.close()


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie that nobody waits for is dead all the same.
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def wait_for(what, seconds=30):
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_workers_are_kept_and_have_one_thread_set_before_they_start():
    lines = []

    def on_event(kind, item, payload):
        if kind == "say":
            lines.append(payload)

    found = outcomes(WorkerProcesses(2), named(*[Say(f"line {i}") for i in range(6)]), on_event)
    assert len(found) == 6
    assert 1 <= len({o["pid"] for o in found.values()}) <= 2
    assert max(o["count"] for o in found.values()) >= 3
    assert {o["threads"] for o in found.values()} == {"1"}
    assert sorted(lines) == [f"line {i}" for i in range(6)]
    assert all(not alive(o["pid"]) for o in found.values())


def test_a_killed_worker_costs_its_item_one_try_and_is_replaced(tmp_path):
    (tmp_path / "once").mkdir()
    (tmp_path / "always").mkdir()
    given = named(Die(str(tmp_path / "once"), 1), Say(), Die(str(tmp_path / "always"), 9), Say())
    found = outcomes(WorkerProcesses(1), given)
    assert [found[key]["status"] for key in "0123"] == ["done", "done", "failed", "done"]
    assert [found[key]["attempts"] for key in "0123"] == [2, 1, 2, 1]
    assert found["2"]["reason"] == (
        "The worker process was killed (SIGKILL) 2 times while it ran this."
    )
    assert len(list((tmp_path / "always").iterdir())) == 2


def test_ctrl_c_reaches_each_worker_once_and_ends_it(tmp_path):
    workers = WorkerProcesses(1)
    file = tmp_path / "slept"

    def interrupt():
        wait_for(file.with_suffix(".began").exists)
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(Interrupted):
            outcomes(workers, named(Sleep(str(file)), Say()))
    finally:
        thread.join()
    assert file.read_text() == "interrupted"
    assert not alive(int(file.with_suffix(".began").read_text()))


def test_workers_end_when_their_parent_is_killed(tmp_path):
    file = tmp_path / "slept"
    code = (
        "import sys\n"
        f"sys.path.insert(0, {str(SUPPORT)!r})\n"
        "from workitems import Sleep, named\n"
        "from benchmark.runner.workers import WorkerProcesses\n"
        # Without a guard for the main module, which the worker does not import.
        f"list(WorkerProcesses(1).run(named(Sleep({str(file)!r}))))\n"
    )
    script = tmp_path / "parent.py"
    script.write_text(code)
    parent = subprocess.Popen([sys.executable, script], env=environment(), stderr=subprocess.PIPE)
    try:
        wait_for(file.with_suffix(".began").exists)
        time.sleep(0.1)
        worker = int(file.with_suffix(".began").read_text())
        assert alive(worker)
    finally:
        parent.kill()
        parent.communicate()
    wait_for(lambda: not alive(worker), 10)
    assert not file.exists()
