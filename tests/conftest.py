import os
import sys
from pathlib import Path

import pytest

# Before anything imports TensorFlow: its C++ log lines are no part of what is tested.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# As the commands set it: it is part of what decides a run's bits, and must not change halfway.
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
# The helpers of several test folders are imported by name.
sys.path.insert(0, str(Path(__file__).parent / "support"))


def pytest_collection_modifyitems(items):
    """Keep what shares costly fixtures on one worker (pytest-xdist): a file, or a contract's case."""
    for item in items:
        case = getattr(item, "callspec", None) and item.callspec.params.get("case")
        # The runs that are killed share nothing, and take minutes each.
        alone = item.name if item.path.name == "test_kill.py" else item.path.name
        group = "-".join(case) if isinstance(case, tuple) else alone
        item.add_marker(pytest.mark.xdist_group(f"{item.path.parent.name}-{group}"))
