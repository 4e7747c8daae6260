"""Small things to learn from, for tests that really train."""

import os
import signal

import numpy as np

from pretrain.engine.progress import Reporter
from tasks.dataset import Dataset


def patterns(n=80, *, size=8, classes=3, channels=1, labelled=True, test=0, seed=0):
    """Images of as many fixed patterns as classes, with noise: easy to tell apart, not constant."""
    rng = np.random.default_rng(99)
    templates = rng.integers(40, 216, (classes, size, size, channels))
    rng = np.random.default_rng(seed)

    def draw(count):
        y = np.arange(count) % classes
        noise = rng.integers(-40, 40, (count, size, size, channels))
        return (templates[y] + noise).astype(np.uint8), y.astype(np.int64)

    (x, y), (x_test, y_test) = draw(n), draw(max(1, test))
    return Dataset(
        name="patterns",
        x=x,
        y=y if labelled else None,
        x_test=x_test if test else None,
        y_test=y_test if test and labelled else None,
        class_names=tuple(f"pattern {k}" for k in range(classes)) if labelled else None,
        value_range=(0, 255),
        source="made up",
    )


class StopAt(Reporter):
    """Sends this process Ctrl-C as soon as ``step`` updates of a stage are made.

    stage: its number, counted from 1, or None for whichever it is.
    """

    def __init__(self, step, stage=1):
        self.at, self.at_stage = step, stage
        self.stages, self.sent = 0, False

    def stage(self, name, **_):
        self.stages += 1

    def step(self, done, **_):
        if not self.sent and self.at_stage in (None, self.stages) and done >= self.at:
            self.sent = True
            os.kill(os.getpid(), signal.SIGINT)


class Lines(Reporter):
    """Keeps what it is told."""

    def __init__(self):
        self.said, self.steps, self.rows = [], [], []

    def say(self, line):
        self.said.append(line)

    def step(self, done, **_):
        self.steps.append(done)

    def epoch(self, row, **_):
        self.rows.append(dict(row))


def listing(folder):
    """Return every path below ``folder`` with its size and bytes, to see that nothing changed."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }
