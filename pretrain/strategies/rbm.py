"""``rbm``: a stack of restricted Boltzmann machines, each on what the one below makes of the data.

Hinton & Salakhutdinov 2006, "Reducing the Dimensionality of Data with Neural Networks". One stage a
block: the dense layer's kernel (D, H) and bias (H,) are the machine's own, its visible bias (D,) is kept
aside. A stage's gradient is that of mean F(v0) - mean F(vk): v0 (B, D) is the batch, and vk comes from v0 by
``k`` Gibbs steps (contrastive divergence, CD-k: Hinton 2002), or is ``persistent`` chains which go on from
step to step (PCD: Tieleman 2008, "Training Restricted Boltzmann Machines Using Approximations to the
Likelihood Gradient"). PCD follows the likelihood more closely in the end, but needs several times the
updates.

That difference says little about how learning goes, and CD follows the gradient of no function. So the value
shown as the loss is the mean squared error of one step down from hidden units drawn given v0, and
the gradient is the other's: loss = stop(error) + (cd - stop(cd)), where stop() passes no gradient.
``reconstruction`` is -log p(v0 | h) of that same step, and ``free_energy`` is mean F(v0): both in nats
an example. Free energies have an unknown constant, and compare only with the same weights: when
``val_free_energy`` rises away from ``free_energy``, the machine overfits (Hinton 2010, section 6).

Each layer starts with weights of standard deviation 0.01 (the encoder's own, scaled down), hidden biases
0, and a visible bias that gives the data's mean (Hinton 2010, section 8). Layers above the first have
Bernoulli visibles, which are the probabilities of the layer below. Gaussian inputs are not standardised:
they are in [0, 1] as any encoder sees them, so ``sigma`` is in that unit, and what the hidden units leave
unexplained of an image is some 0.1 to 0.3 (after standardising it would be about 1).

With ``finetune`` epochs a last stage, "unrolled", trains encoder and decoder together as an autoencoder;
the decoder starts from the transposed kernels and the visible biases, and is then free.

Visible units v (B, D), hidden units h (B, H) in {0, 1}; kernel W (D, H), visible bias b (D,), hidden
bias c (H,). Bernoulli visibles, v in {0, 1} (Smolensky 1986; Hinton 2010, equations 1, 7, 8 and 25):

    E(v, h) = -b.v - c.h - v W h
    F(v)    = -log sum over h of exp(-E(v, h)) = -b.v - sum over units of softplus(v W + c)
    p(h = 1 | v) = sigmoid(v W + c),   p(v = 1 | h) = sigmoid(b + W h)

Gaussian visibles of a known standard deviation s replace -b.v by |v - b|^2 / (2 s^2):

    F(v) = |v - b|^2 / (2 s^2) - sum over units of softplus(v W + c)
    p(h = 1 | v) = sigmoid(v W + c),   v | h ~ N(b + s^2 W h, s^2)

The last line is the square completed: |v - b|^2 / (2 s^2) - v W h has its minimum at b + s^2 W h. Here W
multiplies v itself, not v / s as in Hinton's equation 17, so a dense layer of W and c is p(h | v) as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.errors import require
from headstart.lazy import keras, tf
from pretrain.encoders.base import Option, choice, integer, number
from pretrain.engine.stage import Batch, Objective, Optimizer, Stage, StageSnapshot
from pretrain.monitoring.image_grid import drawable, tile
from pretrain.strategies.autoencoder import reconstruction_loss
from pretrain.strategies.base import Loss, Recipe, Setup, Strategy, in_parts

START = 0.01  # standard deviation of a layer's first weights, or below
# Of a visible unit by its bias alone, so that pixels that are always 0 can learn.
MIN_PROBABILITY = 0.01
ROWS = 4096  # examples at a time where a whole array goes through a layer
SHOWN = 100  # tiles in a picture
SNAPSHOT_EPOCHS = 5
Prepare = Callable[[Any], Any]
"""From rows of a stage's array to what a layer or a machine is given."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A restricted Boltzmann machine on variables or tensors, float32.

    kernel: (D, H); visible_bias: (D,); hidden_bias: (H,).
    sigma: standard deviation of Gaussian visibles; None for Bernoulli ones.
    """

    kernel: Any
    visible_bias: Any
    hidden_bias: Any
    sigma: float | None = None

    def hidden_logits(self, v: Any) -> Any:
        """Return v W + c, (B, H): the logits of p(h = 1 | v)."""
        return tf.matmul(v, self.kernel) + self.hidden_bias

    def visible_field(self, h: Any) -> Any:
        """Return (B, D): the logits of p(v = 1 | h), or the mean of Gaussian visibles."""
        below = tf.matmul(h, self.kernel, transpose_b=True)
        return self.visible_bias + (below if self.sigma is None else self.sigma**2 * below)

    def visible_means(self, field: Any) -> Any:
        """Return E[v | h], (B, D), from ``visible_field``."""
        return tf.sigmoid(field) if self.sigma is None else field

    def free_energy(self, v: Any) -> Any:
        """Return F(v), (B,), in nats, up to the constant log Z."""
        hidden = tf.reduce_sum(tf.nn.softplus(self.hidden_logits(v)), axis=1)
        if self.sigma is None:
            return -tf.linalg.matvec(v, self.visible_bias) - hidden
        squares = tf.reduce_sum(tf.square(v - self.visible_bias), axis=1)
        return squares / (2 * self.sigma**2) - hidden

    def negative_log(self, v: Any, field: Any) -> Any:
        """Return -log p(v | h), (B,), from ``visible_field`` of h.

        Of Gaussian visibles without the constant D log(s sqrt(2 pi)); for Bernoulli ones v may be grey.
        """
        if self.sigma is None:
            each = tf.nn.sigmoid_cross_entropy_with_logits(v, field)
        else:
            each = tf.square(v - field) / (2 * self.sigma**2)
        return tf.reduce_sum(each, axis=1)

    def up(self, v: Any, seed: Any) -> Any:
        """Return a sample of h given v, 0 or 1, (B, H); ``seed`` int32 (2,)."""
        return bernoulli(self.hidden_logits(v), seed)

    def down(self, field: Any, seed: Any) -> Any:
        """Return a sample of v, (B, D), from ``visible_field``; ``seed`` int32 (2,)."""
        if self.sigma is None:
            return bernoulli(field, seed)
        return field + tf.random.stateless_normal(tf.shape(field), seed, stddev=self.sigma)

    def gibbs(self, v: Any, steps: int, draw: Any, *, means: bool) -> tuple[Any, Any]:
        """Return v after ``steps`` of Gibbs sampling, and the visible field of the first step, (B, D) each.

        draw: number -> seed, int32 (2,); numbers from 0 to 2 ``steps`` - 1 are used.
        means: put E[v | h] in place of a sample of v. Less noise, and what grey data are like (Hinton
            2010, section 3.2), but it is no sample of the model any more. Hidden units are always drawn.
        """
        first = None
        for step in range(steps):
            field = self.visible_field(self.up(v, draw(2 * step)))
            first = field if first is None else first
            v = self.visible_means(field) if means else self.down(field, draw(2 * step + 1))
        return v, first


def bernoulli(logits: Any, seed: Any) -> Any:
    """Return float32 0 or 1 of the logits' shape, each 1 with chance sigmoid(logit)."""
    chances = tf.random.stateless_uniform(tf.shape(logits), seed)
    return tf.cast(chances < tf.sigmoid(logits), tf.float32)


