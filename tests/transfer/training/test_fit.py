"""Schedules: what moves in which stage, at which rate, and what is solved instead of trained."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from transfers import QUICK, encoder_weights, source, task, transferred

from headstart.errors import InputError
from pretrain.encoders import ARCHITECTURES
from pretrain.encoders.base import Architecture
from pretrain.encoders.encoder import Encoder
from pretrain.engine.program import Programs
from pretrain.engine.stage import Optimizer
from transfer.config import TransferConfig
from transfer.encoder_source import EncoderSource
from transfer.targets import Regression
from transfer.targets.classification import logistic_regression
from transfer.training.fit import balanced

SHARED = Programs()
SGD = replace(QUICK, optimizer=Optimizer(name="sgd"), freeze_epochs=1, epochs=1, batch_size=64)


def run(given, recipe, *, programs=SHARED, on=None, **how):
    config = TransferConfig(recipe=recipe, labels=40, **how)
    return transferred(on or task(), given, config, programs=programs)


def moved(given, done):
    """The blocks of which any weight is not the source's."""
    tensors = zip(given.tensors.items(), encoder_weights(done.model), strict=True)
    return sorted({p.split("/")[0] for (p, t), w in tensors if not np.array_equal(t, w)})


@pytest.mark.parametrize(
    ("unfreeze", "blocks"), [(0, []), (1, ["block3"]), (2, ["block2", "block3"])]
)
@pytest.mark.parametrize("name", ["mlp", "convnet"])
def test_only_the_highest_blocks_move_when_so_many_are_unfrozen(name, unfreeze, blocks):
    given = source(name)
    done = run(given, replace(QUICK, unfreeze=unfreeze))
    assert moved(given, done) == blocks


def test_gradual_unfreezing_goes_down_block_by_block():
    given = source()
    done = run(given, replace(QUICK, epochs=7, gradual=True))
    stages = [row["stage"] for row in done.history]
    assert stages == (
        ["head on frozen encoder"] * 3
        + ["fine-tune the highest 1 of 3 blocks"] * 2
        + ["fine-tune the highest 2 of 3 blocks"] * 2
        + ["fine-tune"] * 3
    )
    assert moved(given, done) == ["block1", "block2", "block3"]
    still = run(given, replace(QUICK, epochs=7, gradual=True, unfreeze=2))
    assert moved(given, still) == ["block2", "block3"]


def test_layer_decay_makes_lower_blocks_move_less():
    given = source()
    steps = {}
    for decay in (1.0, 0.5):
        done = run(given, replace(SGD, learning_rate=1e-4, layer_decay=decay))
        tensors = zip(given.tensors.items(), encoder_weights(done.model), strict=True)
        steps[decay] = {p: w.astype(float) - t for (p, t), w in tensors}
    # One plain gradient step each, from the same point: as long as the block's rate.
    for path, step in steps[1.0].items():
        factor = 0.5 ** (4 - int(path[5]))
        assert np.allclose(steps[0.5][path], factor * step, rtol=0.05, atol=3e-8), path


def test_a_held_out_part_of_the_labels_decides_the_epoch():
    given, on = source(), task()
    done = run(given, replace(QUICK, epochs=6, learning_rate=3e-2, validation=0.25))
    tuned = [row for row in done.history if row["stage"] == "fine-tune"]
    assert len(tuned) == 6
    best = min(tuned, key=lambda row: row["val_loss"])
    cut = replace(QUICK, epochs=best["epoch"], learning_rate=3e-2, validation=0.25)
    assert run(given, cut, on=on).result["digest"] == done.result["digest"]
    assert done.result["digest"] != run(given, replace(QUICK, epochs=6)).result["digest"]


def test_a_solved_head_is_scikit_learns():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 5)) * [1, 10, 0.1, 3, 1] + 4
    for classes, outputs in ((2, 1), (3, 3)):
        y = (x[:, 0] + x[:, 1] > 8).astype(int) + (classes == 3) * (x[:, 3] > 5)
        kernel, bias = logistic_regression(x, y, outputs, 0.7)
        scaled = (x - x.mean(axis=0)) / x.std(axis=0)
        theirs = LogisticRegression(C=0.7, tol=1e-8, max_iter=5000).fit(scaled, y)
        assert kernel.shape == (5, outputs)
        logits = x @ kernel + bias
        found = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        if outputs == 1:
            found = np.hstack([1 / (1 + np.exp(logits)), 1 / (1 + np.exp(-logits))])
        assert np.allclose(found, theirs.predict_proba(scaled), atol=2e-3)
    kernel, bias = Regression().solve(x, x[:, 2], 50.0)
    theirs = Ridge(alpha=0.01).fit(scaled, x[:, 2])
    assert np.allclose(x @ kernel[:, 0] + bias, theirs.predict(scaled), atol=1e-4)


