import pytest
from transfers import weights


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """Weights files with random weights, for images of 8x8 in 0 to 255."""
    folder = tmp_path_factory.mktemp("files")
    for name in ("mlp", "convnet"):
        weights(name).write(folder / f"{name}.h5")
    return folder
