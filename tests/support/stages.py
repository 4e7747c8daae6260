"""Small stages for tests of the engine, runs of two of them, and their slow reference in NumPy."""

import keras
import numpy as np
import tensorflow as tf

from pretrain.engine.checkpoint import Checkpoints
from pretrain.engine.order import learning_rates, permutation
from pretrain.engine.program import Programs
from pretrain.engine.progress import Reporter
from pretrain.engine.session import Session
from pretrain.engine.stage import Objective, Optimizer, Stage
from pretrain.engine.train import Run, train

STEPS = 18  # two stages of three epochs of three steps

# Compiled once for all tests but those that are about a fresh process.
SHARED = Programs()


def data(n, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3)).astype(np.float32)
    noise = 0.1 * rng.normal(size=n)
    return {"x": x, "y": (x @ np.array([1.0, -2.0, 0.5]) + 0.3 + noise).astype(np.float32)}


class Linear:
    """Least squares: loss mean((x w + b - y)^2) on x (N, 3), y (N,)."""

    def __init__(self, n=10, **how):
        self.w = keras.Variable(np.full((3, 1), 0.2, np.float32), name="w")
        self.b = keras.Variable(np.zeros(1, np.float32), name="b")
        self.how = {
            "arrays": data(n),
            "epochs": 2,
            "batch_size": 4,
            "learning_rate": 0.05,
            "schedule": "cosine",
            **how,
        }
        self.optimizer = self.how.pop("optimizer", Optimizer(name="adam"))

    def loss(self, batch):
        error = tf.matmul(batch.x, self.w.value)[:, 0] + self.b.value[0] - batch.y
        return {
            "loss": tf.reduce_mean(error**2),
            "absolute": tf.reduce_mean(tf.abs(error)),
            "training": tf.constant(float(batch.training)),
            "random": tf.random.stateless_uniform([], batch.seed),
        }

    def stage(self, name="linear", **objective):
        fields = {
            "name": "fit",
            "loss": self.loss,
            "metrics": ("absolute", "training", "random"),
            "variables": [self.w, self.b],
            "optimizer": self.optimizer,
        }
        return Stage(name=name, objectives=[Objective(**(fields | objective))], **self.how)

    def values(self):
        return [self.w.numpy(), self.b.numpy()]


class Two:
    """A second stage whose data are the first stage's result."""

    def __init__(self, epochs=3):
        self.first = Linear(epochs=3, validation=data(4))
        self.second = Linear(epochs=epochs)

    def stages(self):
        yield self.first.stage("first")
        x = self.second.how["arrays"]["x"] * self.first.w.numpy()[:, 0]
        self.second.how["arrays"] = {**self.second.how["arrays"], "x": x}
        self.second.b.assign(self.first.b.value)
        yield self.second.stage("second")

    def bits(self):
        return [v.tobytes() for v in (*self.first.values(), *self.second.values())]


def run_two(
    folder=None, *, reporter=None, resume=False, programs=SHARED, seconds=5.0, epochs=3, **how
):
    two = Two(epochs)
    run = Run(
        seed=4,
        key="two",
        session=Session(
            checkpoints=folder and Checkpoints(folder, {"run": "two"}, seconds),
            reporter=reporter or Reporter(),
            resume=resume,
        ).sharing(programs),
        **how,
    )
    train(two.stages(), run)
    return two.bits(), run


def reference(stage, values, *, seed, index=0):
    """Train ``stage`` of a Linear in float64, example by example; return w (3,) and b."""
    w, b = values[0][:, 0].astype(float), float(values[1][0])
    theta, first, second = np.array([*w, b]), np.zeros(4), np.zeros(4)
    x, y = stage.arrays["x"].astype(float), stage.arrays["y"].astype(float)
    how, step = stage.objectives[0].optimizer, 0
    for epoch in range(stage.passes):
        order = permutation(len(x), seed, index, epoch)
        steps = -(-len(x) // stage.batch_size)
        rates = learning_rates(stage.learning_rate, stage.schedule, epoch, steps, stage.updates)
        for i, rate in enumerate(rates.astype(float)[: stage.steps_in(epoch)]):
            step += 1
            gradient = np.zeros(4)
            rows = order[i * stage.batch_size : (i + 1) * stage.batch_size]
            for row in rows:
                inputs = np.array([*x[row], 1.0])
                gradient += 2 * (theta @ inputs - y[row]) * inputs / len(rows)
            if how.name == "sgd":
                first = how.momentum * first - rate * gradient
                theta = theta + first
            else:  # Kingma & Ba 2015, algorithm 1 in the order of section 2's end
                first = 0.9 * first + 0.1 * gradient
                second = 0.999 * second + 0.001 * gradient**2
                scale = rate * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
                theta = theta - scale * first / (np.sqrt(second) + 1e-7)
    return theta[:3], theta[3]
