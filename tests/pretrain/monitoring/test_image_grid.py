"""Many images as one picture."""

import numpy as np
import pytest

from pretrain.monitoring.image_grid import tile


def test_grey_images_by_hand():
    images = np.array([10, 20, 30], np.uint8)[:, None, None, None] * np.ones((1, 1, 2, 1), np.uint8)
    found = tile(images, columns=2)
    assert found.dtype == np.uint8
    assert found.tolist() == [
        [10, 10, 0, 20, 20],
        [0, 0, 0, 0, 0],
        [30, 30, 0, 0, 0],
    ]
    assert tile(images, columns=3, gap=0).tolist() == [[10, 10, 20, 20, 30, 30]]


def test_colours_keep_their_axis_and_their_place():
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 4, 3)).astype(np.uint8)
    found = tile(images, columns=3, gap=2)
    assert found.shape == (2 * 3 + 2, 3 * 4 + 2 * 2, 3)
    assert np.array_equal(found[:3, 6:10], images[1])
    assert np.array_equal(found[5:8, 6:10], images[4])
    assert not found[3:5].any()
    assert not found[5:8, 12:].any()


def test_floats_are_cut_to_their_range_and_rounded():
    values = np.array([-0.5, 0.0, 0.5, 1.0, 7.0, np.nan, np.inf], np.float32)
    found = tile(values[:, None, None, None], columns=7, gap=0)
    assert found.tolist() == [[0, 0, 128, 255, 255, 0, 255]]


@pytest.mark.parametrize(
    ("count", "columns", "grid"), [(1, 0, (1, 1)), (10, 0, (3, 4)), (9, 0, (3, 3)), (2, 8, (1, 2))]
)
def test_the_grid(count, columns, grid):
    assert tile(np.zeros((count, 2, 2, 1)), columns, gap=0).shape == (2 * grid[0], 2 * grid[1])


@pytest.mark.parametrize(
    ("images", "how", "says"),
    [
        (np.zeros((2, 4, 4)), {}, r"must have shape .* Got \(2, 4, 4\)"),
        (np.zeros((2, 4, 4, 2)), {}, "must have shape"),
        (np.zeros((0, 4, 4, 1)), {}, "must have shape"),
        (np.zeros((1, 4, 4, 1), np.int32), {}, r"uint8 or floats in \[0, 1\]. Got int32"),
        (np.zeros((1, 4, 4, 1)), {"columns": -1}, "0 or more. Got -1 and 1"),
    ],
)
def test_what_is_refused(images, how, says):
    with pytest.raises(ValueError, match=says):
        tile(images, **how)
