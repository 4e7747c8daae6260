"""The strategy ``gan``: its losses and penalty by hand, who moves whom, and what the generator makes."""

from dataclasses import replace

import numpy as np
import pytest
from toys import patterns

from pretrain.encoders import encoder_config
from pretrain.encoders.encoder import Preprocessing
from pretrain.engine.stage import Batch, Optimizer
from pretrain.strategies import strategy
from pretrain.strategies.base import Setup
from pretrain.strategies.gan import (
    discriminator_loss,
    generator,
    generator_loss,
    judged,
    map_sizes,
)

LOG = np.log


def stage_of(pool, encoder_name, encoder_options=None, *, recipe=None, **options):
    """The stage, its setup, and all of the pool as one batch."""
    import tensorflow as tf

    from pretrain.encoders.encoder import Encoder, seeded

    row = strategy("gan")
    config = encoder_config(encoder_name, pool.input_shape, encoder_options)
    with seeded(1):
        setup = Setup(
            encoder=Encoder(config, seed=1),
            preprocess=Preprocessing.fit(pool),
            arrays={"x": pool.x},
            validation=None,
            n_classes=0,
            options={n: option.default for n, option in row.options.items()} | options,
            recipe=replace(row.recipe, **{"batch_size": len(pool.x)} | (recipe or {})),
        )
        (stage,) = row.stages(setup)
    arrays = {n: tf.constant(a) for n, a in stage.arrays.items()}
    return stage, setup, Batch(arrays=arrays, seed=tf.constant([0, 0]), training=True)


def points(n=256):
    """Pairs of numbers around (0.8, 0.2)."""
    x = np.random.default_rng(0).normal((0.8, 0.2), 0.03, (n, 2)).clip(0, 1).astype(np.float32)
    return replace(patterns(n, labelled=False), x=x, value_range=(0, 1), class_names=None)


def one_step(stage, rate=1e-3):
    """Make one update of ``stage`` in the compiled loop; return values before, and after, by id."""
    import tensorflow as tf

    from pretrain.engine.program import Program

    program = Program(stage, xla=False)
    before = {id(v): v.numpy() for v in stage.variables}
    _, finite = program.run(
        {n: tf.constant(a) for n, a in stage.arrays.items()},
        {},
        tf.range(stage.size),
        tf.constant([rate], tf.float32),
        start=0,
        count=1,
        before=0,
        seed=0,
        sums=np.zeros(len(program.names), np.float32),
    )
    assert finite
    program.check_variables()
    return before, {id(v): v.numpy() for v in stage.variables}


def test_the_losses_by_hand():
    # sigmoid(0) = 1/2, sigmoid(log 3) = 3/4, sigmoid(-log 3) = 1/4
    real = np.array([0, LOG(3)], np.float32)
    fake = np.array([-LOG(3), LOG(3)], np.float32)
    # -log D(x) - log(1 - D(G(z))), and -log D(G(z)) and not log(1 - D(G(z)))
    judge = -(LOG(1 / 2) + LOG(3 / 4)) / 2 - (LOG(3 / 4) + LOG(1 / 4)) / 2
    assert float(discriminator_loss(real, fake)) == pytest.approx(judge, rel=1e-6)
    maker = -(LOG(1 / 4) + LOG(3 / 4)) / 2
    assert float(generator_loss(fake)) == pytest.approx(maker, rel=1e-6)


def test_losses_of_certain_logits_are_finite():
    sure = np.array([1e4], np.float32)
    assert float(discriminator_loss(sure, -sure)) == 0
    assert float(discriminator_loss(-sure, sure)) == pytest.approx(2e4)
    assert float(generator_loss(-sure)) == pytest.approx(1e4)


def test_the_slope_of_a_linear_and_of_a_quadratic_logit():
    import tensorflow as tf

    rng = np.random.default_rng(0)
    x, w = (rng.normal(size=shape).astype(np.float32) for shape in ((5, 3, 2, 1), (3, 2, 1)))
    logits, slope = judged(lambda x: tf.reduce_sum(x * w, axis=[1, 2, 3]) + 7, tf.constant(x))
    assert np.allclose(logits, (x * w).sum(axis=(1, 2, 3)) + 7, atol=1e-5)
    assert float(slope) == pytest.approx((w**2).sum(), rel=1e-5)
    _, slope = judged(lambda x: tf.reduce_sum(x**2, axis=[1, 2, 3]) / 2, tf.constant(x))
    assert float(slope) == pytest.approx((x**2).sum(axis=(1, 2, 3)).mean(), rel=1e-5)


def test_the_penalty_of_one_hidden_layer_in_closed_form():
    """D = v . tanh(W x + a) + b has the slope W (v (1 - tanh^2)) at x."""
    pool, how = points(), ("mlp", {"units": [5], "activation": "tanh"})
    stage, _, batch = stage_of(pool, *how, penalty=3.0)
    judge = stage.objectives[0]
    W, a, v, _ = (variable.numpy().astype(float) for variable in judge.variables)
    slopes = (v[:, 0] * (1 - np.tanh(pool.x @ W + a) ** 2)) @ W.T
    expected = (slopes**2).sum(axis=1).mean()
    measured = judge.loss(batch)
    assert float(measured["slope"]) == pytest.approx(expected, rel=1e-4)
    assert set(measured) == {"loss", *judge.metrics}
    stage, _, batch = stage_of(pool, *how, penalty=0.0)
    without = stage.objectives[0].loss(batch)["loss"]
    assert float(measured["loss"] - without) == pytest.approx(3 / 2 * expected, rel=1e-3)


