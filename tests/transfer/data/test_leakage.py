"""The leakage guard: what was in the pool is counted, and a test that would measure memory refused."""

import dataclasses
import json

import numpy as np
import pytest
from click.testing import CliRunner
from pictures import WAYS, blobs, jpeg, shifted
from transfers import QUICK, planned, transferred, weights

from headstart.cli import spelling
from headstart.errors import InputError
from pretrain.weights.file import WeightsFile
from tasks.duplicates.fingerprints import Fingerprints
from tasks.loading.resolve import load_dataset
from tasks.task import TargetTask
from transfer.cli import cli
from transfer.config import TransferConfig
from transfer.data.leakage import describe, leakage, refuse
from transfer.encoder_source import EncoderSource

RANGE = (0, 255)


def file_of(pool, *, labels_used=None, fingerprints=True):
    """A weights file whose pool was ``pool``; the encoder is of no matter here."""
    made = weights(shape=pool.shape[1:])
    told = {} if labels_used is None else {"labels_used": labels_used}
    return dataclasses.replace(
        made,
        metadata={**made.metadata, "data": {"name": "pool", "fingerprint": "none", **told}},
        fingerprints=Fingerprints.of(pool, RANGE) if fingerprints else None,
    )


def task_of(x, x_test):
    return TargetTask(
        name="toy",
        x=x,
        y=np.arange(len(x)) % 2,
        x_test=x_test,
        y_test=np.arange(len(x_test)) % 2,
        class_names=("a", "b"),
        value_range=RANGE,
        source="made up",
        test_origin="made up",
    )


def plant(x_test, pool, rows, at):
    """Put 25 images of the pool into the test part: 15 as they are, 5 shifted, 5 as JPEG."""
    x_test = x_test.copy()
    for i, (place, row) in enumerate(zip(at, rows, strict=True)):
        image = pool[row]
        if i >= 20:
            image = jpeg(image)
        elif i >= 15:
            image = shifted(image, *WAYS[i - 15])
        x_test[place] = image
    return x_test


def test_planted_images_are_found():
    pool, x, x_test = blobs(1000), blobs(50, seed=1), blobs(300, seed=2)
    x[:3] = pool[7:10]
    planted = plant(x_test, pool, range(100, 125), range(30, 55))
    found = leakage(task_of(x, planted), np.array([0, 1, 20, 40]), file_of(pool))
    assert found == {
        "pool": {
            "name": "pool",
            "fingerprints": {"examples": 1000, "exact": 1000, "near": 1000, "bytes": 72_000},
        },
        "labels_used": None,
        "labelled": {"n": 4, "exact": 2, "near": 0},
        "test": {"n": 300, "exact": 15, "near": 10},
        "shared": {"exact": 0, "near": 0},
        "leaks": False,
    }
    assert describe(found) == (
        "Leakage: in the pool pool were 15 (and 10 near duplicates) of 300 test and "
        "2 (and 0 near duplicates) of 4 labelled examples"
    )


@pytest.mark.parametrize("most", [5000, 3])
def test_labelled_examples_that_are_in_the_test_part_are_told(monkeypatch, most):
    monkeypatch.setattr("transfer.data.leakage.MAX_NEAR_LABELS", most)
    pool, x, x_test = blobs(100), blobs(50, seed=1), blobs(60, seed=2)
    x_test[[4, 7]], x_test[9] = x[[10, 11]], shifted(x[12], *WAYS[0])
    found = leakage(task_of(x, x_test), np.arange(8, 16), file_of(pool))
    assert found["shared"] == {"exact": 2, "near": 1 if most > 3 else None}
    assert describe(found).endswith("of the labelled examples are in the test part too")
    assert "the test part too" not in describe(
        leakage(task_of(x, x_test), np.arange(20, 30), file_of(pool))
    )


def test_planted_images_are_found_in_the_real_set():
    try:
        fashion = load_dataset("fashion-mnist")
    except InputError as error:
        pytest.skip(f"Fashion-MNIST is not on this machine: {error}")
    file = file_of(fashion.x)
    rng = np.random.default_rng(3)
    rows, at = rng.choice(60000, 25, replace=False), rng.choice(10000, 25, replace=False)
    clean = leakage(task_of(fashion.x[:10], fashion.x_test), np.arange(10), file)
    assert clean["labelled"] == {"n": 10, "exact": 10, "near": 0}
    assert clean["test"]["exact"] == 0
    assert clean["test"]["near"] < 30
    # What is overwritten may have been near something itself: count those that are left.
    left = np.ones(10_000, bool)
    left[at] = False
    near = file.fingerprints.find(fashion.x_test[left], RANGE)[1].sum()
    planted = plant(fashion.x_test, fashion.x, rows, at)
    found = leakage(task_of(fashion.x[:10], planted), np.arange(10), file)
    assert found["test"] == {"n": 10_000, "exact": 15, "near": 10 + near}


def test_it_is_refused_only_when_labels_were_used():
    pool, x = blobs(500), blobs(20, seed=1)
    equal, clean = blobs(200, seed=2), blobs(200, seed=2)
    equal[5] = pool[0]
    few, many = clean.copy(), clean.copy()
    few[:2] = [shifted(image, 0, 1) for image in pool[:2]]
    many[:3] = [shifted(image, 0, 1) for image in pool[:3]]
    for test, used, refused in (
        (equal, True, True),
        (equal, False, False),
        (equal, None, False),
        (clean, True, False),
        (few, True, False),  # sets have some near duplicates of their own
        (many, True, True),
    ):
        found = leakage(task_of(x, test), np.arange(9), file_of(pool, labels_used=used))
        assert found["leaks"] == refused
        if refused:
            with pytest.raises(InputError, match="the test would measure memory") as caught:
                refuse(found, "toy", "weights.h5")
            assert "allow_leakage=True" in caught.value.hint
        else:
            refuse(found, "toy", "weights.h5")


