import dataclasses
import errno
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from good_weights import make, names, same

import pretrain.weights.file
from headstart.errors import HeadstartError, InputError
from pretrain.weights.file import WeightsFile

ROOT = Path(__file__).parents[3]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.h5"


def test_an_existing_file_is_only_replaced_by_force(path):
    make(seed=1).write(path)
    with pytest.raises(InputError, match=r"exists already.*force"):
        make(seed=2).write(path)
    same(WeightsFile.read(path), make(seed=1))
    make(seed=2).write(path, force=True)
    same(WeightsFile.read(path), make(seed=2))


def test_a_file_in_a_folder_that_one_may_only_read_is_read(path):
    make().write(path)
    path.chmod(0o444)
    path.parent.chmod(0o555)
    try:
        same(WeightsFile.read(path), make())
    finally:
        path.parent.chmod(0o755)


def test_a_full_disk_leaves_the_old_file(path, monkeypatch):
    make(seed=1).write(path)

    def full(temp, image):
        temp.write_bytes(image[: len(image) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pretrain.weights.file, "_save", full)
    with pytest.raises(HeadstartError, match=r"no space left on device.*unchanged"):
        make(seed=2).write(path, force=True)
    same(WeightsFile.read(path), make(seed=1))
    assert names(path.parent) == ["weights.h5"]


def test_a_disk_that_changes_what_was_written_leaves_the_old_file(path, monkeypatch):
    make(seed=1).write(path)
    monkeypatch.setattr(
        pretrain.weights.file,
        "_save",
        lambda temp, image: temp.write_bytes(bytes(image)[:-4] + b"oops"),
    )
    with pytest.raises(HeadstartError, match="cannot be read back") as caught:
        make(seed=2).write(path, force=True)
    assert not isinstance(caught.value, InputError)
    same(WeightsFile.read(path), make(seed=1))
    assert names(path.parent) == ["weights.h5"]


WRITER = """
import resource, sys
from pathlib import Path
import numpy as np
from pretrain.weights.file import WeightsFile
from headstart.errors import HeadstartError
path = Path(sys.argv[1])
old = WeightsFile.read(path)
if sys.argv[2] == "full":
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
print("ready", flush=True)
try:
    while True:
        for tensor in old.tensors.values():
            tensor *= -1
        old.write(path, force=True)
except HeadstartError as error:
    print(error, flush=True)
"""


def test_a_file_size_limit_leaves_the_old_file(path):
    make(seed=1).write(path)
    done = subprocess.run(
        [sys.executable, "-c", WRITER, str(path), "full"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert "could not be written: file too large" in done.stdout
    assert done.stderr == ""
    same(WeightsFile.read(path), make(seed=1))
    assert names(path.parent) == ["weights.h5"]


def test_kill_leaves_the_old_file_or_the_new_one(path):
    old = make(seed=1)
    new = dataclasses.replace(old, tensors={n: -t for n, t in old.tensors.items()})
    digests = {new.write(path).digest, old.write(path, force=True).digest}
    pause = random.Random(0)
    for _ in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), "loop"], cwd=ROOT, stdout=subprocess.PIPE
        )
        with process:
            assert process.stdout.readline() == b"ready\n"
            time.sleep(pause.uniform(0, 0.1))
            process.send_signal(signal.SIGKILL)
        assert WeightsFile.read(path).digest in digests
    for left in path.parent.iterdir():
        assert left == path or left.name.startswith(".weights.h5.tmp-")
