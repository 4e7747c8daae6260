"""The reuse search: candidates, the race, and that it is honest and reproducible."""

import json
from dataclasses import replace

import numpy as np
import pytest
from toys import Lines
from transfers import QUICK, planned, source, task, transferred

from headstart.errors import InputError, Interrupted
from pretrain.engine.checkpoint import Checkpoints
from pretrain.engine.program import Programs
from pretrain.engine.progress import Reporter
from pretrain.engine.session import Session
from transfer.architecture import TransferArchitecture
from transfer.commands.console import search_rows
from transfer.config import TransferConfig
from transfer.data.folds import folds
from transfer.plan import TransferPlan
from transfer.recipes import recipe
from transfer.selection.candidates import candidates, fresh_candidates
from transfer.selection.search import search

SHORT = replace(QUICK, freeze_epochs=2, epochs=2, scratch_epochs=2)
PROGRAMS = Programs(64)


def searched(on, given, *, labels=30, rows=None, recipe=SHORT, **how):
    rows = None if rows is None else tuple(map(int, rows))
    config = TransferConfig(recipe=recipe, labels=None if rows else labels, rows=rows)
    plan = TransferPlan.make(on, given, config)
    session = Session(programs=PROGRAMS, reporter=how.pop("reporter", Reporter()))
    return search(on.x[plan.rows], on.y[plan.rows].astype(np.int32), plan.fit, session, **how)


def test_there_are_enough_candidates_and_the_plain_transfer_is_the_first():
    for name in ("mlp", "convnet"):
        encoder = source(name).encoder
        found = candidates(encoder, recipe("default"), 200)
        assert len({c.name for c in found}) == len(found) >= 19
        assert found[0].recipe == recipe("default")
        assert found[0].architecture == TransferArchitecture(reuse=3)
        for candidate in found:
            candidate.architecture.check(encoder)
    large = source("convnet").encoder | {
        "input_shape": [28, 28, 1],
        "options": {**source("convnet").encoder["options"], "filters": [4, 8, 16]},
    }
    assert len(candidates(large, recipe("default"), 200)) >= 24


def test_a_recipe_that_trains_no_encoder_has_frozen_candidates_alone_and_each_once():
    encoder = source("convnet").encoder
    found = candidates(encoder, recipe("linear-probe"), 200)
    assert len({c.name for c in found}) == len(found) == 1 + 3 * 3
    assert {c.moves for c in found} == {0}


def test_candidates_change_only_what_the_recipe_leaves_open():
    encoder = source("convnet").encoder
    usual = candidates(encoder, recipe("default"), 200)
    found = candidates(encoder, replace(recipe("default"), find=True), 200)
    assert len(found) == len(usual) - 2  # no rates beside the one that is looked for
    assert found[0].summary.endswith("at the rate found")
    solved = candidates(encoder, replace(recipe("default"), solve=1.0), 200)
    assert all(c.recipe.solve is None for c in solved if c.architecture.fresh(c.blocks))
    still = candidates(encoder, replace(recipe("default"), unfreeze=0), 200)
    assert {c.moves for c in still} == {0}


def test_one_label_cannot_be_searched_on():
    with pytest.raises(InputError, match=r"at least two labelled examples\. Got 1\. Choose reuse"):
        folds(np.zeros(1, int), 0)


def test_from_scratch_rates_and_lengths_are_searched():
    encoder = source("convnet").encoder
    found = fresh_candidates(encoder, recipe("default"), 50)
    assert len({c.name for c in found}) == len(found) == 6
    assert all(c.architecture.reuse == 0 for c in found)
    own = recipe("default").for_budget(50)
    assert found[0].recipe.for_budget(50) == own
    assert {c.recipe.for_budget(50).scratch_epochs for c in found} == {
        own.scratch_epochs,
        2 * own.scratch_epochs,
    }
    fresh, on = replace(source("convnet"), tensors=None), task()
    config = TransferConfig(recipe=SHORT, labels=30, reuse="auto", search_seconds=1e9)
    done = transferred(on, fresh, config, programs=PROGRAMS).result
    assert len(done["search"]["tried"]) == 6
    assert done["search"]["complete"]
    assert "epochs at" in done["search"]["chosen"]
    by_hand = replace(
        SHORT, **{k: v for k, v in done["search"]["recipe"].items() if k.startswith("scratch")}
    )
    config = TransferConfig(recipe=by_hand, labels=30, reuse=0)
    assert transferred(on, fresh, config).result["digest"] == done["digest"]


@pytest.mark.slow
def test_the_choice_trains_to_the_same_bits_as_its_options_given_by_hand():
    given, on = source("convnet"), task()
    config = TransferConfig(recipe=SHORT, labels=30, reuse="auto", search_seconds=1e9)
    done = transferred(on, given, config, programs=PROGRAMS)
    again = transferred(on, given, config, programs=Programs(64))
    assert again.result["digest"] == done.result["digest"]
    found = done.result["search"]
    assert json.loads(json.dumps(found)) == found
    chosen = TransferArchitecture(**found["arrangement"])
    by_hand = TransferConfig(
        recipe=replace(SHORT, **{**found["recipe"], "optimizer": SHORT.optimizer}),
        labels=30,
        reuse=chosen.reuse,
        above=chosen.above,
    )
    assert transferred(on, given, by_hand).result["digest"] == done.result["digest"]
    assert found["complete"]
    seen = [row["validated"] for row in found["tried"]]
    assert set(seen) <= {0, 6, 12, 18, 24, 30}
    assert seen[0] == 30  # the plain transfer, whatever else is stopped
    short = [row["short_run"] for row in found["tried"]]
    both = list(zip(short, seen, strict=True))
    assert all(s is not None and s["validated"] == 6 for s, n in both if n < 30)
    assert sum(s is not None and n > 0 for s, n in both) <= 2
    assert done.result["reuse"] == chosen.reuse
    rows = search_rows(found)
    assert len(rows) == len(seen)
    assert sum("(chosen)" in row[1] for row in rows) == 1


