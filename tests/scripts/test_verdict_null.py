"""The script that measures false winners: its tables, and that its made-up benchmarks are what they say."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(ROOT / "scripts" / "verdict-null"))


def test_it_prints_a_line_a_shape_and_a_line_a_gain(script):
    done = CliRunner().invoke(script["main"], ["--times", "1", "--only", "3"])
    assert done.exit_code == 0, done.output
    lines = [line for line in done.output.splitlines() if line.startswith("| ")]
    assert len(lines) == 2 + len(script["SHAPES"]) + 3


def test_its_unit_is_the_spread_of_a_difference_to_scratch(script):
    rng, size = np.random.default_rng(0), {"seeds": 2000, "strategies": 2, "budgets": 1}
    for gain in (0.0, 2.0):
        records = script["benchmark"](rng, **size, gain=gain)
        rows = {
            name: np.array([r["accuracy"] for r in records if r["row"] == name])
            for name in ("scratch", "strategy 1", "strategy 2", "raw 1-NN")
        }
        difference = (rows["strategy 1"] - rows["scratch"]) / script["UNIT"]
        assert difference.std() == pytest.approx(1, abs=0.05)
        assert difference.mean() == pytest.approx(gain, abs=0.08)
        assert (rows["strategy 2"] - rows["scratch"]).mean() == pytest.approx(0, abs=0.001)
        assert (rows["raw 1-NN"] - rows["scratch"]).mean() < -0.05


def test_a_large_gain_is_found_and_a_lines_draws_are_the_same_every_time(script):
    size = {"seeds": 5, "strategies": 3, "budgets": 2, "gain": 6.0}
    assert script["shares"](3, 1, **size).tolist() == [100] * 5
    first = script["shares"](4, 2, seeds=5, strategies=3, budgets=1, gain=1.0)
    again = script["shares"](4, 2, seeds=5, strategies=3, budgets=1, gain=1.0)
    assert first.tolist() == again.tolist()
