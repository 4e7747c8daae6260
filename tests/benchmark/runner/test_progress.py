"""What is shown while a benchmark runs."""

import io
import sys

import pytest
from rich.console import Console
from workitems import Say, named

from benchmark.config import RunnerConfig
from benchmark.runner.progress import LiveProgress, TimeLeft, best_so_far, duration, line
from benchmark.runner.run import make_runner
from headstart.errors import InputError


def record(row, accuracy, *, seed=0, status="done", labels=50):
    found = {"task": "clothes", "row": row, "labels": labels, "seed": seed, "status": status}
    return found | {"accuracy": accuracy, "seconds": 2.0, "reason": "It collapsed."}


def test_the_best_row_is_the_one_whose_seeds_have_the_best_mean():
    records = [
        record("scratch", 0.9),
        record("simclr", 0.99),
        record("simclr", 0.7, seed=1),
        record("gan", 1.0, status="failed"),
        record("scratch", 0.5, labels=200),
    ]
    assert best_so_far(records) == [
        "Best so far, clothes, 50 labels: scratch 90.00 % (1 seed)",
        "Best so far, clothes, 200 labels: scratch 50.00 % (1 seed)",
    ]
    assert line(records[0]) == "scratch, 50 labels, seed 0: 90.00 % (2.0 s)"
    assert line(records[3]) == "gan, 50 labels, seed 0: FAILED: It collapsed."


def test_the_time_left_is_by_what_such_units_took():
    left = TimeLeft()
    slow, fast, new = named(Say("s"), shape="slow") + named(Say("f"), Say("n"), shape="fast")
    assert left.seconds([slow, fast], 1) is None
    left.add(slow, 30.0)
    left.add(fast, 10.0)
    assert left.seconds([slow, slow, new], 1) == 70.0
    assert left.seconds([slow, slow, new], 2) == 35.0
    assert left.seconds([slow], 8) == 30.0  # one cell is one worker's
    (other,) = named(Say("o"), shape="other")
    assert left.seconds([other], 1) == 20.0
    assert [duration(s) for s in (9.4, 130, 7300)] == ["9 s", "2 min", "2 h 2 min"]


def test_the_live_view_counts_and_names_what_runs(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    screen = LiveProgress()
    one, two = named(Say("a"), Say("b"), shape="x")
    try:
        screen.plan([one, two], done=[record("scratch", 0.9)], total=3, workers=2)
        screen.on_event("begun", one, None)
        screen.on_event("step", one, ("frozen", 0.5))
        screen.done(2, 3, record("simclr", 0.95))
        console = Console(width=100, file=io.StringIO())
        console.print(screen.render())
        shown = console.file.getvalue()
        assert "2 of 3 cells done, 1 running" in shown
        assert "frozen 50 %" in shown
        assert "simclr 95.00 %" in shown
        screen.complete(one, {"status": "done"})
        console = Console(width=100, file=io.StringIO())
        console.print(screen.render())
        assert "0 running, about 0 s left" in console.file.getvalue()
    finally:
        screen.close()


def test_without_dask_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError) as caught:
        make_runner(RunnerConfig(engine="dask"))
    assert "headstart[dask]" in caught.value.hint
