"""The encoder of patches against slow arithmetic on each patch."""

import numpy as np
import pytest

from headstart.errors import InputError
from pretrain.encoders import encoder_config, expected_shapes
from pretrain.encoders.patches import EVEN, geometry


def slow(x, tensors, patch, stride, grid):
    """The features of images (N, H, W, C), patch by patch."""
    height, width = x.shape[1:3]
    whiten = tensors["block1/whiten/kernel"].reshape(patch * patch * x.shape[-1], -1)
    words = -0.5 * tensors["block1/words/kernel"][0, 0].T
    rows, columns = (range(0, side - patch + 1, stride) for side in (height, width))
    maps = np.zeros((len(x), len(rows), len(columns), len(words)))
    for n, image in enumerate(x):
        for i, top in enumerate(rows):
            for j, left in enumerate(columns):
                p = image[top : top + patch, left : left + patch].astype(float).ravel()
                w = ((p - p.mean()) / np.sqrt(p.var() + EVEN)) @ whiten
                apart = np.linalg.norm(w - words, axis=1)
                maps[n, i, j] = np.maximum(0, apart.mean() - apart)
    cell = -(-max(maps.shape[1:3]) // grid)
    scale = tensors["block2/scale/kernel"][0, 0, :, 0]
    found = []
    # Cells are laid from the middle, as "same" pooling does: what is missing is shared by both ends.
    tops, lefts = (starts(side, cell) for side in maps.shape[1:3])
    for top in tops:
        for left in lefts:
            part = maps[:, max(0, top) : top + cell, max(0, left) : left + cell]
            found.append(part.mean(axis=(1, 2)) * scale + tensors["block2/scale/bias"])
    return np.stack(found, axis=1).reshape(len(x), -1)


def starts(side, cell):
    cells = -(-side // cell)
    return [k * cell - (cells * cell - side) // 2 for k in range(cells)]


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((8, 8, 1), {}),
        ((12, 9, 3), {"patch": 5, "grid": 2}),
        ((40, 33, 1), {"patch": 4, "words": 7}),
    ],
)
def test_features_are_the_distances_to_the_words(shape, options):
    from pretrain.encoders.encoder import Encoder

    config = encoder_config("patches", shape, {"words": 11, **options})
    encoder = Encoder(config, seed=0)
    rng = np.random.default_rng(1)
    for path, variable in encoder.variables.items():
        variable.assign(rng.normal(size=variable.shape))
        if path == "block1/whiten/kernel":  # filters add up to 0
            variable.assign(variable - np.mean(variable, axis=(0, 1, 2)))
    kernel = encoder.variables["block1/words/kernel"].numpy()[0, 0]
    encoder.variables["block1/words/bias"].assign(np.square(kernel / 2).sum(axis=0))
    x = rng.random((3, *shape), np.float32)
    x[0, : shape[0] // 2] = 0.25  # without contrast
    patch, stride, _ = geometry(shape, config["options"])
    found = np.asarray(encoder(x, False))
    expected = slow(x, encoder.tensors(), patch, stride, config["options"]["grid"])
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("side", [8, 16, 28, 32, 64, 96])
def test_maps_stay_small_and_features_few_for_every_size(side):
    config = encoder_config("patches", (side, side, 3))
    patch, stride, cell = geometry((side, side, 3), config["options"])
    places = (side - patch) // stride + 1
    assert 3 <= places <= 32
    assert -(-places // cell) <= 3
    assert expected_shapes(config)["block1/words/bias"] == (400,)


def test_vectors_and_patches_larger_than_the_image_are_refused():
    for shape, options in (((20,), {}), ((8, 5, 1), {"patch": 6})):
        with pytest.raises(InputError):
            expected_shapes(encoder_config("patches", shape, options))
