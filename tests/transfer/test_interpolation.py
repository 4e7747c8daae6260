"""Weights between a frozen encoder and a fine-tuned one."""

from dataclasses import replace

import numpy as np
import pytest
from transfers import QUICK, source, task

from pretrain.engine.program import Programs
from tasks.errors import InputError
from transfer.candidates import candidates
from transfer.interpolation import ANCHOR
from transfer.plan import Plan, TransferConfig
from transfer.recipes import recipe
from transfer.run import transfer
from transfer.search import folds, search

SHARED = Programs(64)


def weights_of(recipe, given=None, **how):
    """All weights of the exported model that is trained by a recipe on 40 labels."""
    config = TransferConfig(recipe=recipe, labels=40, **how)
    done = transfer(task(), given or source("convnet"), config, programs=SHARED)
    return done, [w.numpy() for w in done.model.weights]


@pytest.mark.parametrize("changes", [{}, {"unfreeze": 1}, {"validation": 0.2}, {"gradual": True}])
def test_the_network_ends_at_a_share_of_the_way(changes):
    tuned = replace(QUICK, **changes)
    _, end = weights_of(tuned)
    _, start = weights_of(replace(tuned, solve=ANCHOR, epochs=0))
    done, between = weights_of(replace(tuned, interpolate=0.25))
    for first, last, found in zip(start, end, between, strict=True):
        np.testing.assert_array_equal(found, (0.75 * first + 0.25 * last).astype(np.float32))
    assert any(not np.array_equal(a, b) for a, b in zip(start, end, strict=True))
    assert done.result["recipe"]["interpolate"] == 0.25
    for share, whole in ((0.0, start), (1.0, end)):
        _, found = weights_of(replace(tuned, interpolate=share))
        assert all(np.array_equal(a, b) for a, b in zip(found, whole, strict=True))


def test_kept_blocks_alone_can_be_interpolated_too():
    config = TransferConfig(
        recipe=replace(QUICK, interpolate=0.5), labels=40, reuse=1, above="drop"
    )
    assert transfer(task(), source("convnet"), config, programs=SHARED).result["accuracy"] > 0.5


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"reuse": 1}, "--interpolate finds a last layer .* others reset there is something new"),
        ({"reuse": 0}, "--interpolate finds a last layer .* from scratch there is something new"),
        ({"head": "hidden"}, "leave --interpolate out"),
    ],
)
def test_what_was_not_learnt_before_has_no_beginning(how, says):
    with pytest.raises(InputError, match=says):
        weights_of(replace(QUICK, interpolate=0.5), **how)


@pytest.mark.parametrize("changes", [{"epochs": 0}, {"unfreeze": 0}])
def test_without_fine_tuning_there_is_no_end(changes):
    with pytest.raises(InputError, match="nothing would be fine-tuned: --"):
        replace(QUICK, interpolate=0.5, **changes)
    with pytest.raises(InputError, match=r"--interpolate must be from 0 to 1. Got 1.5"):
        replace(QUICK, interpolate=1.5)


def test_candidates_of_a_line_are_validated_as_if_each_were_trained_alone(monkeypatch):
    from transfer import fit as module

    given, on = source("convnet"), task()
    plan = Plan.make(on, given, TransferConfig(recipe=QUICK, labels=30))
    x, y = on.x[plan.rows], on.y[plan.rows].astype(np.int32)
    plain, *others = candidates(given.encoder, QUICK, 30)
    line = [plain, *(c for c in others if c.line == plain)]
    assert [c.recipe.interpolate for c in line] == [1.0, 0.25, 0.5, 0.75]
    assert len({c.name for c in line}) == 4
    fits, real = [], module.fit
    monkeypatch.setattr(module, "fit", lambda *a, **k: fits.append(1) or real(*a, **k))

    def tried(among):
        found = search(
            x, y, given, plan, outputs=3, seed=0, programs=SHARED, among=among, most_seconds=1e9
        )
        return found.tried

    together = tried(line)
    assert len(fits) == len(folds(y, 0)) == 5
    for row in together:
        (alone,) = tried([row.candidate])
        np.testing.assert_array_equal(row.right, alone.right)
        np.testing.assert_array_equal(row.loss, alone.loss)
    assert len({row.loss.mean() for row in together}) == 4


def test_a_recipe_that_interpolates_is_compared_with_its_own_line():
    own = replace(recipe("default"), interpolate=0.5)
    found = candidates(source("convnet").encoder, own, 200)
    assert found[0].recipe.interpolate == 0.5
    shares = [c.recipe.interpolate for c in found if c.line == found[0].line]
    assert sorted(shares) == [0.25, 0.5, 0.75, 1.0]
    assert all(c.recipe.interpolate == 1 for c in found if c.moves == 0)
    assert all(c.recipe.interpolate == 1 for c in found if c.arrangement.fresh(c.blocks))
