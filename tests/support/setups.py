"""What strategies are given, for tests of their losses against numbers from elsewhere."""

from types import SimpleNamespace

import numpy as np
from toys import patterns

from pretrain.encoders import encoder_config
from pretrain.encoders.encoder import Preprocessing
from pretrain.engine.stage import Batch
from pretrain.strategies import strategy
from pretrain.strategies.base import Setup


def setup_of(name, encoder, pool=None, *, held_out=None, encoder_options=None, **options):
    """A setup on the pool's raw examples; ``encoder``: an architecture's name, or a stand-in."""
    from pretrain.encoders.encoder import Encoder

    pool = patterns(24) if pool is None else pool
    row = strategy(name)
    if isinstance(encoder, str):
        encoder = Encoder(encoder_config(encoder, pool.input_shape, encoder_options), seed=1)
    return Setup(
        encoder=encoder,
        preprocess=Preprocessing.fit(pool),
        arrays={"x": pool.x},
        validation=held_out and {"x": held_out.x},
        n_classes=0,
        options={n: option.default for n, option in row.options.items()} | options,
        recipe=row.recipe,
    )


def batch_of(arrays, *, seed=0, training=True):
    """A batch of all rows of ``arrays``, with random numbers of its own."""
    import tensorflow as tf

    tensors = {name: tf.constant(array) for name, array in arrays.items()}
    return Batch(arrays=tensors, seed=tf.constant([seed, 0]), training=training)


class Passing:
    """Stands in for an encoder: hands on what it gets, flat, and keeps it in ``seen``.

    Its decoder hands that on as logits of the input's shape, so logits are what the encoder saw.
    """

    trainable, state = (), ()

    def __init__(self, *input_shape):
        self.config = {"input_shape": list(input_shape), "options": {}}
        self.row = SimpleNamespace(decode=lambda *_: Unflatten(input_shape), convolutional=False)
        self.feature_size = int(np.prod(input_shape))

    def __call__(self, x, training):
        import tensorflow as tf

        self.seen = np.asarray(x)
        return tf.reshape(x, [-1, self.feature_size])


class Unflatten:
    trainable_weights, non_trainable_weights = (), ()

    def __init__(self, shape):
        self.shape = shape

    def __call__(self, features, training):
        import tensorflow as tf

        return tf.reshape(features, [-1, *self.shape])
