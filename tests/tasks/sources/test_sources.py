import numpy as np
import pytest

from headstart.errors import InputError
from tasks import sources
from tasks.loading.resolve import load_dataset
from tasks.sources import describe_sources


class Point:
    """Stands in for an entry point of another package."""

    dist = type("Distribution", (), {"name": "headstart-moons"})
    value = "moons:load"

    def __init__(self, name, load):
        self.name, self.load = name, lambda: load


@pytest.fixture
def other_package(monkeypatch):
    def install(name, load):
        monkeypatch.setattr(sources, "entry_points", lambda group: [Point(name, load)])

    return install


def test_every_named_set_and_alias_is_described():
    assert dict(describe_sources())["fashion-mnist/B"] == "short for fashion-mnist[sandal,shirt]"
    assert [name for name, _ in describe_sources()][:2] == ["digits", "fashion-mnist"]


def test_another_package_adds_a_set(other_package):
    def load(seed):
        x = np.random.default_rng(seed).random((4, 2), dtype=np.float32)
        return {"x": x, "y": np.array([0, 0, 1, 1]), "value_range": (0, 1), "source": "drawn"}

    other_package("moons", load)
    assert ("moons", "from the package headstart-moons") in describe_sources()
    one, two = load_dataset("moons", seed=1), load_dataset("moons[1]", seed=2)
    assert (one.name, two.name) == ("moons", "moons[1]")
    assert one.x_test is None
    assert one.fingerprint == load_dataset("moons", seed=1).fingerprint
    assert one.fingerprint != load_dataset("moons", seed=2).fingerprint
    with pytest.raises(InputError, match="Did you mean 'moons'"):
        load_dataset("moon")


def test_ours_cannot_be_replaced(other_package):
    other_package("digits", lambda seed: {})
    assert load_dataset("digits").x.shape == (1797, 8, 8, 1)


def test_a_broken_package_is_named(other_package):
    def fail(seed):
        raise RuntimeError("no moon tonight")

    other_package("moons", fail)
    with pytest.raises(InputError, match=r"headstart-moons failed.*no moon tonight"):
        load_dataset("moons")
    other_package("moons", lambda seed: {"x": np.zeros((2, 2), np.uint8)})
    with pytest.raises(InputError, match="loader of data set 'moons' is wrong"):
        load_dataset("moons")
    other_package(
        "moons", lambda seed: {"x": np.zeros((2, 2)), "value_range": (0, 1), "source": ""}
    )
    with pytest.raises(InputError, match=r"'moons' cannot be used.*float64"):
        load_dataset("moons")
