"""Benchmarks of data in memory, planned and run in this process."""

from pathlib import Path

from toys import Lines

from benchmark.data import BenchmarkData
from benchmark.planning.plan import BenchmarkPlan
from benchmark.runner.run import run_benchmark
from pretrain.engine.session import Session


def plan(data, config, folder, *, pool=None, **more):
    """Plan a benchmark of one data set, or of several in a list."""
    several = data if isinstance(data, list) else [data]
    made = [BenchmarkData.of(each, pool) for each in several]
    return BenchmarkPlan.make(made, config, Path(folder), **more)


def pretrainings(task):
    """The plans of a data set's pretrainings on the first encoder, by strategy and seed."""
    first = task.arms[0]
    return {
        (name, seed): task.pretrainings.get(first.encoder, name, seed)
        for name in first.strategies
        for seed in task.config.seed_values
    }


def run(made, **more):
    """Run a plan; return its outcome, and the lines that were said."""
    heard = Lines()
    return run_benchmark(made, Session(reporter=heard), **more), heard.said
