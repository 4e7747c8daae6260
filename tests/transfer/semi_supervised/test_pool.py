"""A pool at transfer time: what is left out, what is learnt from it, and when it is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from toys import StopAt, patterns
from transfers import QUICK, planned, source, task, transferred, weights

from headstart.errors import InputError, Interrupted
from pretrain.engine.program import Programs
from transfer.cli import cli
from transfer.config import TransferConfig
from transfer.semi_supervised.selection import CONSISTENCY, PLAIN, SELF, SPREAD, choose
from transfer.semi_supervised.self_training import (
    confidence,
    soft_labels,
    student_examples,
    student_recipe,
)
from transfer.semi_supervised.unlabelled import UnlabelledSet

SHARED = Programs()


@pytest.fixture
def short(short_pool_training):
    """Trainings cut short."""


def pool(of=None, on=None, rows=(0, 1, 2), **how):
    on = on or task()
    given = source()
    of = of or patterns(60, labelled=False, seed=5)
    fit = planned(on, given, TransferConfig(recipe=QUICK, seed=how.pop("seed", 0))).fit
    return UnlabelledSet.make(of, on, np.array(rows), fit, **how)


def test_test_examples_near_ones_and_labelled_ones_are_left_out():
    on = task(size=16)
    shifted = np.roll(on.x_test[:4], 1, axis=2)
    fresh = patterns(20, size=16, seed=8).x
    mixed = np.concatenate([on.x_test[4:9], shifted, on.x[:3], fresh])
    of = replace(patterns(size=16, labelled=False), x=mixed)
    given = source("convnet", shape=(16, 16, 1))
    fit = planned(on, given, TransferConfig(recipe=QUICK)).fit
    made = UnlabelledSet.make(of, on, np.arange(3), fit)
    assert made.left_out == {"test": 5, "nearly_test": 4, "labelled": 3, "not_drawn": 0}
    assert np.array_equal(made.x, fresh)
    assert "5 test examples, 4 of the drawn that nearly are, 3 labelled" in made.describe()


def test_the_draw_is_the_seeds_and_labels_are_not_looked_at():
    first, again = pool(size=20, seed=3), pool(patterns(60, seed=5), size=20, seed=3)
    assert len(first.x) == 20
    assert np.array_equal(first.x, again.x)
    assert not np.array_equal(first.x, pool(size=20, seed=4).x)


def test_a_pool_of_nothing_new_or_of_another_kind_is_refused():
    on = task()
    with pytest.raises(InputError, match="neither a test nor a labelled"):
        pool(replace(patterns(labelled=False), x=on.x_test))
    with pytest.raises(InputError, match="A table cannot"):
        pool(replace(patterns(labelled=False), x=on.x.reshape(len(on.x), -1)))
    with pytest.raises(InputError, match="self-training"):
        pool(method="self-trainin")


def test_soft_labels_and_their_weights():
    logits = np.array([[4.0, 0, 0], [0, 0, 0]], np.float32)
    warm = soft_labels(logits, 4.0)
    assert warm[0] == pytest.approx(np.array([np.e, 1, 1]) / (np.e + 2), rel=1e-5)
    sure = confidence(np.array([[1, 0, 0], [1 / 3] * 3, [0, 0, 0], [0.5, 0.5, 0]]))
    assert sure == pytest.approx([1, 0, 0, 1 - np.log(2) / np.log(3)], abs=1e-6)
    x, y = np.arange(4.0).reshape(2, 2), np.array([2, 0])
    soft = np.tile([[0.5, 0.5, 0]], (12, 1))
    xs, ys, w = student_examples(x, y, np.zeros((12, 2)), soft)
    assert len(xs) == 2 * 2 + 12
    assert np.array_equal(xs[2:4], x)
    assert np.array_equal(ys[:2], [[0, 0, 1], [1, 0, 0]])
    assert w[:4].tolist() == [1] * 4
    assert w[4:] == pytest.approx(np.full(12, sure[3]))


def test_a_student_makes_a_bounded_number_of_updates_and_keeps_what_is_off():
    made = student_recipe(replace(QUICK, validation=0.2), 6400)
    assert (made.freeze_epochs, made.epochs, made.validation) == (2, 2, 0)
    assert student_recipe(replace(QUICK, epochs=0), 6400).epochs == 0


def answers(right, sure=0.9):
    """Distributions over two classes of examples whose class is 0."""
    p = np.where(np.array(right, float) > 0, sure, 1 - sure)
    return np.stack([p, 1 - p], axis=1)


Y = np.zeros(100, int)
HALF = [1, 0] * 50


def test_a_method_is_taken_when_it_is_ahead():
    better, barely = list(HALF), list(HALF)
    better[1:40:2] = [1] * 20
    barely[:4] = [0, 1, 1, 1]  # two gained, one lost
    said = {PLAIN: answers(HALF), SELF: answers(barely), SPREAD: answers(better)}
    chosen, _, tried = choose(said, Y)
    assert chosen == SPREAD
    assert [row["method"] for row in tried] == [PLAIN, SELF, SPREAD]
    assert tried[2]["minus_plain"] == pytest.approx(0.2)
    assert tried[1]["minus_plain"] == pytest.approx(0.01)
    worse = list(HALF)
    worse[:4] = [0, 0, 1, 0]
    for other in ({SELF: answers(barely)}, {SPREAD: answers(worse)}, {CONSISTENCY: answers(worse)}):
        chosen, reason, _ = choose({PLAIN: said[PLAIN], **other}, Y)
        assert chosen == PLAIN
        assert "not used" in reason
    # Of a method that is rarely worse less is asked.
    assert choose({PLAIN: said[PLAIN], SPREAD: answers(barely)}, Y)[0] == SPREAD


def test_the_loss_sees_what_the_accuracy_cannot():
    """Nine of ten are right either way, but one way is sure of these and unsure of the others."""
    y, right = np.zeros(40, int), [*[1] * 9, 0] * 4
    plain, sure = answers(right, 0.55), answers(right, 0.99)
    sure[9::10] = [0.45, 0.55]
    for method in (SPREAD, CONSISTENCY):
        chosen, _, tried = choose({PLAIN: plain, method: sure}, y)
        assert (chosen, tried[1]["minus_plain"]) == (method, 0)
    # Self-training lowers the loss by softer labels alone: it must be right more often too.
    assert choose({PLAIN: plain, SELF: sure}, y)[0] == PLAIN
    # Nor is a lower loss enough for a method that is wrong more often.
    wrong = sure.copy()
    wrong[8] = [0.49, 0.51]  # one more
    assert choose({PLAIN: plain, SPREAD: wrong}, y)[0] == PLAIN


def test_consistency_goes_before_spreading_unless_that_is_clearly_right_more_often():
    good, better = list(HALF), list(HALF)
    good[1:40:2] = [1] * 20
    better[1:50:2] = [1] * 25
    said = {PLAIN: answers(HALF), SPREAD: answers(better), CONSISTENCY: answers(good)}
    assert choose(said, Y)[0] == SPREAD  # five more, and their error is 2.4
    better[43:50:2] = [0] * 4
    assert choose({**said, SPREAD: answers(better)}, Y)[0] == CONSISTENCY


def run(method, **how):
    on = task(**how)
    config = TransferConfig(recipe=QUICK, labels=12, seed=1, unlabelled_method=method)
    more = patterns(60, labelled=False, seed=5, **how)
    return transferred(on, source(), config, programs=SHARED, unlabelled=more)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("method", [SELF, SPREAD])
def test_a_method_trains_on_the_pool_and_gives_the_same_bits_twice(method, classes, short):
    first = run(method, classes=classes)
    assert first.result["pool"]["chosen"] == method
    assert first.result["labels"] == 12
    # 60 of the pool and 20 for the labels, 64 a step.
    assert first.result["updates"] == 2 * 60
    assert first.result["accuracy"] > 0.8
    assert ("graph" in first.result["pool"]) == (method == SPREAD)
    assert run(method, classes=classes).result["digest"] == first.result["digest"]


def test_a_refused_pool_leaves_the_bits_of_the_plain_transfer(monkeypatch, short):
    monkeypatch.setattr(
        "transfer.semi_supervised.selection.MIN_LEADS",
        dict.fromkeys((SELF, SPREAD, CONSISTENCY), 1e9),
    )
    done = run("auto")
    plain = transferred(
        task(), source(), TransferConfig(recipe=QUICK, labels=12, seed=1), programs=SHARED
    )
    assert done.result["pool"]["chosen"] == PLAIN
    assert len(done.result["pool"]["tried"]) == 4
    assert done.result["digest"] == plain.result["digest"]


def test_the_pool_is_tried_with_what_the_search_chose(monkeypatch, short):
    from transfer.selection.candidates import candidates

    def one(encoder, recipe, labels):
        return [c for c in candidates(encoder, recipe, labels) if c.architecture.reuse == 1][:1]

    monkeypatch.setattr("transfer.selection.search.candidates", one)
    monkeypatch.setattr(
        "transfer.selection.search._Race.run", lambda race, tried: _scored(race, tried)
    )
    on = task()
    config = TransferConfig(
        recipe=QUICK,
        labels=12,
        seed=1,
        reuse="auto",
        search_seconds=60.0,
        unlabelled_method=SELF,
    )
    more = patterns(60, labelled=False, seed=5)
    done = transferred(on, source(), config, programs=SHARED, unlabelled=more)
    assert done.result["search"]["arrangement"]["reuse"] == done.result["reuse"] == 1
    assert done.result["pool"]["chosen"] == SELF
    assert done.result["recipe"]["batch_size"] == 64


def _scored(race, tried):
    for row in tried:
        row.probabilities[:] = np.eye(3)[row.y]


@pytest.fixture
def folder(tmp_path, short):
    data = patterns(test=30)
    np.savez(tmp_path / "data.npz", x=data.x, y=data.y, x_test=data.x_test, y_test=data.y_test)
    np.savez(tmp_path / "pool.npz", x=np.concatenate([patterns(50, seed=5).x, data.x_test[:2]]))
    weights().write(tmp_path / "weights.h5")
    return tmp_path


def command(folder, *more, out="model.keras", as_json=True):
    arguments = ["--from", folder / "weights.h5", "--data", folder / "data.npz", "--quiet"]
    arguments += ["--freeze-epochs", 2, "--epochs", 2, "--labels", 12, "--out", folder / out]
    arguments += ["--json"] * as_json
    result = CliRunner().invoke(
        cli, [str(part) for part in [*arguments, *more]], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout) if as_json else result.stdout


def test_the_command_says_what_was_tried_and_resumes_with_its_choice(folder, monkeypatch):
    given = ["--pool", folder / "pool.npz"]
    whole = command(folder, *given, out="whole.keras")
    assert whole["pool"]["left_out"]["test"] == 2
    assert len(whole["pool"]["tried"]) == 4
    shown = command(folder, *given, "--resume", out="whole.keras", as_json=False)
    assert "minus plain" in shown
    assert whole["pool"]["reason"][:40] in shown
    with monkeypatch.context() as patch:
        patch.setattr("pretrain.engine.progress.make_reporter", lambda quiet: StopAt(1, 2))
        patch.setattr("pretrain.engine.train.CALL_SECONDS", 0)
        with pytest.raises(Interrupted):
            command(folder, *given)
    monkeypatch.setattr("transfer.semi_supervised.selection.SemiSupervised.validate", None)
    assert command(folder, *given, "--resume")["digest"] == whole["digest"]


def test_options_of_a_pool_without_one_are_refused(folder):
    with pytest.raises(InputError, match="Give unlabelled=DATA") as caught:
        command(folder, "--pool-size", "10")
    assert caught.value.argument == "unlabelled_size"
