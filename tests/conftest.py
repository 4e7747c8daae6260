import os
import sys
from pathlib import Path

import pytest

# Before anything imports TensorFlow: its C++ log lines are no part of what is tested.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# As the commands set it: it is part of what decides a run's bits, and must not change halfway.
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
# Two test processes share the cores: one thread each, instead of all threads twice.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
# The helpers of several test folders are imported by name.
sys.path.insert(0, str(Path(__file__).parent / "support"))


# Files whose tests take up to minutes each, and share no costly fixture but SHARED.
APART = ("test_kill.py", "test_engines.py", "test_readme.py", "test_several.py", "test_docs.py")
SHARED = {"expected", "exported"}


def pytest_collection_modifyitems(items):
    """Keep what shares costly fixtures on one worker (pytest-xdist), and begin with what takes longest."""
    for item in items:
        case = getattr(item, "callspec", None) and item.callspec.params.get("case")
        apart = item.path.name in APART and not SHARED & set(item.fixturenames)
        alone = item.name if apart else item.path.name
        group = "-".join(case) if isinstance(case, tuple) else alone
        item.add_marker(pytest.mark.xdist_group(f"{item.path.parent.name}-{group}"))
    # A slow test that comes last keeps one worker busy while the other has nothing left to do.
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture
def short_pool_training(monkeypatch):
    """Trainings with unlabelled examples, and their validation, cut short."""
    monkeypatch.setattr("transfer.semi_supervised.self_training.UPDATES", 60)
    monkeypatch.setattr("transfer.semi_supervised.consistency.UPDATES", 20)
    monkeypatch.setattr("transfer.semi_supervised.selection.FOLD_UPDATES", 10)
    monkeypatch.setattr("transfer.semi_supervised.selection.FOLDS", 2)