def test_the_best_of_the_short_runs_are_validated_where_they_could_win():
    on = task()
    y = np.random.default_rng(3).permutation(on.y)  # nothing can be told: the line leaves all room
    found = searched(replace(on, y=y), source("convnet"))
    whole = [row for row in found.tried if row.short and not np.isnan(row.correct).all()]
    assert 1 <= len(whole) <= 2
    left_out = [row for row in found.tried if row.short and np.isnan(row.correct).all()]
    assert max(row.short[0] for row in left_out) <= min(row.short[0] for row in whole)


@pytest.mark.slow
def test_the_test_part_and_other_labels_are_never_looked_at():
    given, on = source(), task()
    rows = TransferPlan.make(on, given, TransferConfig(recipe=SHORT, labels=30)).rows
    rest = np.setdiff1d(np.arange(len(on.x)), rows)
    y = on.y.copy()
    y[rest] = (y[rest] + 1) % 3
    other = replace(on, y=y, x_test=255 - on.x_test, y_test=on.y_test[::-1].copy())
    config = TransferConfig(
        recipe=SHORT, rows=tuple(rows.tolist()), reuse="auto", search_seconds=1e9
    )
    first, second = (
        transferred(t, given, config, programs=PROGRAMS).result["search"] for t in (on, other)
    )
    for found in (first, second):
        for row in [found, *found["tried"]]:
            row.pop("seconds")
    assert first == second


def test_of_one_label_a_class_nothing_is_validated_and_the_plain_transfer_remains():
    on = task()
    rows = [int(np.flatnonzero(on.y == k)[0]) for k in range(3)]
    found = searched(on, source(), rows=rows)
    assert (found.chosen, found.runner_up) == (0, None)
    assert "no class has two labels" in found.reason
    assert len(search_rows(found.to_json())) == len(found.tried)
    assert all(row.seconds == 0 for row in found.tried)


def test_the_only_label_of_a_class_is_not_judged():
    on = task()
    alone = np.flatnonzero(on.y == 2)[:1]
    rows = np.concatenate([np.flatnonzero(on.y == 0)[:9], alone, np.flatnonzero(on.y == 1)[:9]])
    found = searched(on, source("convnet"), rows=rows)
    assert found.tried[0].to_json()["validated"] == 18
    assert set(found.tried[0].y) == {0, 1}
    assert all(row.complete or len(row.y) == 18 for row in found.tried)


def test_time_that_is_up_is_said_and_the_plain_transfer_remains():
    found = searched(task(), source(), seconds=1e-9)
    assert not found.complete
    assert found.candidate.architecture == TransferArchitecture(reuse=3)
    assert "time" in found.reason
    assert found.to_json()["tried"][0]["accuracy"] is None


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_an_interrupted_run_keeps_its_choice(tmp_path, monkeypatch, share):
    from toys import StopAt

    import transfer.selection.search as module

    given, on = source(), task()
    config = TransferConfig(
        recipe=replace(SHORT, epochs=40), labels=30, reuse="auto", search_seconds=1e9
    )

    def checkpoints():
        return Checkpoints.beside(tmp_path / "model.keras", planned(on, given, config).identity())

    found = candidates(given.encoder, config.recipe, 30)
    picked = next(c for c in found if c.moves and c.recipe.interpolate == share)
    find = module.search
    monkeypatch.setattr(module, "search", lambda *a, **how: find(*a, **how, among=[picked]))
    whole = transferred(on, given, config).result
    with pytest.raises(Interrupted):
        transferred(on, given, config, checkpoints=checkpoints(), reporter=StopAt(20, stage=2))
    monkeypatch.setattr(module, "search", None)
    resumed = transferred(on, given, config, checkpoints=checkpoints(), resume=True).result
    assert resumed["digest"] == whole["digest"]
    assert resumed["search"]["chosen"] == picked.name


def test_a_depth_that_is_plainly_better_is_found():
    """The upper blocks of this source were spoiled: they make one number of everything."""
    given, on = source(), task()
    tensors = {p: t * (0 if p.startswith("block3") else 1) for p, t in given.tensors.items()}
    heard = Lines()
    frozen = replace(SHORT, epochs=0, freeze_epochs=60, learning_rate=1e-12)
    found = searched(on, replace(given, tensors=tensors), recipe=frozen, reporter=heard)
    assert found.candidate.architecture.reuse < 3
    assert found.tried[found.chosen].correct.mean() > 0.9


@pytest.mark.parametrize("balance", [False, True])
def test_folds_are_trained_on_with_the_shares_of_all_labels(monkeypatch, balance):
    import transfer.selection.search as module

    seen, fit = [], module.fit

    def watched(x, y, *more, weights=None, **how):
        seen.append(None if weights is None else np.bincount(y, weights))
        return fit(x, y, *more, weights=weights, **how)

    monkeypatch.setattr(module, "fit", watched)
    on, given = task(), source()
    frozen = replace(SHORT, epochs=0, balance=balance)
    cheap = [c for c in candidates(given.encoder, frozen, 6) if c.cheap][:2]
    searched(on, given, labels=6, recipe=frozen, among=cheap)
    assert seen
    if balance:
        assert seen == [None] * len(seen)
    else:
        assert all(np.allclose(sums, sums[0]) for sums in seen)