@pytest.mark.parametrize("encoder_name", ["mlp", "convnet"])
def test_a_discriminator_that_always_says_the_same(encoder_name):
    stage, _, batch = stage_of(patterns(24), encoder_name)
    judge, maker = stage.objectives
    kernel, bias = judge.variables[-2:]
    kernel.assign(kernel * 0)
    bias.assign([LOG(3)])  # all are real with a chance of 3/4
    measured = {name: float(value) for name, value in judge.loss(batch).items()}
    assert measured == pytest.approx(
        {"loss": -LOG(3 / 4) - LOG(1 / 4), "real": 1, "fake": 0, "slope": 0}, rel=1e-5
    )
    assert float(maker.loss(batch)["loss"]) == pytest.approx(-LOG(3 / 4), rel=1e-5)


@pytest.mark.parametrize("encoder_name", ["mlp", "convnet"])
def test_each_objective_moves_its_own_variables_and_no_other(encoder_name):
    """Bit for bit, in the compiled loop; so are the statistics of the generator's normalisation."""
    stage, setup, batch = stage_of(patterns(24), encoder_name)
    judge, maker = stage.objectives
    assert {id(v) for v in setup.encoder.trainable} < {id(v) for v in judge.variables}
    statistics = [v for v in maker.state if "moving" in v.path]
    assert statistics
    for objective, moves in (
        (judge, judge.variables),
        (maker, [*maker.variables, *statistics]),
    ):
        before, after = one_step(replace(stage, objectives=[objective]))
        moved = {name for name, value in before.items() if not np.array_equal(value, after[name])}
        assert moved == {id(v) for v in moves}
    before = [v.numpy() for v in stage.variables]
    for objective in stage.objectives:
        objective.loss(replace(batch, training=False))
    assert all(np.array_equal(v, b) for v, b in zip(stage.variables, before, strict=True))


def test_the_penalty_has_the_right_gradient_through_strided_convolutions():
    """The compiled step's gradient, read off a step of plain descent, against finite differences."""
    stage, _, batch = stage_of(patterns(24), "convnet", {"activation": "gelu"}, penalty=200.0)
    judge = replace(stage.objectives[0], optimizer=Optimizer(name="sgd"))
    rate = 1e-4
    before, after = one_step(replace(stage, objectives=[judge]), rate)
    steps = [before[id(v)] - after[id(v)] for v in judge.variables]
    size = np.sqrt(sum((step.astype(float) ** 2).sum() for step in steps))

    def loss(way):
        for v, step in zip(judge.variables, steps, strict=True):
            v.assign(before[id(v)] + way * step / size)
        return {name: float(value) for name, value in judge.loss(batch).items()}

    up, down = loss(3e-3), loss(-3e-3)
    assert (up["loss"] - down["loss"]) / 6e-3 == pytest.approx(size / rate, rel=0.02)
    # It is the penalty that was tested, and not the logits' part.
    assert 100 * (up["slope"] - down["slope"]) > 0.8 * (up["loss"] - down["loss"])


SHAPES = [(28, 28, 1), (8, 8, 1), (9, 7, 3), (1, 1, 2), (17, 2, 1), (6,), (1,)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_generator_makes_examples_of_any_shape_from_0_to_1(shape):
    from pretrain.encoders.encoder import seeded

    with seeded(0):
        make = generator(shape, 5, 4)
    noise = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    for training in (False, True):
        made = np.asarray(make(noise, training=training))
        assert made.shape == (6, *shape)
        assert made.std(axis=0).max() > 0.01
        # However far out the noise is.
        far = np.asarray(make(100 * noise, training=training))
        assert far.min() >= 0
        assert far.max() <= 1


def test_the_maps_double_from_a_small_one():
    assert map_sizes((28, 28, 1)) == [(7, 7), (14, 14), (28, 28)]
    assert map_sizes((96, 33, 3)) == [(6, 3), (12, 5), (24, 9), (48, 17), (96, 33)]
    assert map_sizes((7, 5, 1)) == [(7, 5)]


def test_the_look_shows_the_same_noise_each_time():
    stage, *_ = stage_of(patterns(24), "convnet", recipe={"epochs": 35})
    assert stage.snapshot_epochs == 4
    first, again = (stage.snapshot().pictures["samples"] for _ in range(2))
    assert first.dtype == np.uint8
    assert first.shape == (8 * 9 - 1, 8 * 9 - 1)
    assert np.array_equal(first, again)
    one_step(stage)
    assert not np.array_equal(first, stage.snapshot().pictures["samples"])
    assert stage_of(points(), "mlp")[0].snapshot is None
    assert stage_of(patterns(8, channels=2), "mlp")[0].snapshot is None


def test_the_generator_learns_where_the_examples_lie():
    from pretrain.engine.train import Run, train

    stage, *_ = stage_of(points(), "mlp", recipe={"epochs": 40, "batch_size": 16})
    train([stage], Run(seed=0, key="points"))
    make = generator((2,), 64, 64)
    trained = [*stage.objectives[1].variables, *stage.objectives[1].state]
    for mine, its in (
        (make.trainable_weights, stage.objectives[1].variables),
        (make.non_trainable_weights, [v for v in trained if "moving" in v.path]),
    ):
        for variable, value in zip(mine, its, strict=True):
            variable.assign(value)
    noise = np.random.default_rng(1).normal(size=(200, 64)).astype(np.float32)
    found = np.asarray(make(noise, training=False))
    assert found.mean(axis=0) == pytest.approx([0.8, 0.2], abs=0.1)
    assert 0.005 < found.std(axis=0).max() < 0.1


def test_adams_first_moment_is_the_recipes():
    assert strategy("gan").recipe.optimizer.make().beta_1 == 0.5
    assert Optimizer().make().beta_1 == 0.9
