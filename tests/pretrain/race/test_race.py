"""A race: what it tries, what it keeps, and that its winner can be made again."""

import json
from dataclasses import replace

import numpy as np
import pytest
from kills import POINTS, Killed, kill_at
from toys import Lines, patterns

from headstart.errors import HeadstartError, InputError, Interrupted, NonFiniteError
from headstart.options import arguments
from pretrain.config import PretrainConfig
from pretrain.engine.session import Session
from pretrain.plan import PretrainPlan
from pretrain.race.plan import RacePlan
from pretrain.race.run import NO_TIME, Trial, command, race, survivors
from pretrain.run import pretrain
from pretrain.weights.file import WeightsFile

CONFIG = PretrainConfig(
    strategy="auto",
    minutes=0.2,
    encoder="convnet",
    encoder_options={"filters": [4], "features": 6},
    validation=0.2,
)
POOL = patterns(60, labelled=False)
FIRST, SECOND = "autoencoder", "masked-autoencoder"


class Clock:
    """A clock that goes on by a twentieth of a second whenever it is looked at."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 0.05
        return self.now


@pytest.fixture(autouse=True)
def short_list(monkeypatch):
    """Let two quick strategies come first: in so short a time no others race."""
    order = (FIRST, SECOND, "supervised", "rbm", "rotation", "gan")
    monkeypatch.setattr("pretrain.race.candidates.IMAGES", order)


def raced(config=CONFIG, pool=POOL, out=None, *, probe=None, **session):
    session = Session(**session)
    plan = RacePlan.make(pool, config, probe=probe, out=out, session=session, clock=Clock())
    return race(plan, session)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A race that was not interrupted: its folder and its result."""
    folder = tmp_path_factory.mktemp("race")
    with pytest.MonkeyPatch.context() as patch:
        short_list.__wrapped__(patch)
        lines = Lines()
        return folder, raced(out=folder / "w.h5", reporter=lines), lines


def test_the_best_of_all_that_were_tried_is_trained_anew(finished):
    folder, done, lines = finished
    record = done.weights.metadata["race"]
    assert WeightsFile.read(folder / "w.h5").metadata["race"] == record
    assert [(t["rung"], t["strategy"]) for t in record["trials"]] == [(1, FIRST), (1, SECOND)]
    best = max(record["trials"], key=lambda trial: trial["score"])
    assert record["strategy"] == best["strategy"] == done.weights.metadata["strategy"]
    assert all(trial["updates"] > 1 and trial["failed"] is None for trial in record["trials"])
    assert record["epochs"] > best["epochs"]
    assert record["labels_used"] is False
    assert record["measure"]["labels"] == 0
    assert set(record["left_out"]) == {"supervised", "rbm", "patch-dictionary"}
    assert done.to_json()["race"] == record
    assert json.dumps(record)
    assert any(FIRST in line and SECOND in line for line in lines.said)
    # Nothing but the weights and their companions is left.
    assert {path.name for path in folder.iterdir() if path.is_dir()} == set()


def test_a_plain_run_gives_the_winners_bits(finished, tmp_path):
    _, done, _ = finished
    record = done.weights.metadata["race"]
    config = replace(CONFIG, strategy=record["strategy"], epochs=record["epochs"], minutes=None)
    assert record["command"].split()[:4] == ["pretrain", "--data", "patterns", "--strategy"]
    assert record["command"].endswith(" ".join(arguments(config)[4:]))
    assert command("patterns", config, 2).endswith(" --threads 2")
    session = Session()
    plain = pretrain(
        PretrainPlan.make(POOL, config, out=tmp_path / "p.h5", session=session), session
    )
    assert plain.weights.digest == record["digest"]
    for name, tensor in plain.weights.tensors.items():
        assert tensor.tobytes() == done.weights.tensors[name].tobytes()


def killed(tmp_path, monkeypatch, point, **which):
    """Kill a race at a write, and return its folder as that left it."""
    folder, copy = tmp_path / "before", tmp_path / "after"
    folder.mkdir()
    with monkeypatch.context() as patch:
        kill_at(patch, point, folder, copy, **which)
        with pytest.raises(Killed):
            raced(out=folder / "w.h5")
    return copy


@pytest.mark.slow
@pytest.mark.parametrize(
    ("point", "file", "number"),
    [
        (POINTS[0], "race.json", 1),
        (POINTS[2], "race.json", 1),
        (POINTS[2], "race.json", 2),
        (POINTS[2], "race.json", 3),
        (POINTS[0], "w.h5", 1),
        (POINTS[2], "w.h5", 1),
        (POINTS[2], "w.h5", 2),
    ],
)
def test_killed_and_resumed_it_goes_on_with_what_it_had_decided(
    finished, tmp_path, monkeypatch, point, file, number
):
    copy = killed(tmp_path, monkeypatch, point, matching=file, number=number)
    note = copy / "w.h5.race" / "race.json"
    known = {"trials": [], "final": None}
    if note.exists():
        known = json.loads(note.read_text())["note"]
        with pytest.raises(InputError) as caught:  # it lies there, and nothing was chosen for it
            raced(out=copy / "w.h5")
        assert "force=True" in caught.value.hint
    done = raced(out=copy / "w.h5", resume=True)
    record = done.weights.metadata["race"]
    assert record["trials"][: len(known["trials"])] == known["trials"]
    assert {t["strategy"] for t in record["trials"]} == {FIRST, SECOND}
    if known["final"] is not None:
        assert {name: record[name] for name in known["final"]} == known["final"]
        first = finished[1].weights
        assert record["digest"] == first.metadata["race"]["digest"]
        assert all((t == first.tensors[n]).all() for n, t in done.weights.tensors.items())
    assert not note.exists()
    # And once more: it is over.
    again = raced(out=copy / "w.h5", resume=True)
    assert (again.resumed_from, again.weights.digest) == ("the end", done.weights.digest)


