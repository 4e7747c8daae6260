"""The choice of random views by cross-validation inside the labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax
from transfers import QUICK, source, task, transferred

from headstart.errors import InputError
from pretrain.engine.program import Programs
from transfer.config import TransferConfig
from transfer.selection.views import LEAST, best_views, views_to_try

SHARED = Programs()


def said(y, sure, *, wrong=(), repeats=2):
    """Distributions (R, N, 3) that give the true class ``sure``, and another where they are wrong."""
    p = np.full((len(y), 3), (1 - sure) / 2)
    p[np.arange(len(y)), y] = sure
    p[list(wrong)] = np.roll(p[list(wrong)], 1, axis=1)
    return np.stack([p] * repeats)


Y = np.arange(30) % 3


def test_views_that_are_right_more_often_are_taken():
    plain, turned = said(Y, 0.8, wrong=range(10)), said(Y, 0.8, wrong=range(2))
    chosen, _, tried = best_views({"none": plain, "digits": turned}, Y)
    assert chosen == "digits"
    assert [row["accuracy"] for row in tried] == [pytest.approx(20 / 30), pytest.approx(28 / 30)]
    # The losses are those of the best temperature, found here by trying many.
    logits = np.log(np.clip(turned[0], LEAST, 1))
    rows = np.arange(len(Y))
    best = min(
        -np.log(softmax(logits / t, axis=1)[rows, Y]).mean() for t in np.geomspace(0.2, 20, 400)
    )
    assert tried[1]["loss"] == pytest.approx(best, abs=1e-3)


@pytest.mark.parametrize(
    ("plain", "turned"),
    [
        (said(Y, 0.8, wrong=range(4)), said(Y, 0.8, wrong=range(4))),
        (said(Y, 0.8, wrong=range(4)), said(Y, 0.8, wrong=range(3))),  # one example is not enough
        (said(Y, 0.8, wrong=range(2)), said(Y, 0.8, wrong=range(10))),
    ],
)
def test_views_that_are_not_shown_to_help_are_left_alone(plain, turned):
    assert best_views({"none": plain, "digits": turned}, Y)[0] == "none"


def test_of_several_the_one_with_the_lowest_loss_is_taken():
    parts = {
        "none": said(Y, 0.8, wrong=range(12)),
        "objects": said(Y, 0.8, wrong=range(6)),
        "digits": said(Y, 0.8, wrong=range(1)),
    }
    assert best_views(parts, Y)[0] == "digits"


def test_what_is_tried_follows_from_what_the_examples_show():
    shape = task().input_shape
    assert views_to_try(replace(task(), kind="digits"), shape) == ("none", "digits")
    assert views_to_try(replace(task(), kind=None), shape) == ("none", "objects", "digits")
    assert views_to_try(replace(task(), kind=None), (8,)) == ("none", "vectors")


def test_the_choice_is_told_and_trains_as_the_recipe_that_it_names(monkeypatch):
    given = source("convnet")
    named = {name: replace(QUICK, augment=name) for name in ("none", "digits")}
    for wanted in named:
        monkeypatch.setattr(
            "transfer.selection.views.best_views", lambda said, y, w=wanted: (w, "told", [])
        )
        config = TransferConfig(recipe=QUICK, augment="auto", labels=40)
        done = transferred(task(), given, config, programs=SHARED).result
        assert (done["views"]["chosen"], done["views"]["repeats"]) == (wanted, 2)
        plain = TransferConfig(recipe=named[wanted], labels=40)
        assert done["digest"] == transferred(task(), given, plain, programs=SHARED).result["digest"]


def test_the_choice_itself_runs_and_repeats():
    given = source("convnet")
    config = TransferConfig(recipe=QUICK, augment="auto", labels=40)
    first, again = (transferred(task(), given, config, programs=SHARED).result for _ in range(2))
    tables = [{k: v for k, v in r["views"].items() if k != "seconds"} for r in (first, again)]
    assert tables[0] == tables[1]
    assert first["digest"] == again["digest"]
    assert {row["views"] for row in first["views"]["tried"]} == set(
        views_to_try(task(), given.encoder["input_shape"])
    )
    assert all(0 <= row["accuracy"] <= 1 and row["loss"] > 0 for row in first["views"]["tried"])


def test_one_label_a_class_leaves_the_examples_as_they_are():
    labels = TransferConfig(recipe=QUICK, augment="auto", labels=task().n_classes)
    done = transferred(task(), source("convnet"), labels, programs=SHARED).result
    assert done["views"]["chosen"] == "none"
    assert done["views"]["tried"] == []


def test_a_choice_for_heads_that_train_nothing_is_refused():
    with pytest.raises(InputError) as caught:
        transferred(task(), source("convnet"), TransferConfig(augment="auto", head="ridge"))
    assert caught.value.argument == "augment"
