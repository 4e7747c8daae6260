"""The pool's fingerprints in the weights file: there and back, and files without them."""

import dataclasses
import json

import numpy as np
import pytest
from good_weights import make, same
from malformed import Draft
from malformed_pool import good_draft

from headstart.errors import InputError
from pretrain.commands.inspect import as_json, describe
from pretrain.weights.file import WeightsFile
from tasks.duplicates.fingerprints import Fingerprints

RANGE = (0, 255)
IMAGES = np.random.default_rng(0).integers(0, 256, (30, 28, 28, 1), dtype=np.uint8)


def with_pool(x=IMAGES, **how):
    return dataclasses.replace(make(**how), fingerprints=Fingerprints.of(x, RANGE))


@pytest.mark.parametrize("shape", [(28, 28, 1), (5,)])
def test_what_is_written_is_read(tmp_path, shape):
    x = IMAGES if len(shape) == 3 else IMAGES.reshape(-1, 5)
    weights = with_pool(x, shape=shape)
    written = weights.write(tmp_path / "weights.h5")
    read = WeightsFile.read(tmp_path / "weights.h5")
    same(written, read)
    for ours in (written, read):
        mine, theirs = weights.fingerprints, ours.fingerprints
        assert (mine.examples, mine.dtype, mine.shape) == (
            theirs.examples,
            theirs.dtype,
            theirs.shape,
        )
        assert np.array_equal(mine.exact, theirs.exact)
        assert (mine.near is None) == (len(shape) == 1)
        assert mine.near is None or np.array_equal(mine.near, theirs.near)
        assert ours.version == 2
    exact, _ = read.fingerprints.find(x[[3]], RANGE)
    assert exact.tolist() == [True]


def test_the_digest_covers_them(tmp_path):
    path = tmp_path / "weights.h5"
    digests = {
        dataclasses.replace(make(), fingerprints=prints).write(path, force=True).digest
        for prints in (None, with_pool().fingerprints, with_pool(IMAGES[:29]).fingerprints)
    }
    assert len(digests) == 3


def test_equal_pools_give_equal_bytes(tmp_path):
    with_pool().write(tmp_path / "a.h5")
    with_pool(IMAGES[::-1].copy()).write(tmp_path / "b.h5")
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_files_without_them_are_of_version_1_and_read(tmp_path):
    path = tmp_path / "old.h5"
    path.write_bytes(Draft().image())
    old = WeightsFile.read(path)
    assert (old.version, old.fingerprints) == (1, None)
    assert path.read_bytes().startswith(b"headstart weights file, version 1\n")
    assert "does not tell what was in the pool" in describe(old, path)
    assert as_json(old)["fingerprints"] is None
    again = old.write(tmp_path / "again.h5")
    assert (again.version, again.digest) == (1, old.digest)


def test_the_file_that_is_not_spoilt_is_read(tmp_path):
    path = tmp_path / "weights.h5"
    path.write_bytes(good_draft().image())
    assert WeightsFile.read(path).fingerprints.examples == 4


def test_inspect_counts_them(tmp_path):
    path = tmp_path / "weights.h5"
    written = with_pool(np.concatenate([IMAGES, IMAGES[:2]])).write(path)
    said = "30 hashes and 30 signatures of 32 examples, 2,160 bytes"
    assert said in describe(written, path)
    assert "version 2" in describe(written, path)
    told = as_json(written)
    assert told["version"] == 2
    assert told["fingerprints"] == {"examples": 32, "exact": 30, "near": 30, "bytes": 2160}
    assert len(json.dumps(told)) < 10_000  # counts, not the fingerprints themselves


@pytest.mark.parametrize("x", [IMAGES[:, :14], IMAGES.astype(np.float32)])
def test_those_of_another_pool_are_not_written(tmp_path, x):
    with pytest.raises(InputError, match=r"fingerprints are of .*, the encoder takes"):
        with_pool(x).write(tmp_path / "weights.h5")
    assert list(tmp_path.iterdir()) == []
