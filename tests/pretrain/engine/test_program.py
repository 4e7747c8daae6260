"""The compiled steps: what they compute, on both paths, and that they are traced once."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from stages import Linear, data, reference

from pretrain.engine.program import XLA_STEPS, Programs, use_xla
from pretrain.engine.session import Session
from pretrain.engine.stage import Objective, Optimizer, Stage
from pretrain.engine.train import Run, train

OPTIMIZERS = [
    Optimizer(name="sgd"),
    Optimizer(name="sgd", momentum=0.9),
    Optimizer(name="adam"),
]


def fit(linear, *, seed=0, programs=None, **how):
    session = Session().sharing(programs or Programs())
    run = Run(seed=seed, key="linear", session=session, **how)
    train([linear.stage()], run)
    return run


@pytest.mark.parametrize("n", [3, 4, 10])
def test_every_example_counts_once_an_epoch(path, n):
    x = (2.0 ** np.arange(n)).astype(np.float32)[:, None]
    w = keras.Variable(1.0)
    objective = Objective(
        name="sum",
        loss=lambda batch: {"loss": tf.reduce_mean(batch.x) + 0 * w.value},
        variables=[w],
    )
    stage = Stage(
        name="sum",
        objectives=[objective],
        arrays={"x": x},
        epochs=3,
        batch_size=4,
        learning_rate=0.1,
    )
    run = Run(seed=0, key="sum")
    train([stage], run)
    # Sums of different powers of two differ: one example lost or seen twice would show.
    assert [row["loss"] for row in run.history] == pytest.approx([(2**n - 1) / n] * 3, rel=1e-5)
    assert run.updates == 3 * -(-n // 4)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=["sgd", "momentum", "adam"])
def test_training_equals_a_slow_reference(path, optimizer):
    linear = Linear(n=10, optimizer=optimizer, epochs=3)
    w, b = reference(linear.stage(), linear.values(), seed=5)
    fit(linear, seed=5)
    assert linear.values()[0][:, 0] == pytest.approx(w, rel=2e-5, abs=5e-6)
    assert linear.values()[1][0] == pytest.approx(b, rel=2e-5, abs=5e-6)


def test_one_step_is_the_gradient_step():
    linear = Linear(n=4, optimizer=Optimizer(name="sgd"), epochs=1, schedule="constant")
    x, y = (linear.how["arrays"][name].astype(float) for name in "xy")
    error = x @ np.full(3, 0.2) - y
    run = fit(linear)
    assert linear.values()[0][:, 0] == pytest.approx(0.2 - 0.05 * 2 * x.T @ error / 4, rel=1e-6)
    assert linear.values()[1][0] == pytest.approx(-0.05 * 2 * error.mean(), rel=1e-6)
    assert run.history[0]["loss"] == pytest.approx((error**2).mean(), rel=1e-6)


def test_the_two_ways_agree(monkeypatch):
    found = []
    for xla in (False, True):
        monkeypatch.setattr("pretrain.engine.train.use_xla", lambda stage, xla=xla: xla)
        linear = Linear(n=50, epochs=4)
        run = fit(linear)
        found.append((linear.values(), run.history))
    (graph, history), (xla, xla_history) = found
    for a, b in zip(graph, xla, strict=True):
        assert a == pytest.approx(b, rel=1e-5)
    for a, b in zip(history, xla_history, strict=True):
        # Not "random": TensorFlow leaves it to each compiler which generator it uses.
        assert [a[k] for k in ("loss", "absolute")] == pytest.approx(
            [b[k] for k in ("loss", "absolute")], rel=1e-5
        )


def test_validation_metrics_equal_a_direct_computation(path):
    held_out = data(1030, seed=9)  # two batches of 512, and a part of one
    linear = Linear(validation=held_out, epochs=2)
    history = fit(linear).history
    w, b = linear.values()
    error = held_out["x"].astype(float) @ w[:, 0].astype(float) + b[0] - held_out["y"]
    assert history[-1]["val_loss"] == pytest.approx((error**2).mean(), rel=1e-5)
    assert history[-1]["val_absolute"] == pytest.approx(np.abs(error).mean(), rel=1e-5)
    assert (history[-1]["training"], history[-1]["val_training"]) == (1.0, 0.0)
    names = ("loss", "absolute", "training", "random")
    assert list(history[0]) == ["stage", "epoch", *names, *(f"val_{name}" for name in names)]


def test_random_numbers_are_a_function_of_seed_and_step(path):
    programs = Programs()
    runs = [fit(Linear(), seed=seed, programs=programs).history for seed in (1, 1, 2)]
    drawn = [[row["random"] for row in history] for history in runs]
    assert drawn[0] == drawn[1]
    assert len({*drawn[0], *drawn[2]}) == 4  # two epochs each, all different


def test_runs_of_one_shape_are_traced_once():
    programs = Programs()
    fit(Linear(n=10, validation=data(5)), programs=programs)
    traced = programs.traces
    assert traced > 0
    for seed, n in ((1, 10), (2, 10), (0, 23), (0, 3)):  # other seeds, other label budgets
        fit(Linear(n=n, validation=data(n)), seed=seed, programs=programs)
        assert programs.traces == traced
    fit(Linear(n=10, batch_size=5), programs=programs)
    assert programs.traces > traced


def test_other_seeds_do_not_compile_again_with_xla(monkeypatch):
    monkeypatch.setattr("pretrain.engine.train.use_xla", lambda stage: True)
    programs = Programs()
    fit(Linear(n=10), programs=programs)
    traced = programs.traces
    fit(Linear(n=10), seed=1, programs=programs)
    assert programs.traces == traced


def test_sharing_compiled_steps_gives_the_same_bits(path):
    def bits(seed, programs):
        linear = Linear()
        history = fit(linear, seed=seed, programs=programs).history
        return history, [value.tobytes() for value in linear.values()]

    alone = {seed: bits(seed, Programs()) for seed in (0, 1)}
    programs = Programs()
    for seed in (1, 0):
        assert bits(seed, programs) == alone[seed]


def test_what_no_objective_moves_stays_bitwise(path):
    linear = Linear()
    before = linear.b.numpy()
    train([linear.stage(variables=[linear.w], state=[linear.b])], Run(seed=0, key="frozen"))
    assert linear.b.numpy().tobytes() == before.tobytes()
    assert not np.array_equal(linear.w.numpy(), Linear().w.numpy())


def test_a_variable_that_is_declared_nowhere_is_refused(path):
    linear = Linear()
    with pytest.raises(ValueError, match=r"The stage 'linear' computes with a variable that none"):
        train([linear.stage(variables=[linear.w])], Run(seed=0, key="undeclared"))


def test_a_variable_that_the_loss_does_not_use_is_refused(path):
    linear = Linear()
    stray = keras.Variable(1.0, name="stray")
    with pytest.raises(ValueError, match=r"objective 'fit' does not depend on \['stray'\]"):
        train([linear.stage(variables=[linear.w, linear.b, stray])], Run(seed=0, key="unused"))


def test_after_is_called_once_an_update(path):
    linear = Linear(n=10, epochs=3)
    count = keras.Variable(0.0, name="count")
    stage = linear.stage(state=[count], after=lambda batch: count.assign(count + 1))
    train([stage], Run(seed=0, key="after"))
    assert float(count.numpy()) == 9


def test_two_objectives_move_their_own_variables(path):
    linear = Linear(optimizer=Optimizer(name="sgd"))
    other = keras.Variable(1.0, name="other")

    def shrink(batch):
        return {"loss": other.value**2}

    stage = Stage(
        name="two",
        objectives=[
            Objective(name="fit", loss=linear.loss, variables=[linear.w, linear.b]),
            Objective(
                name="shrink", loss=shrink, variables=[other], optimizer=Optimizer(name="sgd")
            ),
        ],
        **{**linear.how, "epochs": 1, "schedule": "constant"},
    )
    run = Run(seed=0, key="two")
    train([stage], run)
    assert set(run.history[0]) == {"stage", "epoch", "fit_loss", "shrink_loss"}
    assert float(other.numpy()) == pytest.approx((1 - 2 * 0.05) ** 3, rel=1e-6)


@pytest.mark.parametrize(
    ("steps", "convolutional", "expected"),
    [(XLA_STEPS, False, True), (XLA_STEPS - 1, False, False), (10 * XLA_STEPS, True, False)],
)
def test_compiling_is_chosen_by_the_planned_steps_and_never_for_convolutions(
    steps, convolutional, expected
):
    stage = Linear(n=9, epochs=steps, batch_size=8, convolutional=convolutional).stage()
    assert use_xla(stage) is expected  # the ninth example is a partial batch, on the other path


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=["sgd", "momentum", "adam"])
def test_each_variable_has_its_own_learning_rate(path, optimizer):
    x = np.ones((4, 1), np.float32)
    moved = {}
    for scales in (None, [1.0, 0.5, 0.0]):
        w = [keras.Variable(1.0) for _ in range(3)]
        objective = Objective(
            name="sum",
            loss=lambda batch, w=w: {
                "loss": tf.reduce_mean(batch.x) * tf.add_n([v.value for v in w])
            },
            variables=w,
            optimizer=optimizer,
            scales=scales,
        )
        stage = Stage(
            name="sum",
            objectives=[objective],
            arrays={"x": x},
            epochs=3,
            batch_size=4,
            learning_rate=0.01,
        )
        train([stage], Run(seed=0, key="scales"))
        moved[scales is None] = [float(v.numpy()) - 1 for v in w]
    alike, scaled = moved[True], moved[False]
    assert alike[0] == alike[1] == alike[2] != 0
    # The gradient is the same at each step, so a step is as long as its rate.
    assert scaled == pytest.approx([alike[0], alike[0] / 2, 0.0], rel=1e-3)
