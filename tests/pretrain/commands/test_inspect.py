import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from good_weights import make

from pretrain.commands.inspect import as_json, describe

ROOT = Path(__file__).parents[3]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.h5"


def test_describe_says_what_a_person_asks(path):
    weights = make(
        options={"noise": 0.2}, metrics={"loss": 0.0123}, epochs=10, threads={"intra": 2}
    ).write(path)
    page = describe(weights, path)
    for part in (
        "version 1",
        "autoencoder (noise 0.2)",
        "toy (fingerprint abc)",
        "28 x 28 x 1 uint8, 0.0 to 255.0",
        "x * 0.00392157 + 0",
        "mlp (",
        "block1: 235,500 parameters (dense/kernel 784 x 300, dense/bias 300)",
        "epochs",
        "loss 0.0123",
        "headstart 0.1.0",
        "10/10 tensors, 100 % of parameters (275,750)",
        weights.digest,
    ):
        assert part in page, part
    assert json.loads(json.dumps(as_json(weights))) == as_json(weights)
    assert as_json(weights)["parameters"] == 275_750


def test_describe_shows_no_control_characters(path):
    evil = "\x1b[31mred\x07\r\u202e"
    weights = make(strategy=evil, **{evil: [evil, True, 1, None]}).write(path)
    assert all(line.isprintable() for line in describe(weights, path).split("\n"))


def test_inspecting_needs_neither_tensorflow_nor_long(path):
    make().write(path)
    code = (
        "import sys; from pathlib import Path; from pretrain.weights.file import WeightsFile; "
        "from pretrain.commands.inspect import describe; p = Path(sys.argv[1]); "
        "print(describe(WeightsFile.read(p), p)); "
        "assert not {'tensorflow', 'keras', 'sklearn'} & set(sys.modules)"
    )
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code, str(path)], cwd=ROOT, check=True)
    # 0.3 s on an idle machine; the bound only tells it from an import of TensorFlow, 5 s and more.
    assert time.perf_counter() - start < 3
