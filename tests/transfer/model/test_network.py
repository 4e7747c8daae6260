"""Networks by arrangement: what is kept, what is fresh, what reaches the head."""

import numpy as np
import pytest
from transfers import source

from headstart.errors import InputError
from transfer.architecture import TransferArchitecture
from transfer.model.network import NECK, TransferNetwork


def body(given, outputs=3, seed=5, **how):
    return TransferNetwork(
        given.encoder,
        TransferArchitecture(**how),
        outputs=outputs,
        seed=seed,
        tensors=given.tensors,
    )


@pytest.mark.parametrize(
    ("name", "how", "names"),
    [
        ("mlp", {"reuse": 3}, ["block1", "block2", "block3"]),
        ("mlp", {"reuse": 1}, ["block1", "block2", "block3"]),
        ("mlp", {"reuse": 2, "above": "drop"}, ["block1", "block2"]),
        ("mlp", {"reuse": 3, "above": "add"}, ["block1", "block2", "block3", "added"]),
        ("convnet", {"reuse": 1, "above": "drop"}, ["block1", "neck"]),
        ("convnet", {"reuse": 1, "above": "add"}, ["block1", "added", "neck"]),
        ("convnet", {"reuse": 3, "head": "hidden"}, ["block1", "block2", "block3", "hidden"]),
        ("resnet", {"reuse": 1, "above": "drop", "head": "hidden"}, ["stem", "neck", "hidden"]),
    ],
)
def test_what_a_network_is_made_of(name, how, names):
    given = source(name)
    made = body(given, **how)
    assert [block for block, _ in made.blocks] == names
    assert [block for block, _ in made.kept] == names[: how["reuse"]]
    x = np.random.default_rng(0).random((5, 8, 8, 1), np.float32)
    features = made.model(x)
    assert features.shape == (5, made.feature_size)
    assert made.head(features).shape == (5, 3)
    tensors = made.tensors()
    for path, tensor in given.tensors.items():
        block = path.split("/")[0]
        if block in names[: how["reuse"]]:
            assert tensors[path].tobytes() == tensor.tobytes()
        elif block in names and "kernel" in path:
            assert not np.array_equal(tensors[path], tensor)


def test_large_maps_are_averaged_down_to_few_positions():
    made = body(source("convnet", shape=(30, 22, 1)), reuse=1, above="drop")
    assert made.kept[-1][1].output_shape[1:] == (15, 11, 4)
    assert made.feature_size <= NECK * NECK * 4
    x = np.random.default_rng(0).random((2, 30, 22, 1), np.float32)
    maps = np.asarray(made.kept[0][1](x))
    # 15 by 11 in cells of 4 by 3: the cells at the end are averaged over what they have.
    cell = np.asarray(made.model(x)).reshape(2, 4, 4, 4)[:, 1, 1]
    padded = np.pad(maps, ((0, 0), (0, 1), (0, 1), (0, 0)), constant_values=np.nan)
    assert np.allclose(cell, np.nanmean(padded[:, 4:8, 3:6], axis=(1, 2)), atol=1e-6)


def test_the_seed_decides_what_is_fresh():
    given = source("convnet")
    first, again, other = (body(given, seed=s, reuse=1, above="add").tensors() for s in (1, 1, 2))
    assert all(np.array_equal(first[path], again[path]) for path in first)
    moved = [path for path in first if not np.array_equal(first[path], other[path])]
    assert moved == ["added/conv/kernel", "head/kernel"]


def test_it_can_be_put_back():
    made = body(source(), reuse=2, head="hidden")
    before = made.tensors()
    for variable in made.variables.values():
        variable.assign(variable + 1.0)
    made.restore()
    assert all(before[path].tobytes() == t.tobytes() for path, t in made.tensors().items())


@pytest.mark.parametrize(
    ("how", "argument", "says"),
    [
        ({"reuse": 4}, "reuse", r"must be 'auto', 'all' or 0 to 3.*Got 4"),
        ({"reuse": 2, "above": "dropp"}, "above", r"must be one of reset, drop, add.*mean 'drop'"),
        ({"reuse": 2, "head": "deep"}, "head", r"must be one of linear, hidden.*'deep'"),
        ({"reuse": 0, "above": "drop"}, "above", r"needs at least one block"),
    ],
)
def test_what_cannot_be_is_refused(how, argument, says):
    with pytest.raises(InputError, match=says) as caught:
        TransferArchitecture(**how).check(source().encoder)
    assert caught.value.argument == argument