def contrastive(machine: Machine, data: Any, model: Any) -> Any:
    """Return the scalar mean F(data) - mean F(model), whose gradient the learning follows downhill.

    data: (B, D) examples. model: (M, D) samples of the model, taken as constants. When they are true
    samples, this gradient is in expectation that of -log p(data) (Hinton 2010, equation 5):
    with respect to W it is mean over samples of v p(h | v) less mean over data of v p(h | v).
    """
    model = tf.stop_gradient(model)
    return tf.reduce_mean(machine.free_energy(data)) - tf.reduce_mean(machine.free_energy(model))


def check(options: Mapping[str, Any], encoder: Mapping[str, Any], y: np.ndarray | None) -> None:
    """Raise InputError when the encoder's units are not on with a probability."""
    given = encoder["options"]["activation"]
    require(
        given == "sigmoid",
        "encoder_options",
        "must set activation=sigmoid: the strategy 'rbm' trains units that are on with a probability",
        value=f"activation={given}",
        hint="Or leave the activation out.",
    )


def stages(setup: Setup) -> Iterator[Stage]:
    """Yield a stage for each block, the lowest first, then "unrolled" when ``finetune`` asks for it."""
    encoder, options = setup.encoder, setup.options
    size = math.prod(setup.input_shape)

    def raw(x: Any) -> Any:
        """Return raw examples (B, ...) as float32 (B, D) in [0, 1]."""
        return tf.reshape(setup.preprocess(x), [-1, size])

    def same(x: Any) -> Any:
        return x

    arrays, validation, prepare = setup.arrays, setup.validation, raw
    machines = []
    for i, (name, block) in enumerate(encoder.blocks, start=1):
        kernel, hidden_bias = (encoder.variables[f"{name}/dense/{w}"] for w in ("kernel", "bias"))
        gaussian = i == 1 and options["visible"] == "gaussian"
        mean = _mean(prepare, arrays["x"])
        if not gaussian:
            chance = np.clip(mean, MIN_PROBABILITY, 1 - MIN_PROBABILITY)
            mean = np.log(chance / (1 - chance))
        visible_bias = _variable(mean, f"visible_bias{i}")
        size_now = np.sqrt(np.mean(np.square(kernel.numpy())))
        kernel.assign(kernel.numpy() * (START / max(START, size_now)))
        machine = Machine(
            kernel=kernel.value,
            visible_bias=visible_bias.value,
            hidden_bias=hidden_bias.value,
            sigma=options["sigma"] if gaussian else None,
        )
        machines.append(machine)
        chains = None
        if options["persistent"]:
            rows = np.arange(options["persistent"]) % len(arrays["x"])
            chains = _variable(np.asarray(prepare(arrays["x"][rows])), f"chains{i}")
        yield setup.stage(
            f"rbm{i}",
            Objective(
                name="cd" if chains is None else "pcd",
                loss=_loss(machine, prepare, options["k"], chains),
                metrics=("free_energy", "reconstruction"),
                variables=[kernel, hidden_bias, visible_bias],
                state=[] if chains is None else [chains],
                optimizer=setup.recipe.optimizer,
            ),
            arrays={"x": arrays["x"]},
            validation=validation and {"x": validation["x"]},
            snapshot=_snapshot(setup, machine, raw) if i == 1 else None,
            snapshot_epochs=SNAPSHOT_EPOCHS,
        )
        # The next layer learns from what this one makes of the data, computed once.
        through = _through(block, setup.preprocess if i == 1 else same)
        arrays = {"x": in_parts(through, arrays["x"], ROWS)}
        validation = validation and {"x": in_parts(through, validation["x"], ROWS)}
        prepare = same
    if options["finetune"]:
        yield _unrolled(setup, machines, raw)