@pytest.mark.parametrize(("present", "outputs"), [((0, 2), 3), ((1,), 3), ((1,), 1), ((0,), 1)])
def test_a_class_without_labels_is_never_predicted_by_a_solved_head(present, outputs):
    x = np.random.default_rng(0).normal(size=(20, 4))
    y = np.array(present)[np.arange(20) % len(present)]
    kernel, bias = logistic_regression(x, y, outputs, 1.0)
    logits = x @ kernel + bias
    predicted = (logits[:, 0] > 0).astype(int) if outputs == 1 else logits.argmax(axis=1)
    assert set(predicted) <= set(present)


def test_solving_takes_the_place_of_the_frozen_epochs():
    given = source()
    done = run(given, replace(QUICK, solve=1.0))
    assert {row["stage"] for row in done.history} == {"fine-tune"}
    only = run(given, replace(QUICK, solve=1.0, epochs=0))
    assert only.history == []
    assert moved(given, only) == []
    assert only.result["accuracy"] > 0.8
    assert run(given, replace(QUICK, solve=1.0, epochs=0), reuse=1, above="drop").history == []


@pytest.mark.parametrize(
    ("changes", "how", "says"),
    [
        ({"solve": 1.0}, {"reuse": 1}, "solve .*with lowest 1 of 3 blocks, others reset there is"),
        ({"solve": 1.0}, {"reuse": 1, "above": "add"}, "others|one added there is something new"),
        ({"solve": 1.0}, {"head": "hidden"}, "hidden layer there is something new below it"),
        ({"solve": 1.0}, {"reuse": 0}, "with from scratch|there is something new below it"),
        ({"validation": 0.2}, {"reuse": "auto"}, "validation holds labels out"),
        ({"scratch_epochs": 0}, {"reuse": 0}, "Nothing would be trained"),
        ({"unfreeze": 9}, {}, "unfreeze must be 'all' or at most 3.* Got 9"),
        ({"unfreeze": 2}, {"reuse": 1}, "unfreeze must be 'all' or at most 1.* Got 2"),
        ({"gradual": True, "epochs": 0}, {}, "gradual is about fine-tuning, .*epochs is 0"),
        (
            {"find": True, "unfreeze": 0},
            {},
            "learning_rate is .*unfreeze=0 moves no block.* Got 'find'",
        ),
        ({"layer_decay": 0.5, "epochs": 0}, {"reuse": "auto"}, "layer_decay is about fine-tuning"),
    ],
)
def test_what_would_train_nothing_or_be_passed_over_is_refused(changes, how, says):
    with pytest.raises(InputError, match=says):
        run(source(), replace(QUICK, **changes), **how)


@pytest.mark.parametrize("changes", [{"epochs": 0}, {"unfreeze": 0}])
def test_a_recipe_trains_something(changes):
    with pytest.raises(InputError, match="Nothing would be trained: freeze_epochs is 0 and"):
        replace(QUICK, freeze_epochs=0, **changes)


def test_balanced_weights_give_every_class_the_same_sum():
    y = np.array([0] * 6 + [2] * 2)
    weights = balanced(y)
    assert weights[:6].sum() == pytest.approx(weights[6:].sum()) == pytest.approx(4)
    soft = np.eye(3)[y]
    assert np.allclose(balanced(soft), weights)
    given = source()
    on = task(classes=2)
    few = np.r_[0:40:2, 1:9:2]
    config = TransferConfig(recipe=QUICK, rows=tuple(few.tolist()))
    plain = transferred(on, given, config, programs=SHARED)
    even = transferred(
        on, given, replace(config, recipe=replace(QUICK, balance=True)), programs=SHARED
    )
    recall = [np.array(d.result["confusion"])[1, 1] for d in (plain, even)]
    assert recall[1] >= recall[0]
    assert plain.result["digest"] != even.result["digest"]


@pytest.fixture
def normalised(monkeypatch):
    """A source with batch normalisation in each of its two blocks."""

    def shapes(shape, options):
        sizes = [int(np.prod(shape)), 12, 6]
        found = {}
        for i in (1, 2):
            found[f"block{i}/dense/kernel"] = (sizes[i - 1], sizes[i])
            found[f"block{i}/dense/bias"] = (sizes[i],)
            for name in ("gamma", "beta", "moving_mean", "moving_variance"):
                found[f"block{i}/norm/{name}"] = (sizes[i],)
        return found

    def build(shape, options):
        blocks = []
        for i, units in ((1, 12), (2, 6)):
            inputs = keras.Input(shape if i == 1 else (12,))
            hidden = keras.layers.Flatten(name="flat")(inputs)
            hidden = keras.layers.Dense(units, name="dense")(hidden)
            hidden = keras.layers.BatchNormalization(name="norm")(hidden)
            blocks.append((f"block{i}", keras.Model(inputs, hidden, name=f"block{i}")))
        return blocks

    row = Architecture(
        name="norm", summary="", shapes=shapes, build=build, decode=None, convolutional=False
    )
    monkeypatch.setitem(ARCHITECTURES, "norm", row)
    config = {"architecture": "norm", "input_shape": [8, 8, 1], "options": {}}
    like = source()
    return EncoderSource(
        encoder=config,
        preprocessing=like.preprocessing,
        tensors=Encoder(config, seed=3).tensors(),
        digest="d",
    )


