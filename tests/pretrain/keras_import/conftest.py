from pathlib import Path

import pytest
from foreign import save, small


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    model = small()
    return model, str(save(model, tmp_path_factory.mktemp("models") / "small.keras"))


@pytest.fixture(scope="module")
def good(saved):
    """The file alone, for tests that spoil copies of it."""
    return Path(saved[1])
