"""The two losses by hand and against NumPy, and what pairs a step is made of."""

from dataclasses import replace

import numpy as np
import pytest
from pretraining import pretrained
from toys import patterns

from headstart.errors import InputError
from pretrain.augment.recipes import Augmentation
from pretrain.commands.verify import verify_weights
from pretrain.config import PretrainConfig
from pretrain.encoders import encoder_config
from pretrain.encoders.encoder import Preprocessing
from pretrain.engine.stage import Batch
from pretrain.plan import PretrainPlan
from pretrain.strategies import strategy
from pretrain.strategies.base import Setup
from pretrain.strategies.siamese import Head, among_all, contrastive
from tasks.splits import class_split

CLEAN = Augmentation.resolve(patterns(8), "none")


def options(**changes):
    row = strategy("siamese")
    return {name: option.default for name, option in row.options.items()} | changes


def made(pool, *, validation=None, augmentation=CLEAN, **changes):
    """The stage on a small pool, and the setup whose encoder it trains."""
    from pretrain.encoders.encoder import Encoder

    def arrays(data):
        found = {"x": data.x}
        return found if data.y is None else found | {"y": data.y.astype(np.int32)}

    row = strategy("siamese")
    setup = Setup(
        encoder=Encoder(encoder_config("mlp", pool.input_shape, {"units": [8]}), seed=1),
        preprocess=Preprocessing.fit(pool),
        arrays=arrays(pool),
        validation=validation and arrays(validation),
        n_classes=pool.n_classes,
        options=options(**changes),
        recipe=row.recipe,
        augmentation=augmentation,
    )
    (stage,) = row.stages(setup)
    return stage, setup


def batch(stage, *, training=True, held_out=False, seed=(0, 0)):
    import tensorflow as tf

    arrays = stage.validation if held_out else stage.arrays
    tables = stage.validation_tables if held_out else stage.tables
    return Batch(
        arrays={n: tf.constant(a) for n, a in arrays.items()},
        tables={n: tf.constant(a) for n, a in tables.items()},
        seed=tf.constant(seed),
        training=training,
    )


def unit(z):
    return z / np.linalg.norm(z, axis=1, keepdims=True)


def slow(z, left, right, same, margin):
    """Hadsell et al. 2006, equation 4, of pairs of rows of z, in float64."""
    losses = []
    for i, j, s in zip(left, right, same, strict=True):
        d = float(np.sqrt(np.sum((z[i] - z[j]) ** 2)))
        losses.append(0.5 * d**2 if s else 0.5 * max(0.0, margin - d) ** 2)
    return float(np.mean(losses))


def projected(setup, stage, x):
    """z of raw examples, in NumPy, from the encoder's features and the projection's kernel."""
    features = np.asarray(setup.features(x, False), np.float64)
    kernel = stage.objectives[0].variables[2].numpy().astype(float)
    assert kernel.shape == (8, 64)
    return unit(features @ kernel)


def test_contrastive_by_hand():
    first = np.array([[0, 0], [0, 0], [0, 0], [1, 1]], np.float32)
    other = np.array([[3, 4], [3, 4], [0, 0.5], [1, 1]], np.float32)
    same = np.array([1, 0, 0, 0], np.float32)
    # d = 5, 5, 0.5 and 0; with margin 2: 25 / 2, nothing, 1.5^2 / 2 and 2^2 / 2.
    losses = contrastive(first, other, same, 2.0)
    assert np.asarray(losses) == pytest.approx([12.5, 0, 1.125, 2], abs=1e-4)


def test_equal_projections_have_a_finite_gradient():
    import tensorflow as tf

    z = tf.ones((2, 3))
    with tf.GradientTape() as tape:
        tape.watch(z)
        loss = tf.reduce_sum(contrastive(z, tf.ones((2, 3)), tf.constant([0.0, 1.0]), 1.0))
    assert np.isfinite(tape.gradient(loss, z).numpy()).all()


