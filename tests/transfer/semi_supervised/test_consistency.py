"""Consistency training: its numbers against NumPy, what moves, and what it is refused for."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from toys import StopAt, patterns
from transfers import QUICK, encoder_weights, planned, source, task, transferred

import transfer.semi_supervised.consistency as consistency
from headstart.errors import InputError, Interrupted
from headstart.lazy import tf
from pretrain.augment.recipes import Augmentation
from pretrain.engine.checkpoint import Checkpoints
from pretrain.engine.program import Programs
from pretrain.engine.stage import Batch
from transfer.config import TransferConfig
from transfer.semi_supervised.consistency import (
    Consistency,
    confidence_weights,
    strong_view,
    weak_view,
)

SHARED = Programs()
# A flipped pattern is another one.
TURNED = replace(QUICK, augment="digits")
STILL = Augmentation.of("objects", (8, 8, 1), dict.fromkeys(("flip", "erase"), 0.0)).options
STILL = {n: {"crop": 1.0, "aspect": 1.0}.get(n, 0.0) for n in STILL}


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(consistency, "UPDATES", 30)
    monkeypatch.setattr("transfer.semi_supervised.selection.FOLD_UPDATES", 10)
    monkeypatch.setattr("transfer.semi_supervised.selection.FOLDS", 2)


def run(unlabelled=None, *, of="convnet", classes=3, **how):
    config = TransferConfig(
        **{"recipe": TURNED, "labels": 12, "seed": 1, "unlabelled_method": "consistency"} | how
    )
    more = patterns(60, labelled=False, seed=5) if unlabelled is None else unlabelled
    return transferred(task(classes=classes), source(of), config, programs=SHARED, unlabelled=more)


def test_a_weak_view_changes_half_as_much_and_a_strong_one_has_holes():
    objects = Augmentation.of("objects", (8, 8, 1)).options
    weak, strong = weak_view(objects), strong_view(objects)
    assert weak["crop"] == pytest.approx((1 + objects["crop"]) / 2)
    assert weak["aspect"] == pytest.approx((1 + objects["aspect"]) / 2)
    assert weak["brightness"] == objects["brightness"] / 2
    assert (weak["flip"], weak["erase"]) == (objects["flip"], 0)
    assert strong == dict(objects)
    digits = Augmentation.of("digits", (8, 8, 1)).options
    assert strong_view(digits) == {**digits, "erase": consistency.HOLES}
    assert "erase" not in strong_view(Augmentation.of("vectors", (9,)).options)


def test_a_confidence_below_the_mean_counts_less_by_two_deviations():
    counts = np.asarray(confidence_weights(tf.constant([0.9, 0.7, 0.5, 0.3]), 0.7, 0.01))
    # exp(-(c - mean)^2 / (2 (sigma / 2)^2)), sigma 0.1
    assert counts == pytest.approx([1, 1, np.exp(-8), np.exp(-32)], rel=1e-4)


@pytest.mark.parametrize("classes", [2, 3])
def test_the_loss_is_that_of_the_paper(classes, monkeypatch):
    """Without random changes the views are the examples themselves."""
    monkeypatch.setattr(consistency, "HOLES", 0.0)
    on = task(classes=classes)
    plan = planned(on, source("convnet"), TransferConfig(recipe=QUICK, labels=12)).fit
    network = plan.network()
    x = (on.x[:20] / 255).astype(np.float32)
    labelled = {"x": x[:6], "y": on.y[:6].astype(np.int32)}
    soft = softmax(np.random.default_rng(0).normal(size=(14, classes)), axis=1).astype(np.float32)
    soft[3] = 0
    made = Consistency(
        x=x[6:], soft=soft, augmentation=Augmentation(name="none", options=STILL), updates=3
    )
    (stage,) = list(made.stages(labelled, network, plan.target, frozen=0))
    batch = Batch(
        arrays={name: tf.constant(array) for name, array in stage.arrays.items()},
        seed=tf.constant([0, 0]),
        training=True,
        tables={name: tf.constant(table) for name, table in stage.tables.items()},
    )
    found = stage.objectives[0].loss(batch)

    z = np.asarray(network.head(network.model(x)), np.float64)
    z = np.hstack([0 * z, z]) if classes == 2 else z
    p = softmax(z[6:], axis=1)
    goal = np.sqrt(soft[soft.sum(axis=1) > 0].mean(axis=0) + 1e-4)
    p *= goal / goal.sum() / (0.95 / classes + 0.05 * p.mean(axis=0))
    p *= (soft + 1e-4) ** 3
    p /= p.sum(axis=1, keepdims=True)
    sure = p.max(axis=1)
    mean = min(sure.mean(), 0.95 / classes + 0.05 * sure.mean())
    variance = 0.95 + 0.05 * sure.var()
    counts = np.where(sure < mean, np.exp(-2 * (sure - mean) ** 2 / variance), 1)
    lost = -log_softmax(z, axis=1)
    rows = tf.random.stateless_uniform([32], batch.draw(1), 0, 6, tf.int32).numpy()
    by_label = lost[rows, labelled["y"][rows]].mean()
    assert float(found["labelled_loss"]) == pytest.approx(by_label, rel=1e-4)
    other = (counts * lost[np.arange(6, 20), p.argmax(axis=1)]).mean()
    assert float(found["loss"]) == pytest.approx(by_label + other, rel=1e-4)
    assert float(found["counted"]) == pytest.approx(counts.mean(), rel=1e-4)


@pytest.mark.parametrize(("of", "classes"), [("convnet", 3), ("mlp", 2), ("resnet", 3)])
def test_it_trains_on_both_and_gives_the_same_bits_twice(of, classes, short):
    first = run(of=of, classes=classes)
    assert first.result["pool"]["chosen"] == "consistency"
    assert {row["stage"] for row in first.history} >= {"fine-tune", "consistency"}
    assert first.result["pool"]["graph"]["accuracy"] > 0.5
    print(first.result["accuracy"], first.history[-1])
    assert run(of=of, classes=classes).result["digest"] == first.result["digest"]


def test_the_network_ends_with_the_average_of_its_weights(short, monkeypatch):
    ended = run(of="mlp")
    monkeypatch.setattr(consistency, "AVERAGE", 0.0)
    last = transferred(
        task(),
        source("mlp"),
        TransferConfig(recipe=QUICK, labels=12, seed=1, unlabelled_method="consistency"),
        unlabelled=patterns(60, labelled=False, seed=5),
    )
    assert ended.result["digest"] != last.result["digest"]


@pytest.mark.parametrize("examples", [1, 60, 300])
def test_a_small_set_makes_as_many_updates_as_a_large_one(examples):
    plan = planned(task(), source("mlp"), TransferConfig(recipe=QUICK, labels=12)).fit
    x = np.zeros((examples, 8, 8, 1), np.float32)
    soft = np.full((examples, 3), 1 / 3, np.float32)
    views = Augmentation(name="none", options=STILL)
    made = Consistency(x=x, soft=soft, augmentation=views, updates=50)
    labelled = {"x": x[:1], "y": np.zeros(1, np.int32)}
    (stage,) = made.stages(labelled, plan.network(), plan.target, frozen=0)
    assert 50 <= stage.updates <= 70
    assert stage.tables["steps"] == [stage.updates]


def test_the_stages_before_it_are_compiled_for_plain_and_for_it_together(short):
    programs = Programs()
    config = TransferConfig(recipe=TURNED, labels=12, seed=1)
    transferred(task(), source("mlp"), config, programs=programs)
    before = programs.traces
    for seed in (1, 2):
        again = replace(config, seed=seed, unlabelled_method="consistency")
        more = patterns(60, labelled=False, seed=5)
        transferred(task(), source("mlp"), again, programs=programs, unlabelled=more)
    assert programs.traces == before + 1


def test_frozen_blocks_stay_and_from_scratch_works_too(short):
    given = source("convnet")
    done = run(recipe=replace(TURNED, unfreeze=1))
    pairs = zip(given.tensors.items(), encoder_weights(done.model), strict=True)
    moved = {path.split("/")[0] for (path, t), w in pairs if not np.array_equal(t, w)}
    assert moved == {"block3"}
    scratch = run(reuse=0)
    assert [r["stage"] for r in scratch.history if r["epoch"] == 1] == [
        "from scratch",
        "consistency",
    ]


def test_what_it_cannot_go_on_from_is_refused():
    for how in ({"recipe": "linear-probe"}, {"recipe": replace(QUICK, solve=1.0, interpolate=0.5)}):
        with pytest.raises(InputError) as caught:
            run(**how)
        assert caught.value.argument == "unlabelled_method"
    with pytest.raises(InputError) as caught:
        run(of="keras")
    assert "elsewhere" in caught.value.rule


def test_interrupted_and_resumed_it_gives_the_same_bits(short, tmp_path, monkeypatch):
    monkeypatch.setattr("pretrain.engine.train.CALL_SECONDS", 0)
    whole = run().result["digest"]
    more = patterns(60, labelled=False, seed=5)
    config = TransferConfig(recipe=TURNED, labels=12, seed=1, unlabelled_method="consistency")
    checkpoints = Checkpoints(tmp_path / "run", {"a": 1}, 0.0)
    how = {"programs": SHARED, "unlabelled": more, "checkpoints": checkpoints}
    with pytest.raises(Interrupted):
        transferred(task(), source("convnet"), config, reporter=StopAt(7, 3), **how)
    assert any(path.name.startswith("checkpoint-002") for path in checkpoints.files())
    done = transferred(task(), source("convnet"), config, resume=True, **how)
    assert done.result["digest"] == whole


def test_automatic_choice_tries_it_on_images_and_not_on_vectors(short):
    done = run(unlabelled_method="auto")
    methods = [row["method"] for row in done.result["pool"]["tried"]]
    assert methods == ["plain", "self-training", "spreading", "consistency"]
    frozen = run(unlabelled_method="auto", recipe="linear-probe")
    assert "consistency" not in [row["method"] for row in frozen.result["pool"]["tried"]]