def _loss(machine: Machine, prepare: Prepare, k: int, chains: Any) -> Loss:
    """Return the loss of one layer; ``chains``: a variable (M, D) that it moves on, or None for CD."""

    def loss(batch: Batch) -> Mapping[str, Any]:
        v = prepare(batch.x)
        steps = k if batch.training and chains is None else 1
        model, field = machine.gibbs(v, steps, batch.draw, means=True)
        error = tf.reduce_mean(tf.square(v - machine.visible_means(field)))
        found = tf.stop_gradient(error)
        if batch.training:
            if chains is not None:
                # Real samples, so that the chains wander as the model's distribution has it.
                model, _ = machine.gibbs(
                    chains.value, k, lambda number: batch.draw(1000 + number), means=False
                )
                chains.assign(model)
            cd = contrastive(machine, v, model)
            found += cd - tf.stop_gradient(cd)  # adds nothing but the gradient
        return {
            "loss": found,
            "free_energy": tf.reduce_mean(machine.free_energy(v)),
            "reconstruction": tf.reduce_mean(machine.negative_log(v, field)),
        }

    return loss


def _unrolled(setup: Setup, machines: list[Machine], raw: Prepare) -> Stage:
    """Return the stage that trains encoder and decoder together, by cross-entropy or squared error."""
    gaussian = machines[0].sigma is not None
    decoder = []
    for i, machine in reversed(list(enumerate(machines, start=1))):
        scale = 1.0 if machine.sigma is None else machine.sigma**2
        kernel = _variable(scale * np.transpose(machine.kernel), f"unrolled_kernel{i}")
        decoder.append((kernel, _variable(np.asarray(machine.visible_bias), f"unrolled_bias{i}")))

    def loss(batch: Batch) -> Mapping[str, Any]:
        x, hidden = raw(batch.x), setup.features(batch.x, batch.training)
        for i, (kernel, bias) in enumerate(decoder):
            hidden = tf.sigmoid(hidden) if i else hidden
            hidden = tf.matmul(hidden, kernel.value) + bias.value
        if gaussian:
            return {"loss": tf.reduce_mean(tf.square(x - hidden))}
        return {"loss": reconstruction_loss(x, hidden, "bce")}

    return setup.stage(
        "unrolled",
        Objective(
            name="reconstruct",
            loss=loss,
            variables=[*setup.encoder.trainable, *(v for pair in decoder for v in pair)],
            state=setup.encoder.state,
            optimizer=Optimizer(),
        ),
        epochs=setup.options["finetune"],
        learning_rate=setup.options["finetune_rate"],
    )