def test_cross_entropy_against_numpy():
    head = Head(4, options(loss="bce", projector=0))
    kernel, bias = head.layers[0].weights
    rng = np.random.default_rng(0)
    w, b = rng.normal(size=(4, 1)), 0.7
    kernel.assign(w)
    bias.assign([b])
    first, other = rng.normal(size=(2, 9, 4)).astype(np.float32)
    same = (np.arange(9) % 2).astype(np.float32)
    p = 1 / (1 + np.exp(-(np.abs(first - other) @ w[:, 0] + b)))
    expected = np.where(same == 1, -np.log(p), -np.log(1 - p))
    assert np.asarray(head.loss(first, other, same)) == pytest.approx(expected, rel=1e-4)


def test_the_nearer_the_likelier_at_the_start():
    head = Head(6, options(loss="bce"))
    z = np.asarray(head.project(np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)))
    assert np.linalg.norm(z, axis=1) == pytest.approx(1, rel=1e-5)
    ones = np.ones(20, np.float32)
    near, far = z[:20] + np.float32(0.01), z[20:]
    same_near, same_far = (np.asarray(head.loss(z[:20], other, ones)) for other in (near, far))
    assert same_near.max() < same_far.min()


def test_held_out_pairs_are_measured_clean_and_as_they_are():
    pool, held_out = patterns(40), patterns(12, seed=5)
    stage, setup = made(pool, validation=held_out, augmentation=Augmentation.resolve(pool))
    tables = stage.validation_tables
    left, right, same = (tables[n] for n in ("left", "right", "same"))
    assert len(stage.validation["pair"]) == len(left) == 64 * 12
    assert np.array_equal(same == 1, held_out.y[left] == held_out.y[right])
    z = projected(setup, stage, held_out.x)
    found = stage.objectives[0].loss(batch(stage, training=False, held_out=True))
    assert float(found["loss"]) == pytest.approx(slow(z, left, right, same, 1.0), rel=1e-4)


def test_a_step_draws_pairs_of_the_table_anew():
    pool = patterns(6, labelled=True)
    stage, setup = made(pool, count=2, among="pairs")
    tables = stage.tables
    z = projected(setup, stage, pool.x)
    each = [
        slow(z, [i], [j], [s], 1.0)
        for i, j, s in zip(*(tables[n] for n in ("left", "right", "same")), strict=True)
    ]
    assert sorted(tables["same"]) == [0, 1]
    seen = set()
    for k in range(12):
        loss = float(stage.objectives[0].loss(batch(stage, seed=(0, k)))["loss"])
        # Six draws of two pairs: the mean tells how many were the first.
        part = 6 * (loss - each[1]) / (each[0] - each[1])
        assert part == pytest.approx(round(part), abs=1e-3)
        assert 0 <= round(part) <= 6
        seen.add(round(part))
    assert len(seen) > 2


@pytest.mark.parametrize("loss", ["contrastive", "bce"])
def test_all_pairs_of_a_batch_half_same_half_different(loss):
    head = Head(4, options(loss=loss, projector=0))
    z = unit(np.random.default_rng(0).normal(size=(7, 4))).astype(np.float32)
    y = np.array([0, 0, 0, 1, 1, 2, 3], np.int32)
    each = {0: [], 1: []}
    for i in range(7):
        for j in range(7):
            if i != j:
                same = np.array([y[i] == y[j]], np.float32)
                each[int(same[0])].append(float(head.loss(z[i : i + 1], z[j : j + 1], same)[0]))
    assert [len(each[s]) for s in (1, 0)] == [8, 34]
    expected = (np.mean(each[0]) + np.mean(each[1])) / 2
    assert float(among_all(head, z, y)) == pytest.approx(expected, rel=1e-5)
    # Where all are one item, only same pairs are left.
    one = [
        float(head.loss(z[i : i + 1], z[j : j + 1], np.ones(1, np.float32))[0])
        for i in range(7)
        for j in range(7)
        if i != j
    ]
    assert float(among_all(head, z, np.zeros(7, np.int32))) == pytest.approx(
        np.mean(one) / 2, rel=1e-5
    )


