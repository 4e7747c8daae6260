import sys
from pathlib import Path

import pytest

# The helpers beside the tests of weights files (malformed*.py) are imported by name, also by subprocesses.
sys.path.insert(0, str(Path(__file__).parent / "weights"))


@pytest.fixture(params=[False, True], ids=["graph", "xla"])
def path(request, monkeypatch):
    """Take one of the two ways, however many steps are planned."""
    monkeypatch.setattr("pretrain.engine.train.use_xla", lambda stage: request.param)


@pytest.fixture
def look_up_after_every_step(monkeypatch):
    monkeypatch.setattr("pretrain.engine.train.CALL_SECONDS", 0)
