"""The mathematics of one restricted Boltzmann machine: energies, conditionals, Gibbs steps.

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

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


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
        import tensorflow as tf

        return tf.matmul(v, self.kernel) + self.hidden_bias

    def visible_field(self, h: Any) -> Any:
        """Return (B, D): the logits of p(v = 1 | h), or the mean of Gaussian visibles."""
        import tensorflow as tf

        below = tf.matmul(h, self.kernel, transpose_b=True)
        return self.visible_bias + (below if self.sigma is None else self.sigma**2 * below)

    def visible_means(self, field: Any) -> Any:
        """Return E[v | h], (B, D), from ``visible_field``."""
        import tensorflow as tf

        return tf.sigmoid(field) if self.sigma is None else field

    def free_energy(self, v: Any) -> Any:
        """Return F(v), (B,), in nats, up to the constant log Z."""
        import tensorflow as tf

        hidden = tf.reduce_sum(tf.nn.softplus(self.hidden_logits(v)), axis=1)
        if self.sigma is None:
            return -tf.linalg.matvec(v, self.visible_bias) - hidden
        return (
            tf.reduce_sum(tf.square(v - self.visible_bias), axis=1) / (2 * self.sigma**2) - hidden
        )

    def negative_log(self, v: Any, field: Any) -> Any:
        """Return -log p(v | h), (B,), from ``visible_field`` of h.

        Of Gaussian visibles without the constant D log(s sqrt(2 pi)); for Bernoulli ones v may be grey.
        """
        import tensorflow as tf

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
        import tensorflow as tf

        if self.sigma is None:
            return bernoulli(field, seed)
        return field + tf.random.stateless_normal(tf.shape(field), seed, stddev=self.sigma)

    def gibbs(
        self, v: Any, steps: int, draw: Callable[[int], Any], *, means: bool
    ) -> tuple[Any, Any]:
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
    import tensorflow as tf

    chances = tf.random.stateless_uniform(tf.shape(logits), seed)
    return tf.cast(chances < tf.sigmoid(logits), tf.float32)


def contrastive(machine: Machine, data: Any, model: Any) -> Any:
    """Return the scalar mean F(data) - mean F(model), whose gradient the learning follows downhill.

    data: (B, D) examples. model: (M, D) samples of the model, taken as constants. When they are true
    samples, this gradient is in expectation that of -log p(data) (Hinton 2010, equation 5):
    with respect to W it is mean over samples of v p(h | v) less mean over data of v p(h | v).
    """
    import tensorflow as tf

    model = tf.stop_gradient(model)
    return tf.reduce_mean(machine.free_energy(data)) - tf.reduce_mean(machine.free_energy(model))
