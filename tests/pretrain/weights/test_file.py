import dataclasses
import json
import time
from pathlib import Path

import numpy as np
import pytest
from good_weights import make, names, same
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from malformed import Draft, good_content, good_tensors

from headstart.errors import InputError
from pretrain.encoders import encoder_config, expected_shapes
from pretrain.weights.file import WeightsFile, assign

ROOT = Path(__file__).parents[3]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.h5"


def test_what_is_written_is_read(path):
    weights = make(options={"noise": 0.2}, metrics={"loss": [0.5, 0.25]}, note="Größe 値")
    written = weights.write(path)
    read = WeightsFile.read(path)
    same(weights, written)
    same(weights, read)
    assert len(read.digest) == 64
    assert read.digest == written.digest
    assert names(path.parent) == ["weights.h5"]


def test_the_receipt_counts_tensors_and_parameters(path):
    weights = make()
    assert weights.n_parameters == 275_750
    assert weights.receipt() == "10/10 tensors, 100 % of parameters (275,750)"
    some = {n: t for n, t in weights.tensors.items() if n != "block5/dense/bias"}
    part = dataclasses.replace(weights, tensors=some)
    assert part.receipt() == "9/10 tensors, 99.9 % of parameters (275,700)"


def test_equal_content_gives_equal_bytes(path):
    make().write(path)
    first = path.read_bytes()
    time.sleep(1.1)  # HDF5's timestamps, were there any, count seconds
    shuffled = make()
    shuffled = dataclasses.replace(
        shuffled,
        tensors=dict(reversed(shuffled.tensors.items())),
        metadata=dict(reversed(shuffled.metadata.items())),
    )
    shuffled.write(path, force=True)
    assert path.read_bytes() == first
    before = WeightsFile.read(path).digest
    assert make(seed=2).write(path, force=True).digest != before


def test_the_file_is_as_the_specification_says(path):
    import hashlib

    import h5py

    weights = make(units=(4, 3), shape=(2,)).write(path)
    data = path.read_bytes()
    seal = hashlib.sha256(data[512:]).hexdigest()
    text = f"headstart weights file, version 1\nsha256 of all bytes after this block: {seal}\n"
    assert data[:512].decode().rstrip() + "\n" == text
    with h5py.File(path) as file:
        assert dict(file.attrs) == {
            "format": b"headstart-weights",
            "version": 1,
            "digest": weights.digest.encode(),
        }
        stored = json.loads(file["metadata"][:].tobytes())
        manifest = json.loads(file["manifest"][:].tobytes())
        kernel = file["weights/block1/dense/kernel"]
        assert (kernel.dtype.str, kernel.chunks, kernel.shape) == ("<f4", None, (2, 4))
        assert manifest[0] == {
            "name": "block1/dense/kernel",
            "shape": [2, 4],
            "dtype": "<f4",
            "sha256": hashlib.sha256(kernel[:].tobytes()).hexdigest(),
        }
    assert stored["encoder"] == weights.encoder
    whole = json.dumps(
        {**stored, "manifest": manifest},
        sort_keys=True, separators=(",", ":"), ensure_ascii=False,
    )  # fmt: skip
    assert hashlib.sha256(whole.encode()).hexdigest() == weights.digest


def test_the_corpus_builder_agrees_with_the_writer(path):
    content = good_content()
    WeightsFile(tensors=good_tensors(), **content).write(path)
    assert path.read_bytes() == Draft().image()


floats = st.floats(width=32, allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(codec="utf-8"), max_size=8)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    units=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    activation=st.sampled_from(["selu", "relu", "gelu", "tanh"]),
    value=floats,
    note=plain,
)
def test_any_encoder_comes_back_bit_for_bit(path, shape, units, activation, value, note):
    config = encoder_config("mlp", tuple(shape), {"units": units, "activation": activation})
    weights = dataclasses.replace(
        make(note=note),
        encoder=config,
        tensors={n: np.full(s, value, np.float32) for n, s in expected_shapes(config).items()},
    )
    weights.write(path, force=True)
    same(weights, WeightsFile.read(path))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"metadata": {"strategy": "x"}}, "lacks 'seed'"),
        ({"preprocessing": {}}, "preprocessing must hold exactly"),
        ({"encoder": {"architecture": "mpl", "input_shape": [1], "options": {}}}, "Did you mean"),
        ({"tensors": {}}, r"lacks block1/dense/kernel \(784, 300\).*lacks block5/dense/bias"),
    ],
)
def test_a_wrong_part_is_not_written(path, changes, says):
    with pytest.raises(InputError, match=says):
        dataclasses.replace(make(), **changes).write(path)
    assert not path.exists()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_not_written(path, bad):
    weights = make()
    weights.tensors["block2/dense/bias"][3] = bad
    with pytest.raises(InputError, match=r"not finite.*1 in block2/dense/bias"):
        weights.write(path)
    assert names(path.parent) == []


@pytest.mark.parametrize("dtype", ["f8", "f2", "i4", "O"])
def test_other_types_are_not_written(path, dtype):
    weights = make()
    weights.tensors["block1/dense/bias"] = np.zeros(300, dtype)
    with pytest.raises(InputError, match="block1/dense/bias must be a float32 array"):
        weights.write(path)


@pytest.mark.parametrize("note", [float("nan"), {1, 2}, np.float32(1), "\ud800", {"a": object()}])
def test_metadata_that_is_no_json_is_not_written(path, note):
    with pytest.raises(InputError, match="metadata is not JSON"):
        make(note=note).write(path)


class Variable:
    def __init__(self, shape, fails=False):
        self.shape, self.value, self.fails = shape, np.zeros(shape), fails

    def numpy(self):
        return self.value

    def assign(self, value):
        if self.fails:
            raise RuntimeError("no memory")
        self.value = value


def test_assign_lists_every_mismatch_and_changes_nothing():
    variables = {"a/b/kernel": Variable((2, 3)), "a/b/bias": Variable((3,)), "c": Variable((1,))}
    tensors = {"a/b/kernel": np.ones((3, 2)), "a/b/bias": np.ones(3), "d": np.ones(1)}
    with pytest.raises(InputError) as caught:
        assign(tensors, variables)
    for part in ("a/b/kernel is (3, 2) in the file", "needs (2, 3)", "lacks c", "unexpected 'd'"):
        assert part in str(caught.value)
    assert not any(v.value.any() for v in variables.values())


def test_assign_undoes_itself_when_it_fails_halfway():
    variables = {"a": Variable((2,)), "b": Variable((2,)), "c": Variable((2,), fails=True)}
    with pytest.raises(RuntimeError, match="no memory"):
        assign({n: np.ones(2) for n in variables}, variables)
    assert not any(v.value.any() for v in variables.values())
