"""The strategy of stacked RBMs: its stages against the textbook, and what they show."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from pretraining import pretrained
from toys import patterns

from pretrain.config import PretrainConfig
from pretrain.encoders import encoder_config
from pretrain.encoders.encoder import Preprocessing
from pretrain.engine.stage import Batch
from pretrain.strategies import strategy
from pretrain.strategies.base import Setup
from tasks.dataset import Dataset

V = np.array(list(itertools.product([0.0, 1.0], repeat=4)))  # (16, 4), every visible state


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def setup(pool=None, units=(6, 5), **options):
    from pretrain.encoders.encoder import Encoder

    pool = pool or patterns(24)
    row = strategy("rbm")
    config = encoder_config(
        "mlp", pool.input_shape, {"activation": "sigmoid", "units": list(units)}
    )
    return Setup(
        encoder=Encoder(config, seed=1),
        preprocess=Preprocessing.fit(pool),
        arrays={"x": pool.x},
        validation={"x": patterns(9, seed=4).x} if pool.input_shape == (8, 8, 1) else None,
        n_classes=0,
        options={n: option.default for n, option in row.options.items()} | options,
        recipe=row.recipe,
    )


def first(**options):
    """The first stage, and W, c and b of its machine after they were made large at random."""
    made = setup(**options)
    stage = next(iter(strategy("rbm").stages(made)))
    rng = np.random.default_rng(5)
    numbers = []
    for variable in stage.objectives[0].variables:
        numbers.append(rng.normal(0, 0.5, variable.shape))
        variable.assign(numbers[-1])
    return stage, numbers


def batch_of(stage, training=True, seed=9):
    import tensorflow as tf

    x = stage.arrays["x"]
    return Batch(arrays={"x": tf.constant(x)}, seed=tf.constant([seed, 0]), training=training)


def measured(objective, batch):
    """What the loss returns, and its gradient."""
    import tensorflow as tf

    with tf.GradientTape() as tape:
        found = objective.loss(batch)
    gradient = tape.gradient(found["loss"], [v.value for v in objective.variables])
    return {n: float(v) for n, v in found.items()}, [np.asarray(g) for g in gradient]


def textbook(v0, v1, w, c):
    """<v h> under the reconstructions less <v h> under the data: [W, c, b]."""
    h0, h1 = sigmoid(v0 @ w + c), sigmoid(v1 @ w + c)
    return [
        v1.T @ h1 / len(v1) - v0.T @ h0 / len(v0),
        h1.mean(axis=0) - h0.mean(axis=0),
        v1.mean(axis=0) - v0.mean(axis=0),
    ]


def uniform(batch, number, shape):
    import tensorflow as tf

    return np.asarray(tf.random.stateless_uniform(shape, batch.draw(number)))


@pytest.mark.parametrize("k", [1, 3])
def test_the_stages_gradient_is_the_textbooks_and_its_loss_the_reconstructions_error(k):
    stage, (w, c, b) = first(k=k)
    batch = batch_of(stage)
    v0 = stage.arrays["x"].reshape(24, 64) / 255
    v, steps = v0, []
    for step in range(k):
        h = uniform(batch, 2 * step, (24, 6)) < sigmoid(v @ w + c)
        v = sigmoid(b + h @ w.T)
        steps.append(v)
    found, gradient = measured(stage.objectives[0], batch)
    for ours, expected in zip(gradient, textbook(v0, v, w, c), strict=True):
        assert ours == pytest.approx(expected, abs=1e-5)
        assert np.abs(expected).max() > 0.01
    r = steps[0]
    cross = -(v0 * np.log(r) + (1 - v0) * np.log(1 - r)).sum(axis=1).mean()
    free = -(v0 @ b) - np.log1p(np.exp(v0 @ w + c)).sum(axis=1)
    assert found["loss"] == pytest.approx(((v0 - r) ** 2).mean(), rel=1e-5)
    assert found["reconstruction"] == pytest.approx(cross, rel=1e-5)
    assert found["free_energy"] == pytest.approx(free.mean(), rel=1e-4)
    assert set(found) == {"loss", *stage.objectives[0].metrics}


def test_gaussian_stages_gradient_is_the_textbooks():
    stage, (w, c, b) = first(visible="gaussian", sigma=0.4)
    batch = batch_of(stage)
    v0 = stage.arrays["x"].reshape(24, 64) / 255
    h = uniform(batch, 0, (24, 6)) < sigmoid(v0 @ w + c)
    v1 = b + 0.16 * h @ w.T
    found, gradient = measured(stage.objectives[0], batch)
    kernel, hidden, visible = textbook(v0, v1, w, c)
    for ours, expected in zip(gradient, (kernel, hidden, visible / 0.16), strict=True):
        assert ours == pytest.approx(expected, abs=1e-4)
    assert found["loss"] == pytest.approx(((v0 - v1) ** 2).mean(), rel=1e-5)


def test_chains_go_on_from_where_they_were_and_only_in_training():
    stage, (w, c, b) = first(persistent=30)
    (objective,) = stage.objectives
    (chains,) = objective.state
    v0 = stage.arrays["x"].reshape(24, 64) / 255
    at = chains.numpy()
    assert np.allclose(at, v0[np.arange(30) % 24])
    objective.loss(batch_of(stage, training=False))
    assert np.array_equal(chains.numpy(), at)
    for seed in (9, 10):
        batch = batch_of(stage, seed=seed)
        h = uniform(batch, 1000, (30, 6)) < sigmoid(at @ w + c)
        expected = uniform(batch, 1001, (30, 64)) < sigmoid(b + h @ w.T)
        _, gradient = measured(objective, batch)
        assert np.array_equal(chains.numpy(), expected)
        assert not np.array_equal(chains.numpy(), at)
        at = chains.numpy()
        for ours, by_hand in zip(gradient, textbook(v0, at, w, c), strict=True):
            assert ours == pytest.approx(by_hand, abs=1e-5)


def test_where_a_layer_starts():
    made = setup()
    stage = next(iter(strategy("rbm").stages(made)))
    kernel, hidden_bias, visible_bias = (v.numpy() for v in stage.objectives[0].variables)
    assert np.sqrt((kernel**2).mean()) == pytest.approx(0.01, rel=1e-4)
    assert not hidden_bias.any()
    mean = (stage.arrays["x"] / 255).reshape(24, 64).mean(axis=0)
    assert sigmoid(visible_bias.astype(float)) == pytest.approx(mean, abs=1e-5)
    gaussian = next(iter(strategy("rbm").stages(setup(visible="gaussian"))))
    assert gaussian.objectives[0].variables[-1].numpy() == pytest.approx(mean, abs=1e-6)


def test_values_that_never_change_have_a_finite_bias():
    x = np.zeros((6, 8, 8, 1), np.uint8)
    x[:, 4:] = 255
    pool = Dataset(
        name="halves", x=x, y=None, x_test=None, y_test=None, class_names=None,
        value_range=(0, 255), source="made up",
    )  # fmt: skip
    stage = next(iter(strategy("rbm").stages(setup(pool))))
    chances = sigmoid(stage.objectives[0].variables[-1].numpy())
    assert chances == pytest.approx(np.repeat([0.01, 0.99], 32), rel=1e-4)


def test_the_next_layer_learns_from_the_probabilities_below():
    made = setup()
    stages = iter(strategy("rbm").stages(made))
    below = next(stages)
    kernel, bias, _ = below.objectives[0].variables
    kernel.assign(kernel * 100)
    bias.assign(bias + 0.3)
    above = next(stages)
    for found, raw in (
        (above.arrays["x"], below.arrays["x"]),
        (above.validation["x"], below.validation["x"]),
    ):
        expected = sigmoid((raw / 255).reshape(len(raw), 64) @ kernel.numpy() + bias.numpy())
        assert found == pytest.approx(expected, abs=1e-5)
    mine = {id(v) for v in above.variables}
    assert mine.isdisjoint({id(v) for v in below.variables})
    assert above.snapshot is None
    assert next(stages, None) is None


@pytest.mark.parametrize("visible", ["bernoulli", "gaussian"])
def test_unrolled_starts_as_the_stack_and_moves_both_halves(visible):
    import tensorflow as tf

    made = setup(visible=visible, sigma=0.5, finetune=2, finetune_rate=0.01)
    numbers = []
    rng = np.random.default_rng(2)
    for stage in strategy("rbm").stages(made):
        if stage.name == "unrolled":
            break
        for variable in stage.objectives[0].variables:
            variable.assign(rng.normal(0, 0.3, variable.shape))
        numbers.append([v.numpy().astype(float) for v in stage.objectives[0].variables])
    (w1, c1, b1), (w2, c2, b2) = numbers
    x = made.arrays["x"].reshape(24, 64) / 255
    top = sigmoid(sigmoid(x @ w1 + c1) @ w2 + c2)
    middle = sigmoid(top @ w2.T + b2)
    if visible == "gaussian":
        expected = ((x - b1 - 0.25 * middle @ w1.T) ** 2).mean()
    else:
        r = sigmoid(middle @ w1.T + b1)
        expected = -(x * np.log(r) + (1 - x) * np.log(1 - r)).mean()
    (objective,) = stage.objectives
    found, gradient = measured(objective, batch_of(stage))
    assert found["loss"] == pytest.approx(expected, rel=1e-5)
    assert (stage.epochs, stage.learning_rate) == (2, 0.01)
    assert len(gradient) == 8
    assert all(np.abs(g).max() > 0 for g in gradient)
    assert {id(v) for v in made.encoder.trainable} < {id(v) for v in objective.variables}
    assert tf.is_tensor(objective.loss(batch_of(stage, training=False))["loss"])


def test_pictures_of_filters_and_reconstructions():
    made = setup(units=(6,))
    (stage,) = strategy("rbm").stages(made)
    kernel, hidden_bias, visible_bias = stage.objectives[0].variables
    kernel.assign(np.random.default_rng(0).normal(0, 1, kernel.shape))
    pictures = stage.snapshot().pictures
    filters, both = pictures["filters"], pictures["reconstructions"]
    assert filters.shape == (8, 6 * 9 - 1)
    assert both.shape == (17, 9 * 9 - 1)
    w = kernel.numpy()[:, 2].reshape(8, 8)
    assert filters[:, 18:26] == pytest.approx(127.5 + 127.5 * w / np.abs(w).max(), abs=1)
    v = stage.validation["x"][3].reshape(64) / 255
    h = sigmoid(v @ kernel.numpy() + hidden_bias.numpy())
    r = sigmoid(visible_bias.numpy() + kernel.numpy() @ h).reshape(8, 8)
    assert np.array_equal(both[:8, 27:35], stage.validation["x"][3, ..., 0])
    assert both[9:, 27:35] == pytest.approx(255 * r, abs=1)


def test_vectors_are_learnt_and_have_no_pictures(tmp_path):
    x = np.random.default_rng(0).random((40, 3)).astype(np.float32)
    pool = Dataset(
        name="table", x=x, y=None, x_test=None, y_test=None, class_names=None,
        value_range=(0, 1), source="made up",
    )  # fmt: skip
    assert next(iter(strategy("rbm").stages(setup(pool)))).snapshot is None
    made = pretrained(
        pool,
        PretrainConfig(strategy="rbm", options={"visible": "gaussian"}, epochs=1),
        tmp_path / "w.h5",
    )
    assert [row["stage"] for row in made.history] == ["rbm1", "rbm2"]


def negative_likelihood(stage):
    """Mean -log p of the pool under the first machine, by summing over all visible states."""
    w, c, b = (v.numpy().astype(float) for v in stage.objectives[0].variables)

    def free(v):
        return -v @ b - np.log1p(np.exp(v @ w + c)).sum(axis=1)

    data = stage.arrays["x"].reshape(-1, 4) / 255
    return free(data).mean() + np.log(np.exp(-free(V)).sum())


@pytest.mark.parametrize("options", [{}, {"k": 3}, {"persistent": 64, "k": 5}], ids=str)
def test_training_finds_the_distribution(options):
    """Two patterns of 2x2, and now and then one of their pixels changed."""
    from pretrain.engine.train import Run, train

    x = np.repeat(np.array([[255, 255, 0, 0], [0, 0, 255, 255]], np.uint8), 32, axis=0)
    x[np.arange(0, 64, 3), np.arange(22) % 4] ^= 255
    pool = Dataset(
        name="pairs", x=x.reshape(-1, 2, 2, 1), y=None, x_test=None, y_test=None,
        class_names=None, value_range=(0, 255), source="made up",
    )  # fmt: skip
    (stage,) = strategy("rbm").stages(setup(pool, units=(3,), **options))
    _, counts = np.unique(x, axis=0, return_counts=True)
    best = -(counts / 64 * np.log(counts / 64)).sum()
    before = negative_likelihood(stage)
    assert before > best + 0.9
    stage = replace(stage, epochs=200, batch_size=16, learning_rate=0.01)
    train([stage], Run(seed=0, key="small"))
    assert negative_likelihood(stage) < best + 0.2
