"""``pretrain verify``: the numbers against slow ones, and what it refuses."""

import json

import numpy as np
import pytest
from commands import run
from toys import patterns
from transfers import weights

from headstart.errors import InputError
from pretrain.commands.verify import verify_weights
from pretrain.weights.file import WeightsFile
from tasks.loading.resolve import load_dataset


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = patterns(40, classes=5)
    np.savez("people.npz", x=data.x, y=data.y)
    np.savez("nobody.npz", x=data.x)
    np.savez("one.npz", x=data.x, y=np.zeros(40, int))
    np.savez("large.npz", x=patterns(6, size=9).x, y=[0, 0, 1, 1, 2, 2])
    np.savez("colour.npz", x=patterns(6, channels=3).x, y=[0, 0, 1, 1, 2, 2])
    np.savez("table.npz", x=data.x.reshape(40, -1), y=data.y)
    np.savez("shares.npz", x=(data.x / 255).astype(np.float32), y=data.y)
    weights("convnet").write(tmp_path / "weights.h5")
    return tmp_path


def chance(nearness, y):
    """AUC by its meaning: how often a same pair is nearer than a different one."""
    pairs = [(i, j) for i in range(len(y)) for j in range(i)]
    same = np.array([nearness[i, j] for i, j in pairs if y[i] == y[j]])
    different = np.array([nearness[i, j] for i, j in pairs if y[i] != y[j]])
    wins = (same[:, None] > different).mean() + (same[:, None] == different).mean() / 2
    return float(wins)


def test_against_slow_numbers(folder):
    from pretrain.encoders.encoder import Encoder
    from pretrain.weights.file import assign

    data, file = load_dataset("people.npz"), weights("convnet")
    encoder = Encoder(file.encoder, seed=5)
    assign(file.tensors, encoder.variables)
    x = (data.x / 255).astype(np.float32)
    features = np.asarray(encoder(x, False), np.float64)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    raw = x.reshape(40, -1).astype(float)
    found = verify_weights(file, data)
    assert found["pairs"] == {"same": 5 * 28, "different": 780 - 5 * 28}
    assert (found["examples"], found["classes"]) == (40, 5)
    assert found["features"]["auc"] == pytest.approx(chance(unit @ unit.T, data.y), abs=1e-3)
    nearness = -np.linalg.norm(raw[:, None] - raw, axis=2)
    assert found["raw"]["auc"] == pytest.approx(chance(nearness, data.y), abs=1e-6)
    gain = found["features"]["auc"] - found["raw"]["auc"]
    assert found["difference"]["auc"] == gain
    for row in ("features", "raw"):
        for name in ("auc", "eer"):
            low, high = found[row][f"{name}_interval"]
            assert 0 <= low <= high <= 1
            assert low <= found[row][name] <= high
    low, high = found["difference"]["auc_interval"]
    assert low <= gain <= high
    assert not found["trained_on"]
    assert verify_weights(file, data) == found


def test_the_command_prints_json_or_text(folder, capfd):
    done = run(capfd, "pretrain", "verify", "weights.h5", "--data", "people.npz", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    expected = verify_weights(WeightsFile.read(folder / "weights.h5"), load_dataset("people.npz"))
    assert found == {"file": "weights.h5", **expected}
    done = run(capfd, "pretrain", "verify", "weights.h5", "--data", "people.npz[0,3,4]")
    assert done.code == 0, done.err
    assert "24 examples of 3 classes, 84 same and 192 different pairs" in done.out
    assert "raw values" in done.out
    assert "Warning" not in done.out


def test_it_says_when_these_very_examples_were_the_pool(folder, capfd):
    data = load_dataset("people.npz")
    file = weights("convnet")
    file.metadata["data"] = {"name": "people.npz", "fingerprint": data.fingerprint}
    file.write(folder / "own.h5")
    done = run(capfd, "pretrain", "verify", "own.h5", "--data", "people.npz")
    assert done.code == 0, done.err
    assert "Warning: these very examples were the pool" in done.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--data", "nobody.npz"], ["must be labelled", "'nobody.npz'", "one subfolder an item"]),
        (["--data", "one.npz"], ["No pair of different items"]),
        (["--data", "large.npz"], ["(8, 8, 1)", "(9, 9, 1)", "Give --image-size 8x8."]),
        (["--data", "colour.npz"], ["(8, 8, 3)", "Give data of that shape."]),
        (["--data", "table.npz"], ["(64,)", "Give data of that shape."]),
        (["--data", "shares.npz"], ["from 0 to 255", "span 0 to 1"]),
        (["--data", "peple.npz"], ["Did you mean 'people.npz'"]),
        (["--data", "people.npz", "--image-size", "9x9"], ["(9, 9, 1)", "--image-size 8x8"]),
        ([], ["Missing option '--data'"]),
    ],
)
def test_what_cannot_be_measured_is_refused(folder, capfd, arguments, says):
    done = run(capfd, "pretrain", "verify", "weights.h5", *arguments)
    assert (done.code, done.out) == (2, "")
    for part in says:
        assert part in done.err


def test_a_damaged_file_is_refused(folder, capfd):
    (folder / "bad.h5").write_bytes(b"no weights")
    done = run(capfd, "pretrain", "verify", "bad.h5", "--data", "people.npz")
    assert (done.code, done.out) == (2, "")
    assert "bad.h5" in done.err


def test_another_size_is_resized_when_it_is_asked_for(folder):
    data = load_dataset("large.npz", image_size=(8, 8))
    assert verify_weights(weights("convnet"), data)["examples"] == 6
    with pytest.raises(InputError, match="image_size='8x8'"):
        verify_weights(weights("convnet"), load_dataset("large.npz"))