def test_both_sides_are_views_of_their_own():
    # Every image of a person is one picture, so without views all same pairs would be at no distance.
    pool = patterns(1, size=8)
    x = np.repeat(np.stack([pool.x[0], 255 - pool.x[0]]), 20, axis=0)
    pool = replace(patterns(40, classes=2), x=x, y=np.repeat([0, 1], 20))
    for augmentation, still in ((CLEAN, True), (Augmentation.resolve(pool, "faces"), False)):
        stage, _ = made(pool, augmentation=augmentation, margin=0.01)
        loss = float(stage.objectives[0].loss(batch(stage))["loss"])
        assert (loss < 1e-6) == still


def test_without_labels_a_view_and_its_neighbour():
    pool = patterns(5, labelled=False)
    stage, setup = made(pool)
    assert set(stage.arrays) == {"x"}
    z = projected(setup, stage, pool.x)
    # Without changes an example's two views are equal: only the five different pairs cost.
    different = slow(z, range(5), [4, 0, 1, 2, 3], [0] * 5, 1.0)
    found = stage.objectives[0].loss(batch(stage))
    assert float(found["loss"]) == pytest.approx(different / 2, rel=1e-4)


def test_a_batch_of_one_has_no_different_pair():
    stage, _ = made(patterns(1, labelled=False))
    assert float(stage.objectives[0].loss(batch(stage))["loss"]) == pytest.approx(0, abs=1e-6)


def test_labels_are_used_when_and_only_when_they_may_be():
    row = strategy("siamese")
    assert row.labelled(options(), np.array([0, 0, 1]))
    assert not row.labelled(options(), None)
    assert not row.labelled(options(pairs="views"), np.array([0, 0, 1]))
    # One class, or one example of each: there is no pair of both kinds, so views take their place.
    for y in ([0, 0, 0], [0, 1, 2]):
        assert not row.labelled(options(), np.array(y))
        assert row.labelled(options(pairs="labels"), np.array(y))
    config = PretrainConfig(strategy="siamese", options={"pairs": "labels"})
    for pool, says in ((patterns(5, labelled=False), "has no labels"), (patterns(3), "has no two")):
        with pytest.raises(
            InputError, match=f"pairs=labels: the pool {says}.*pairs=views"
        ) as caught:
            PretrainPlan.resolve(pool, config)
        assert caught.value.argument == "options"
    with pytest.raises(InputError, match=r"No pair of the same item.*of its own"):
        made(patterns(3))


def test_held_out_people_are_looked_at_and_never_trained_on(tmp_path):
    pool = patterns(120, classes=12, size=8)
    how = {"epochs": 12, "batch_size": 32, "validation": 0.25}
    config = PretrainConfig(strategy="siamese", encoder="mlp", **how)
    done = pretrained(pool, config, tmp_path / "w.h5")
    looks = [row["epoch"] for row in done.history if "auc" in row]
    assert looks == [10, 12]
    last = done.history[-1]
    assert last["auc"] > 0.95
    assert last["eer"] < 0.1
    assert done.weights.metadata["metrics"]["auc"] == last["auc"]
    assert done.weights.metadata["data"]["labels_used"]
    # What was looked at is what the file's features give on the three people held out.
    held = class_split(pool.y, 0.25, 0)[1]
    assert len(set(pool.y[held])) == 3
    people = replace(pool, x=pool.x[held], y=pool.y[held])
    assert verify_weights(done.weights, people)["features"]["auc"] == pytest.approx(last["auc"])


def test_validation_that_makes_no_pairs_is_left_out():
    stage, _ = made(patterns(40), validation=patterns(3))
    assert (stage.validation, stage.snapshot) == (None, None)