def _snapshot(setup: Setup, machine: Machine, raw: Prepare) -> Callable[[], StageSnapshot] | None:
    """Return what shows the lowest layer of an encoder of images: its filters, and reconstructions."""
    shape = setup.input_shape
    if not drawable(shape):
        return None
    examples = (setup.validation or setup.arrays)["x"][: SHOWN // 10]

    def snapshot() -> StageSnapshot:
        filters = np.transpose(machine.kernel)[:SHOWN]  # (units, D)
        # Each by its own largest weight; grey is 0.
        filters = 0.5 + 0.5 * filters / np.maximum(np.abs(filters).max(axis=1, keepdims=True), 1e-9)
        v = raw(examples)
        field = machine.visible_field(tf.sigmoid(machine.hidden_logits(v)))
        both = np.concatenate([v, machine.visible_means(field)])
        return StageSnapshot(
            pictures={
                "filters": tile(filters.reshape(-1, *shape), columns=10),
                # Examples above, what the layer makes of them below.
                "reconstructions": tile(both.reshape(-1, *shape), columns=len(examples)),
            }
        )

    return snapshot


def _variable(value: np.ndarray, name: str) -> Any:
    """Return a float32 Keras variable that starts with ``value``."""
    return keras.Variable(np.asarray(value, np.float32), dtype="float32", name=name)


def _mean(prepare: Prepare, x: np.ndarray) -> np.ndarray:
    """Return the mean example, float64 (D,), of raw examples (N, ...)."""
    total: Any = 0.0
    for start in range(0, len(x), ROWS):
        total = total + np.asarray(prepare(x[start : start + ROWS]), np.float64).sum(axis=0)
    return np.asarray(total / len(x))


def _through(block: Any, prepare: Prepare) -> Prepare:
    return lambda rows: block(prepare(rows), training=False)


ROW = Strategy(
    name="rbm",
    summary="a stack of restricted Boltzmann machines, layer by layer; sigmoid mlp only",
    stages=stages,
    check=check,
    encoders={"mlp": {"activation": "sigmoid", "units": [500, 250]}},
    # By accuracy after a transfer to 100 labels, on held-out training images: on mnist-tenth 1e-3 to 1e-2
    # and 10 to 50 epochs differ by less than the draw of the labels; on digits, with few updates, 1e-3
    # leaves the first layer half trained and is worse than no pretraining.
    recipe=Recipe(epochs=20, batch_size=64, learning_rate=5e-3),
    options={
        "visible": Option(
            default="bernoulli",
            help="what an input value is: bernoulli (the chance of being on), or gaussian",
            parse=choice("bernoulli", "gaussian"),
        ),
        "sigma": Option(
            default=0.3,
            help="standard deviation of gaussian inputs given the layer above, inputs being 0 to 1",
            parse=number(0.01, 10),
        ),
        "k": Option(1, "Gibbs steps for each update (CD-k)", integer(1, 50)),
        "persistent": Option(
            default=0,
            help="chains that go on from update to update (PCD); 0 starts them at the batch (CD)",
            parse=integer(0, 100_000),
        ),
        "finetune": Option(
            default=0,
            help="epochs of training the unrolled stack as an autoencoder at the end",
            parse=integer(0, 100_000),
        ),
        "finetune_rate": Option(1e-3, "learning rate of these epochs (Adam)", number(1e-9, 10)),
    },
)
