"""What is hidden, and that the loss looks at nothing else."""

import numpy as np
import pytest
from setups import Passing, batch_of, setup_of
from toys import patterns

from headstart.errors import InputError
from pretrain.strategies import strategy
from pretrain.strategies.masked import draw_hidden, hidden_loss, patch_size


def draw(shape, part, patch, *, count=40, seed=0):
    return np.asarray(draw_hidden(shape, count, [seed, 7], part, patch))


@pytest.mark.parametrize(
    ("shape", "asked", "expected"),
    [
        ((28, 28, 1), 0, 4),
        ((32, 32, 3), 0, 4),
        ((96, 96, 3), 0, 13),
        ((8, 8, 1), 0, 2),
        ((64, 21, 3), 0, 3),
        ((1, 5, 1), 0, 1),
        ((28, 28, 1), 28, 28),
        ((30,), 0, 1),
    ],
)
def test_the_patch_goes_by_the_shorter_side(shape, asked, expected):
    assert patch_size(shape, asked) == expected


def test_a_patch_that_does_not_fit_is_refused():
    with pytest.raises(InputError, match=r"patch of at most .* shorter side, 8\. Got 'patch=9'"):
        patch_size((8, 10, 1), 9)
    with pytest.raises(
        InputError, match=r"patch, which is for images.* \(30,\) have none.*Got 'patch=4'"
    ):
        patch_size((30,), 4)


@pytest.mark.parametrize(
    ("part", "patches"), [(0.6, 29), (0.75, 37), (0.01, 1), (0.99, 48)], ids=str
)
def test_whole_patches_are_hidden_as_many_in_every_example(part, patches):
    hidden = draw((28, 28, 3), part, 4)
    assert (hidden == hidden[..., :1]).all()
    cells = hidden[..., 0].reshape(40, 7, 4, 7, 4)
    assert (cells == cells[:, :, :1, :, :1]).all()
    assert (hidden[..., 0].sum(axis=(1, 2)) == 16 * patches).all()


def test_every_patch_is_hidden_as_often_and_anew_each_step():
    hidden = draw((6, 6, 1), 0.5, 2, count=2000)[:, ::2, ::2, 0]  # 4 of 9
    # Standard deviation of a share of 2000: 0.011.
    assert np.abs(hidden.mean(axis=0) - 4 / 9).max() < 0.05
    assert len(np.unique(hidden.reshape(2000, 9), axis=0)) == 126  # 9 over 4
    assert np.array_equal(draw((6, 6, 1), 0.5, 2), draw((6, 6, 1), 0.5, 2))
    assert not np.array_equal(draw((6, 6, 1), 0.5, 2), draw((6, 6, 1), 0.5, 2, seed=1))


def test_patches_at_the_edge_are_cut_off():
    hidden = draw((5, 7, 1), 0.5, 3, count=200)
    assert hidden.shape == (200, 5, 7, 1)
    corner = hidden[:, 3:, 6:, 0]  # 2 x 1 pixels are left of the last patch
    assert (corner == corner[:, :1]).all()
    assert 0.3 < corner.mean() < 0.7


@pytest.mark.parametrize(
    ("size", "part", "count"), [(10, 0.6, 6), (10, 0.99, 9), (10, 0.01, 1), (1, 0.5, 1)]
)
def test_of_vectors_single_values_are_hidden(size, part, count):
    assert (draw((size,), part, 1).sum(axis=1) == count).all()


def test_xla_can_compile_it():
    """Its random numbers are others than the plain graph's; how many values are hidden is not."""
    import tensorflow as tf

    for shape, patch, most in [((8, 8, 2), 2, 10 * 8), ((10,), 1, 6)]:
        compiled = tf.function(draw_hidden, jit_compile=True)(shape, 5, [3, 7], 0.6, patch)
        assert np.asarray(compiled).reshape(5, -1).sum(axis=1).tolist() == [most] * 5


def by_hand(x, logits, hidden, kind):
    total, count = 0.0, 0
    for value, z, is_hidden in zip(x.flat, logits.flat, hidden.flat, strict=True):
        if is_hidden:
            r = 1 / (1 + np.exp(-float(z)))
            bce = -value * np.log(r) - (1 - value) * np.log(1 - r)
            total += bce if kind == "bce" else (value - r) ** 2
            count += 1
    return total / count


@pytest.mark.parametrize("kind", ["bce", "mse"])
def test_the_loss_is_the_mean_over_hidden_values(kind):
    rng = np.random.default_rng(0)
    x = rng.random((5, 4, 4, 2)).astype(np.float32)
    logits = rng.normal(0, 3, x.shape).astype(np.float32)
    hidden = rng.random(x.shape) < 0.3
    assert float(hidden_loss(x, logits, hidden, kind)) == pytest.approx(
        by_hand(x, logits, hidden, kind), rel=1e-5
    )


@pytest.mark.parametrize("kind", ["bce", "mse"])
def test_what_is_in_sight_and_a_batch_without_anything_hidden_move_nothing(kind):
    import tensorflow as tf

    rng = np.random.default_rng(1)
    x = rng.random((5, 6)).astype(np.float32)
    for hidden in (rng.random(x.shape) < 0.5, np.zeros(x.shape, bool)):
        logits = tf.constant(rng.normal(0, 50, x.shape), tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(logits)
            loss = hidden_loss(x, logits, hidden, kind)
        gradient = tape.gradient(loss, logits).numpy()
        assert np.isfinite(float(loss))
        assert np.isfinite(gradient).all()
        assert (gradient[~hidden] == 0).all()
        assert bool(hidden.any()) == bool(float(loss) > 0) == bool(gradient.any())


@pytest.mark.parametrize("kind", ["bce", "mse"])
def test_the_encoder_sees_hidden_patches_blank_and_is_asked_for_them(kind):
    encoder, pool = Passing(8, 8, 1), patterns(24)
    setup = setup_of("masked-autoencoder", encoder, pool, loss=kind, hidden=0.5, patch=4)
    (stage,) = strategy("masked-autoencoder").stages(setup)
    found = float(stage.objectives[0].loss(batch_of(stage.arrays))["loss"])
    x = (pool.x / 255).astype(np.float32)
    assert x.min() > 0
    hidden = encoder.seen == 0
    assert hidden.mean() == 0.5
    assert encoder.seen[~hidden] == pytest.approx(x[~hidden])
    assert found == pytest.approx(by_hand(x, encoder.seen, hidden, kind), rel=1e-4)
