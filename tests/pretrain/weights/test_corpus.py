import json
import re
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from malformed import Draft, flip, good_tensors, reference_set
from malformed_cases import CASES
from malformed_pool import good_draft

from headstart.errors import InputError
from pretrain.weights.file import WeightsFile, assign

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


class Variable:
    """Has what ``assign`` needs of a Keras variable, and counts."""

    def __init__(self, shape):
        self.shape, self.value, self.assigned = shape, np.zeros(shape), 0

    def assign(self, value):
        self.assigned, self.value = self.assigned + 1, value


def load(path, variables):
    assign(WeightsFile.read(path).tensors, variables)


@pytest.fixture
def variables():
    return {name: Variable(tensor.shape) for name, tensor in good_tensors().items()}


def test_the_file_that_is_not_spoilt_is_read(tmp_path, variables):
    path = tmp_path / "weights.h5"
    path.write_bytes(Draft().image())
    load(path, variables)
    for name, tensor in good_tensors().items():
        np.testing.assert_array_equal(variables[name].value, tensor)


def test_the_corpus_is_large():
    assert len(CASES) >= 100


@pytest.mark.parametrize("name", CASES)
def test_refused(name, tmp_path, variables):
    says, build = CASES[name]
    path = tmp_path / "weights.h5"
    build(path)
    with pytest.raises(InputError) as caught:
        load(path, variables)
    message = str(caught.value).split(" (The file is")[0]
    assert message.startswith("weights.h5 is not usable: ")
    assert re.search(says, message), message
    assert "; " in message, "no way out"
    assert message.isprintable()
    assert len(message) < 5000
    assert not any(v.assigned for v in variables.values())


@pytest.mark.parametrize("made", [Draft, good_draft])
def test_every_flipped_bit_is_refused(tmp_path, made):
    image = made().image()
    path = tmp_path / "weights.h5"
    random = np.random.default_rng(0)
    every = {*range(0, 8 * 640, 7), *random.integers(0, 8 * len(image), 1500).tolist()}
    for bit in every:
        path.write_bytes(flip(image, bit))
        with pytest.raises(InputError):
            WeightsFile.read(path)


def test_every_truncation_and_any_appended_bytes_are_refused(tmp_path):
    image = Draft().image()
    path = tmp_path / "weights.h5"
    for length in {*range(0, len(image), 97), len(image) - 1}:
        path.write_bytes(image[:length])
        with pytest.raises(InputError):
            WeightsFile.read(path)
    for tail in (b"\0", b" " * 512, image):
        path.write_bytes(image + tail)
        with pytest.raises(InputError, match="appended"):
            WeightsFile.read(path)


def test_one_error_names_every_mismatch(tmp_path):
    path = tmp_path / "weights.h5"
    tensors = good_tensors((5, 6, 5, 5))
    del tensors["block1/dense/bias"]
    path.write_bytes(Draft(tensors=tensors).image())
    with pytest.raises(InputError) as caught:
        WeightsFile.read(path)
    for part in (
        "lacks block1/dense/bias (5,)",
        "block2/dense/kernel is (5, 6)",
        "block2/dense/bias is (6,)",
        "block3/dense/kernel is (6, 5)",
        "unexpected 'block4/dense/kernel'",
        "unexpected 'block4/dense/bias'",
    ):
        assert part in str(caught.value)


READ_ALL = """
import json, sys
from pathlib import Path
from pretrain.weights.file import WeightsFile
from headstart.errors import InputError
usable = []
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        WeightsFile.read(path)
        usable.append(path.name)
    except InputError:
        pass
heavy = {"tensorflow", "keras", "sklearn"} & set(sys.modules)
# Not getrusage: what a fat parent had counts there, even after exec.
peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
print(json.dumps({"usable": usable, "heavy": sorted(heavy), "peak": peak}))
"""


def test_the_whole_corpus_is_refused_in_little_memory_and_without_tensorflow(tmp_path):
    reference_set(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", READ_ALL, str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    found = json.loads(done.stdout)
    print(found)
    assert found["usable"] == ["good.h5"]
    assert found["heavy"] == []
    assert found["peak"] < 300


FUZZ = """
import sys
from pathlib import Path
import numpy as np
from malformed import Draft, flip, good_tensors, seal
from malformed_pool import EXACT, good_draft
from pretrain.weights.file import WeightsFile
from headstart.errors import InputError
version, path, random = int(sys.argv[4]), Path(sys.argv[1]), np.random.default_rng(int(sys.argv[2]))
image = (Draft() if version == 1 else good_draft()).image()
read = 0
for _ in range(int(sys.argv[3])):
    changed = image
    for bit in random.integers(8 * 512, 8 * len(image), random.integers(1, 5)).tolist():
        changed = flip(changed, bit)
    path.write_bytes(seal(changed, version))
    try:
        found = WeightsFile.read(path)
    except InputError:
        continue
    read += 1
    assert all((found.tensors[n] == t).all() for n, t in good_tensors().items())
    assert version == 1 or (found.fingerprints.exact == EXACT).all()
print(read)
"""


@pytest.mark.parametrize("version", ["1", "2"])
def test_flips_sealed_again_change_no_tensor_and_crash_nothing(tmp_path, version):
    # A flip in bytes that HDF5 does not use, sealed again, is a good file; any other is refused.
    code = f"import sys; sys.path.insert(0, {str(HERE)!r})" + FUZZ
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "weights.h5"), "0", "500", version],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > 0


def test_a_reader_leaves_nothing_open(tmp_path):
    path = tmp_path / "weights.h5"
    for name in ("hard_link", "nan", "json_depth_bomb"):
        CASES[name][1](path)
        with pytest.raises(InputError):
            WeightsFile.read(path)
    assert h5py.h5f.get_obj_count(h5py.h5f.OBJ_ALL, h5py.h5f.OBJ_FILE) == 0