def test_labels_that_were_used_by_both_are_no_leak():
    pool = blobs(100)
    found = leakage(
        task_of(pool[:50], blobs(40, seed=3)), np.arange(50), file_of(pool, labels_used=True)
    )
    assert found["labelled"]["exact"] == 50
    assert not found["leaks"]


def test_a_file_without_fingerprints_says_so():
    pool = blobs(50)
    found = leakage(
        task_of(pool, pool), np.arange(5), file_of(pool, labels_used=True, fingerprints=False)
    )
    assert found["test"] == {"n": 50, "exact": None, "near": None}
    assert found["pool"]["fingerprints"] is None
    assert not found["leaks"]
    told = (
        "Leakage: unknown. The weights file does not say which examples the pool had; 5 (and 0 near"
    )
    assert describe(found).startswith(told)


def test_another_size_cannot_be_compared_exactly():
    from tasks.loading.images import resize_images

    pool = blobs(200)
    same = resize_images(pool[:40], (56, 56))
    found = leakage(task_of(same, same), np.arange(5), file_of(pool, labels_used=True))
    assert found["test"]["exact"] is None
    assert found["test"]["near"] > 30
    assert found["leaks"]
    assert "none could be compared exactly" in describe(found)
    with pytest.raises(InputError, match=r"had \d+ near duplicates of the 40 test examples"):
        refuse(found, "toy", "weights.h5")


def test_vectors_have_no_near_duplicates():
    x = np.arange(60, dtype=np.uint8).reshape(12, 5)
    found = leakage(task_of(x[:6], x[5:8]), np.arange(5), file_of(x[:6]))
    assert found["test"] == {"n": 3, "exact": 1, "near": None}
    assert "1 of 3 test and 5 of 5 labelled" in describe(found)


def test_a_sample_of_the_pool_is_told_as_one(monkeypatch):
    monkeypatch.setattr("tasks.duplicates.fingerprints.MAX_NEAR", 20)
    pool = blobs(50)
    found = leakage(task_of(pool, pool), np.arange(5), file_of(pool))
    said = "of the pool's 50 examples the file has 50 hashes and 20 signatures only"
    assert said in describe(found)


@pytest.fixture
def folder(tmp_path):
    pool, x, x_test = blobs(200, size=8), blobs(60, size=8, seed=1), blobs(40, size=8, seed=2)
    x_test[:2] = pool[:2]
    y, y_test = np.arange(60) % 3, np.arange(40) % 3
    np.savez(tmp_path / "data.npz", x=x, y=y, x_test=x_test, y_test=y_test)
    file_of(pool, labels_used=True).write(tmp_path / "used.h5")
    file_of(pool, labels_used=False).write(tmp_path / "unused.h5")
    return tmp_path


def run(folder, weights_file, *more):
    arguments = ["--from", folder / weights_file, "--data", folder / "data.npz", "--labels", "30"]
    arguments += ["--out", folder / "model.keras", "--json", "--epochs", "1"]
    arguments += ["--freeze-epochs", "1", *more]
    return CliRunner().invoke(cli, [str(part) for part in arguments], catch_exceptions=False)


def test_the_command_refuses_and_can_be_told_otherwise(folder):
    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(InputError) as caught:
        run(folder, "used.h5")
    assert caught.value.rule == (
        "The pretraining of used.h5 used labels, and its pool 'pool' had 2 (and 0 near duplicates) of "
        "the 40 test examples of 'data.npz': the test would measure memory."
    )
    assert caught.value.worded(spelling(cli)).endswith("all the same with --allow-leakage.")
    assert caught.value.exit_code == 2
    assert sorted(path.name for path in folder.iterdir()) == before
    done = run(folder, "used.h5", "--allow-leakage")
    assert "Warning: the pretraining used their labels" in done.stderr
    assert json.loads(done.stdout)["leakage"]["leaks"] is True
    found = json.loads((folder / "model.json").read_text())["leakage"]
    assert found["test"] == {"n": 40, "exact": 2, "near": 0}


def test_the_command_tells_of_a_pool_without_labels(folder):
    done = run(folder, "unused.h5")
    assert "Leakage: in the pool pool were 2 (and 0 near duplicates) of 40 test" in done.stderr
    assert "Warning" not in done.stderr
    assert json.loads(done.stdout)["leakage"]["leaks"] is False


def test_a_plan_refuses_like_the_command_unless_nobody_is_to_look(folder):
    task = TargetTask.from_dataset(load_dataset(str(folder / "data.npz")))
    used = WeightsFile.read(folder / "used.h5")
    config = TransferConfig(recipe=QUICK, labels=30)
    with pytest.raises(InputError, match="the test would measure memory") as caught:
        planned(task, EncoderSource.from_weights(used), config)
    assert "allow_leakage=True" in str(caught.value)
    allowed = dataclasses.replace(config, allow_leakage=True)
    assert planned(task, EncoderSource.from_weights(used), allowed).leakage["leaks"] is True
    unseen = EncoderSource.from_weights(used, check_leakage=False)
    assert "leakage" not in transferred(task, unseen, config).result
    source = EncoderSource.from_weights(WeightsFile.read(folder / "unused.h5"))
    found = transferred(task, source, config).result["leakage"]
    assert found["test"] == {"n": 40, "exact": 2, "near": 0}
    assert found["leaks"] is False
