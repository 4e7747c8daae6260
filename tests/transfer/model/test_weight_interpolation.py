"""Weights between a frozen encoder and a fine-tuned one."""

from dataclasses import replace

import numpy as np
import pytest
from toys import Lines
from transfers import QUICK, source, task, transferred

from headstart.errors import InputError
from pretrain.engine.program import Programs
from pretrain.engine.session import Session
from transfer.config import TransferConfig
from transfer.data.folds import folds
from transfer.inference import predict_batched
from transfer.metrics.temperature import losses
from transfer.model.weight_interpolation import ANCHOR, WeightInterpolation
from transfer.numerics import class_probabilities
from transfer.plan import TransferPlan
from transfer.recipes import recipe
from transfer.selection.candidates import candidates
from transfer.selection.search import search
from transfer.training.fit import fit

SHARED = Programs(64)
SESSION = Session(programs=SHARED)


def weights_of(recipe, given=None, **how):
    """All weights of the exported model that is trained by a recipe on 40 labels."""
    config = TransferConfig(recipe=recipe, labels=40, **how)
    done = transferred(task(), given or source("convnet"), config, programs=SHARED)
    return done, [w.numpy() for w in done.model.weights]


@pytest.mark.parametrize("changes", [{}, {"unfreeze": 1}, {"validation": 0.2}, {"gradual": True}])
def test_the_network_ends_at_a_share_of_the_way(changes):
    tuned = replace(QUICK, **changes)
    _, end = weights_of(tuned)
    _, start = weights_of(replace(tuned, solve=ANCHOR, epochs=0, gradual=False))
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
    assert transferred(task(), source("convnet"), config, programs=SHARED).result["accuracy"] > 0.5


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"reuse": 1}, "others reset there is something new"),
        ({"reuse": 0}, "from scratch there is something new"),
        ({"head": "hidden"}, "hidden layer there is something new"),
    ],
)
def test_what_was_not_learnt_before_has_no_beginning(how, says):
    with pytest.raises(InputError, match=says) as caught:
        weights_of(replace(QUICK, interpolate=0.5), **how)
    assert (caught.value.argument, caught.value.value) == ("interpolate", 0.5)


@pytest.mark.parametrize("changes", [{"epochs": 0}, {"unfreeze": 0}])
def test_without_fine_tuning_there_is_no_end(changes):
    with pytest.raises(InputError, match="nothing would be fine-tuned: "):
        replace(QUICK, interpolate=0.5, **changes)
    with pytest.raises(InputError, match=r"interpolate must be from 0 to 1. Got 1.5"):
        replace(QUICK, interpolate=1.5)


def test_candidates_of_a_line_are_validated_as_if_each_were_trained_alone(monkeypatch):
    from transfer.selection import search as module

    given, on = source("convnet"), task()
    plan = TransferPlan.make(on, given, TransferConfig(recipe=QUICK, labels=30))
    x, y = on.x[plan.rows], on.y[plan.rows].astype(np.int32)
    plain, *others = candidates(given.encoder, QUICK, 30)
    line = [plain, *(c for c in others if c.line == plain)]
    assert [c.recipe.interpolate for c in line] == [1.0, 0.25, 0.5, 0.75]
    assert len({c.name for c in line}) == 4
    fits, real = [], module.fit
    monkeypatch.setattr(module, "fit", lambda *a, **k: fits.append(1) or real(*a, **k))

    def tried(among):
        found = search(x, y, plan.fit, SESSION, among=among, seconds=1e9)
        return found.tried

    together = tried(line)
    assert len(fits) == len(folds(y, 0)) == 5
    for row in together:
        (alone,) = tried([row.candidate])
        np.testing.assert_array_equal(row.correct, alone.correct)
        np.testing.assert_array_equal(row.loss, alone.loss)
    assert len({row.loss.mean() for row in together}) == 4


def test_a_recipe_that_interpolates_is_compared_with_its_own_line():
    own = replace(recipe("default"), interpolate=0.5)
    found = candidates(source("convnet").encoder, own, 200)
    assert found[0].recipe.interpolate == 0.5
    shares = [c.recipe.interpolate for c in found if c.line == found[0].line]
    assert sorted(shares) == [0.25, 0.5, 0.75, 1.0]
    assert all(c.recipe.interpolate == 1 for c in found if c.moves == 0)
    assert all(c.recipe.interpolate == 1 for c in found if c.architecture.fresh(c.blocks))


class Slope:
    """A body of one weight; what it costs at each place is given."""

    def __init__(self, losses):
        self.losses, self.at = losses, None

    def put(self, values):
        (self.at,) = values

    def line(self):
        start, end = ([np.array(value)] for value in (0.0, 1.0))
        return WeightInterpolation(self, start, end, lambda: self.losses[float(self.at)])


@pytest.mark.parametrize(("between", "ends_at"), [(0.3, 0.5), (0.5, 0.5), (0.6, 1.0)])
def test_behind_a_barrier_the_end_is_taken(between, ends_at):
    body = Slope({0.0: 0.9, 0.5: between, 1.0: 0.1})
    line = body.line()
    line.apply(0.5)
    assert body.at == line.alpha == ends_at
    for share in (0.0, 1.0):  # the ends are where they are, whatever lies between
        line.apply(share)
        assert body.at == line.alpha == share


def test_a_loss_that_is_no_number_is_a_barrier():
    line = Slope({0.0: 0.9, 0.5: float("nan"), 1.0: 0.1}).line()
    line.apply(0.5)
    assert line.alpha == 1


@pytest.mark.parametrize("count", [2, 3])
def test_the_loss_on_the_line_is_that_of_the_labels(count):
    on = task(classes=count)
    given, config = source("convnet"), TransferConfig(recipe=QUICK, labels=40)
    plan = TransferPlan.make(on, given, config)
    half = replace(plan.fit, recipe=replace(QUICK, interpolate=0.5))
    x, y = on.x[plan.rows], on.y[plan.rows].astype(np.int32)
    done = fit(x, y, half, SESSION)
    for share in (0.0, 0.5, 1.0):
        done.line.apply(share)
        logits = predict_batched(done.models, x)
        told = losses(class_probabilities(logits), y)
        assert done.line.loss() == pytest.approx(told.mean(), rel=1e-4)


def test_a_barrier_is_said_and_the_fine_tuned_weights_are_kept(monkeypatch):
    _, end = weights_of(QUICK)
    heard, said = iter([0.2, 0.1, 0.16]), Lines()
    monkeypatch.setattr("transfer.training.schedule.Stages._loss", lambda stages: next(heard))
    config = TransferConfig(recipe=replace(QUICK, interpolate=0.5), labels=40)
    done = transferred(task(), source("convnet"), config, programs=SHARED, reporter=said)
    assert all(np.array_equal(w, v) for w, v in zip(done.model.get_weights(), end, strict=True))
    assert done.result["interpolated"] == 1
    assert done.result["recipe"]["interpolate"] == 0.5
    assert any("the fine-tuned weights are kept" in line for line in said.said)
    assert "interpolated" not in weights_of(QUICK)[0].result
