"""Whether left and right matter: real digits, and images that are symmetric or not by construction."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from toys import patterns

from pretrain.augment.recipes import Augmentation
from tasks.splits import generator
from transfer.semi_supervised.graph import Graphs, representations
from transfer.semi_supervised.innocence import MIN_SHARE, flip_share, without_flips


def images(symmetric, count=300, seed=0):
    """Three classes of smooth images with noise; the mirror image of each is of its class, or of the next."""
    rng = np.random.default_rng(seed)
    centres = np.stack([np.linspace(0, 1, 12)[None] * np.ones((12, 1)) for _ in range(3)])
    centres[1] = 1 - centres[0]
    centres[2] = np.abs(np.linspace(-1, 1, 12))[None] * np.ones((12, 1))
    if symmetric:
        centres = np.stack(
            [np.minimum(c, c[:, ::-1]) * k for k, c in zip((1, 2, 3), centres, strict=True)]
        )
    y = np.arange(count) % 3
    x = centres[y] + 0.05 * rng.standard_normal((count, 12, 12))
    return x[..., None].astype(np.float32), np.eye(3, dtype=np.float32)[y]


def test_a_flip_that_makes_another_class_is_told():
    assert flip_share(*images(symmetric=True)) == pytest.approx(1, abs=0.1)
    assert flip_share(*images(symmetric=False)) < 0.6


def test_digits_are_not_flipped():
    digits = load_digits()
    x, y = (digits.images / 16).astype(np.float32)[..., None], digits.target
    rows = generator(0).permutation(len(x))[:40]
    graphs = Graphs(representations(x))
    soft = graphs.teach(rows, y[rows], classes=10, seed=0).soft
    share = flip_share(x, soft)
    assert share < MIN_SHARE
    assert share == flip_share(x, soft)


def test_where_nothing_is_known_flips_stay():
    x = patterns(30).x.astype(np.float32) / 255
    assert flip_share(x, np.zeros((30, 3), np.float32)) == 1
    assert flip_share(x[:8], np.eye(8, dtype=np.float32)) == 1


def test_grey_images_are_then_taken_for_characters_and_colour_ones_keep_the_rest():
    assert without_flips(Augmentation.of("objects", (28, 28, 1)), (28, 28, 1)).name == "digits"
    photos = Augmentation.of("photos", (32, 32, 3))
    turned = without_flips(photos, (32, 32, 3))
    assert turned.options == {**photos.options, "flip": 0.0}