@pytest.mark.parametrize(
    ("changes", "still"),
    [({"epochs": 0}, {"block1", "block2"}), ({"unfreeze": 1}, {"block1"}), ({}, set())],
)
@pytest.mark.parametrize("statistics", ["kept", "moving"])
def test_frozen_blocks_and_their_statistics_stay_and_unfrozen_ones_move(
    normalised, changes, still, statistics
):
    changes = {**changes, "statistics": statistics}
    done = run(normalised, replace(QUICK, **changes), programs=Programs())
    weights = {
        f"{name}/{layer.name}/{weight.name}": weight.numpy()
        for name, block in (
            (b.name, b) for b in done.model.get_layer("encoder").layers if "block" in b.name
        )
        for layer in block.layers
        for weight in layer.weights
    }
    assert set(weights) == set(normalised.tensors)
    for path, before in normalised.tensors.items():
        same = before.tobytes() == weights[path].tobytes()
        kept = statistics == "kept" and "moving" in path
        assert same == (path.split("/")[0] in still or kept), path


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"schedule": "cosin"}, r"schedule must be one of constant, cosine.*mean 'cosine'"),
        ({"statistics": "move"}, r"statistics must be one of kept, moving.*mean 'moving'"),
        ({"warmup": 1.5}, r"warmup must be from 0 to 0.99. Got 1.5"),
        ({"validation": 1.0}, r"validation must be from 0 to 0.9"),
        ({"layer_decay": 2.0}, r"layer_decay must be from 1e-06 to 1. Got 2"),
        ({"solve": 0.0}, r"solve must be from 1e-09"),
        ({"unfreeze": -1}, r"unfreeze must be 'all' or 0 or more"),
    ],
)
def test_a_field_that_breaks_its_rule_is_refused(changes, says):
    with pytest.raises(InputError, match=says):
        replace(QUICK, **changes)


DIGITS = replace(QUICK, augment="digits")


@pytest.mark.parametrize("name", ["mlp", "convnet"])
def test_random_views_change_what_is_learnt_and_leave_frozen_blocks_alone(name):
    given = source(name)
    done = run(given, replace(DIGITS, unfreeze=1))
    assert moved(given, done) == ["block3"]
    again, plain = run(given, replace(DIGITS, unfreeze=1)), run(given, replace(QUICK, unfreeze=1))
    assert done.result["digest"] == again.result["digest"] != plain.result["digest"]
    assert done.result["recipe"]["augment"] == "digits"


def test_random_views_that_change_nothing_leave_the_numbers(monkeypatch):
    given = source("convnet")
    monkeypatch.setattr("transfer.training.schedule.augment", lambda x, seed, options, columns: x)
    # The frozen blocks are computed in the step and not beforehand: the same up to rounding.
    done, plain = run(given, DIGITS, programs=Programs()), run(given, QUICK, programs=Programs())
    for row, other in zip(done.history, plain.history, strict=True):
        assert row["loss"] == pytest.approx(other["loss"], rel=1e-3)


def test_from_scratch_trains_on_random_views_too():
    given = source("convnet")
    done, plain = run(given, DIGITS, reuse=0), run(given, QUICK, reuse=0)
    assert done.result["digest"] != plain.result["digest"]


def test_validation_sees_the_examples_as_they_are(monkeypatch):
    seen = []

    def augment(x, seed, options, columns):
        seen.append(x.shape[0])
        return x * 0

    monkeypatch.setattr("transfer.training.schedule.augment", augment)
    done = run(source("convnet"), replace(DIGITS, validation=0.2), programs=Programs())
    # All that training saw was black, and the held-out losses are not those of black examples.
    assert seen
    losses = {round(row["val_loss"], 4) for row in done.history}
    assert len(losses) > 1


def test_random_views_of_another_kind_of_example_and_for_solved_heads_are_refused():
    for config in (
        {"augment": "vectors"},
        {"augment": "digitz"},
        {"augment": "digits", "head": "logistic"},
    ):
        with pytest.raises(InputError) as caught:
            transferred(task(), source("convnet"), TransferConfig(recipe="default", **config))
        assert caught.value.argument == "augment"