@pytest.mark.slow
def test_another_races_decisions_are_not_taken_up(tmp_path, monkeypatch):
    copy = killed(tmp_path, monkeypatch, POINTS[2], matching="race.json")
    with pytest.raises(InputError, match="minutes"):
        raced(replace(CONFIG, minutes=0.3), out=copy / "w.h5", resume=True)
    record = raced(replace(CONFIG, minutes=0.3), out=copy / "w.h5", force=True)
    assert record.weights.metadata["race"]["minutes"] == 0.3


@pytest.mark.slow
def test_a_strategy_that_fails_is_out_and_all_of_them_end_the_race(monkeypatch):
    real = pretrain

    def failing(names):
        def run(plan, session):
            if plan.row.name in names:
                raise NonFiniteError("Training became non-finite.")
            return real(plan, session)

        return run

    monkeypatch.setattr("pretrain.race.run.pretrain", failing({FIRST}))
    record = raced().weights.metadata["race"]
    failed, good = record["trials"]
    assert (failed["score"], failed["failed"]) == (None, "Training became non-finite.")
    assert record["strategy"] == good["strategy"] == SECOND
    monkeypatch.setattr("pretrain.race.run.pretrain", failing({FIRST, SECOND}))
    with pytest.raises(HeadstartError, match=f"{FIRST}: Training became.*{SECOND}: Training"):
        raced()


@pytest.mark.slow
def test_behind_time_the_race_goes_on_with_what_it_knows(monkeypatch):
    monkeypatch.setattr("pretrain.race.run.LEAST_FINAL", 0.99)
    record = raced().weights.metadata["race"]
    first, second = record["trials"]
    assert (first["score"] is None, second["failed"]) == (False, NO_TIME)
    assert record["strategy"] == FIRST


def test_ctrl_c_says_how_to_go_on(tmp_path, monkeypatch):
    def run(plan, session):
        raise Interrupted("Interrupted in epoch 1.", hint="Nothing was written.")

    monkeypatch.setattr("pretrain.race.run.pretrain", run)
    with pytest.raises(Interrupted) as caught:
        raced(out=tmp_path / "w.h5")
    assert "resume=True" in caught.value.hint
    with pytest.raises(Interrupted) as caught:
        raced()
    assert caught.value.hint == "Nothing was written."


@pytest.mark.slow
def test_labels_of_a_probe_choose_and_the_test_part_is_never_seen():
    judge = patterns(45, seed=5)
    plain = raced(probe=judge).weights
    about = plain.metadata["race"]["measure"]
    assert (about["labels"], about["data"]) == (45, "patterns")
    assert all(0 <= trial["score"] <= 1 for trial in plain.metadata["race"]["trials"])
    # An example of the test part that is looked at would be an error: it has another shape.
    wrong = np.full((3, 2, 2, 1), 9, np.uint8)
    sealed = replace(POOL)
    object.__setattr__(sealed, "x_test", wrong)
    seen = raced(pool=sealed, probe=judge).weights
    assert seen.metadata["race"]["trials"] == plain.metadata["race"]["trials"]


def test_equally_good_by_the_labels_is_decided_by_the_views():
    def trial(name, score, tie=0.0):
        made = {"rung": 1, "strategy": name, "epochs": 1, "updates": 1, "seconds": 1.0}
        return Trial(**made, score=score, tie=tie)

    trials = [trial("a", 0.80, 0.1), trial("b", 0.82, 0.2), trial("c", 0.75, 0.9), trial("d", None)]
    assert survivors(trials, 2, margin=0.0) == ["b", "a"]
    assert survivors(trials, 3, margin=0.03) == ["b", "a", "c"]
    trials[0] = trial("a", 0.80, 0.3)
    assert survivors(trials, 3, margin=0.03) == ["a", "b", "c"]
    # Of equals the earlier goes on.
    assert survivors([trial("a", 0.5), trial("b", 0.5)], 1, margin=0.0) == ["a"]


def test_a_single_candidate_gets_all_the_time():
    config = replace(CONFIG, encoder="patches", encoder_options={"words": 6, "grid": 2})
    record = raced(config).weights.metadata["race"]
    assert (record["trials"], record["strategy"]) == ([], "patch-dictionary")
    assert record["epochs"] > 1
