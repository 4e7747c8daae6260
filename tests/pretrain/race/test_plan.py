"""What a race refuses, before anything is trained."""

from dataclasses import replace

import pytest
from toys import listing, patterns

from headstart.errors import InputError
from pretrain.config import PretrainConfig
from pretrain.engine.session import Session
from pretrain.plan import PretrainPlan
from pretrain.race.plan import MINUTES, RacePlan

CONFIG = PretrainConfig(strategy="auto", minutes=1)
POOL = patterns(60, labelled=False)


@pytest.mark.parametrize(
    ("given", "argument"),
    [
        ({"options": {"temperature": "0.1"}}, "options"),
        ({"epochs": 3}, "epochs"),
        ({"keep_best": "probe"}, "keep_best"),
        ({"probe_every": 2}, "probe_every"),
        ({"minutes": 0}, "minutes"),
        ({"minutes": -1.0}, "minutes"),
        ({"encoder": "convnett"}, "encoder"),
    ],
)
def test_contradictions(given, argument):
    with pytest.raises(InputError) as caught:
        RacePlan.resolve(POOL, replace(CONFIG, **given))
    assert caught.value.argument == argument


def test_minutes_are_of_a_race_alone():
    with pytest.raises(InputError) as caught:
        PretrainPlan.resolve(POOL, replace(CONFIG, strategy="simclr"))
    assert (caught.value.argument, caught.value.value) == ("minutes", 1)
    assert RacePlan.resolve(POOL, replace(CONFIG, minutes=None)).minutes == MINUTES


def test_a_race_is_no_strategy_and_near_names_know_it():
    with pytest.raises(InputError) as caught:
        PretrainPlan.resolve(POOL, replace(CONFIG, minutes=None))
    assert (caught.value.argument, caught.value.value) == ("strategy", "auto")
    with pytest.raises(InputError, match="'auto'"):
        PretrainPlan.resolve(POOL, replace(CONFIG, strategy="aut", minutes=None))


def test_labels_that_the_pool_has_too_cannot_judge_what_learns_them():
    pool = patterns(60)
    shared = RacePlan.resolve(pool, CONFIG, probe=pool)
    assert "supervised" in shared.candidates.left_out
    apart = RacePlan.resolve(pool, CONFIG, probe=patterns(60, seed=7))
    assert "supervised" in apart.candidates.plans
    alone = RacePlan.resolve(pool, CONFIG)
    assert "supervised" in alone.candidates.left_out


def test_a_probe_that_does_not_fit_is_refused():
    for probe in (patterns(60, labelled=False), patterns(60, size=9)):
        with pytest.raises(InputError) as caught:
            RacePlan.resolve(POOL, CONFIG, probe=probe)
        assert caught.value.argument == "probe"


def test_outputs_that_exist_are_left_as_they_are(tmp_path):
    out = tmp_path / "w.h5"
    out.write_text("mine")
    before = listing(tmp_path)
    with pytest.raises(InputError, match="exists already"):
        RacePlan.make(POOL, CONFIG, out=out, session=Session())
    assert listing(tmp_path) == before


def test_the_interrupted_run_of_another_strategy_is_neither_resumed_nor_dropped(tmp_path):
    out = tmp_path / "w.h5"
    folder = tmp_path / "w.h5.checkpoints"
    folder.mkdir()
    (folder / "checkpoint-000-000001-00000001.npz").write_bytes(b"")
    for resume in (False, True):
        with pytest.raises(InputError):
            RacePlan.make(POOL, CONFIG, out=out, session=Session(resume=resume))
    assert [path.name for path in folder.iterdir()] == ["checkpoint-000-000001-00000001.npz"]
