import random

import numpy as np
import pytest
from toys import listing

from headstart.errors import InputError
from pretrain.engine.checkpoint import Checkpoint, Checkpoints

CONFIG = {"seed": 3, "encoder": {"units": [4, 2]}, "data": "abc"}


def checkpoint(step=1, epoch=0, stage=1, fill=0.5):
    return Checkpoint(
        stage=stage,
        epoch=epoch,
        step=step,
        variables=[np.full((2, 3), fill, np.float32), np.array([True, False])],
        slots=[np.array(7, np.int64), np.zeros((0, 2), np.float32)],
        sums=np.array([0.25, np.pi], np.float32),
        finished=[[np.arange(3, dtype=np.float32)], []],
        history=[{"stage": "one", "epoch": 1, "loss": 0.1}],
    )


def same(a, b):
    arrays = [[*c.variables, *c.slots, c.sums, *(v for f in c.finished for v in f)] for c in (a, b)]
    plain = [(c.stage, c.epoch, c.step, c.history, [len(f) for f in c.finished]) for c in (a, b)]
    return plain[0] == plain[1] and all(
        v.dtype == w.dtype and v.shape == w.shape and v.tobytes() == w.tobytes()
        for v, w in zip(*arrays, strict=True)
    )


@pytest.fixture
def checkpoints(tmp_path):
    return Checkpoints(tmp_path / "run.checkpoints", CONFIG)


def test_what_is_saved_is_loaded(checkpoints):
    assert checkpoints.load() is None
    checkpoints.save(checkpoint())
    assert same(checkpoints.load(), checkpoint())


def test_the_newest_two_are_kept(checkpoints):
    order = [(0, 0, 9), (0, 1, 2), (0, 11, 1), (1, 0, 0), (1, 0, 10)]
    for stage, epoch, step in order:
        path = checkpoints.save(checkpoint(step, epoch, stage))
        assert checkpoints.files()[0] == path
        loaded = checkpoints.load()
        assert (loaded.stage, loaded.epoch, loaded.step) == (stage, epoch, step)
    assert len(checkpoints.files()) == len(list(checkpoints.folder.iterdir())) == 2


@pytest.mark.parametrize("keep", [0, 1, 100, -1])
def test_a_newest_one_that_was_cut_short_falls_back(checkpoints, keep):
    checkpoints.save(checkpoint(1))
    path = checkpoints.save(checkpoint(2))
    path.write_bytes(path.read_bytes()[:keep])
    assert same(checkpoints.load(), checkpoint(1))


def test_whichever_byte_is_damaged_what_is_loaded_is_whole(checkpoints):
    old, new = checkpoint(1, fill=1), checkpoint(2, fill=2)
    checkpoints.save(old)
    path = checkpoints.save(new)
    image = path.read_bytes()
    rng, fallen = random.Random(0), 0
    for place in rng.sample(range(len(image)), 400):
        damaged = bytearray(image)
        damaged[place] ^= rng.randrange(1, 256)
        path.write_bytes(damaged)
        loaded = checkpoints.load()
        assert same(loaded, new) or same(loaded, old), place
        fallen += same(loaded, old)
    assert fallen > 100


def test_when_none_is_whole_there_is_none(checkpoints):
    for step in (1, 2):
        checkpoints.save(checkpoint(step)).write_bytes(b"no archive")
    assert checkpoints.load() is None


def test_code_in_a_checkpoint_is_not_run(checkpoints, tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    path = checkpoints.save(checkpoint())
    with path.open("wb") as file:
        np.savez(file, about=np.array([Evil()], dtype=object))
    assert checkpoints.load() is None
    assert not (tmp_path / "ran").exists()


def test_another_configuration_is_refused_and_the_difference_named(checkpoints):
    checkpoints.save(checkpoint())
    before = listing(checkpoints.folder)
    other = Checkpoints(checkpoints.folder, {**CONFIG, "seed": 4, "threads": 2})
    with pytest.raises(InputError) as caught:
        other.load()
    for part in ("seed was 3 and is now 4", "threads was None and is now 2", "force=True"):
        assert part in str(caught.value)
    assert "encoder" not in str(caught.value)
    assert listing(checkpoints.folder) == before
    assert other.identity != checkpoints.identity


def test_tuples_and_lists_are_one_configuration(checkpoints):
    checkpoints.save(checkpoint())
    again = Checkpoints(checkpoints.folder, {**CONFIG, "encoder": {"units": (4, 2)}})
    assert same(again.load(), checkpoint())
    assert again.identity == checkpoints.identity


def test_what_was_spent_before_an_interruption_counts(checkpoints):
    first, _ = checkpoints.spent()
    assert first > 0
    checkpoints.before = (100.0, 60.0)
    checkpoints.save(checkpoint())
    again = Checkpoints(checkpoints.folder, CONFIG)
    assert again.spent()[0] < 50
    again.load()
    clock, processor = again.before
    assert 100 < clock < 150
    assert 60 <= processor < 150
    assert again.spent()[0] > clock


def test_a_check_says_what_is_to_become_of_an_interrupted_run(tmp_path):
    output = tmp_path / "weights.h5"
    checkpoints = Checkpoints.beside(output, CONFIG)
    assert checkpoints.folder == tmp_path / "weights.h5.checkpoints"
    checkpoints.check(force=False, resume=False)
    checkpoints.save(checkpoint())
    with pytest.raises(InputError, match=r"interrupted run.*resume=True.*force=True"):
        checkpoints.check(force=False, resume=False)
    checkpoints.check(force=False, resume=True)
    checkpoints.check(force=True, resume=True)
    checkpoints.check(force=True, resume=False)
    assert len(checkpoints.files()) == 1
    checkpoints.clear()
    assert not checkpoints.folder.exists()
