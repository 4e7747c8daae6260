"""Each change of an image against the same change made by hand."""

import numpy as np
import pytest
import tensorflow as tf

import pretrain.augment.views as views
from pretrain.augment.recipes import IMAGE_OPTIONS, RECIPES, VECTOR_OPTIONS
from pretrain.augment.views import affine, augment, uniform, views_differ

SEED = tf.constant([3, 4])
NOTHING = {name: option.default for name, option in IMAGE_OPTIONS.items()}


def images(count=6, height=8, width=10, channels=1, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((count, height, width, channels), np.float32)


def view(x, seed=SEED, **options):
    return np.asarray(augment(tf.constant(x), seed, {**NOTHING, **options}))


def test_nothing_asked_is_nothing_done():
    x = images(channels=3)
    assert np.array_equal(view(x), x)


def test_a_certain_flip_is_numpys():
    x = images()
    assert view(x, flip=1.0) == pytest.approx(x[:, :, ::-1], abs=1e-5)


def test_half_the_images_are_flipped_by_a_coin():
    x = images(400)
    flipped = np.isclose(view(x, flip=0.5), x[:, :, ::-1], atol=1e-5).all(axis=(1, 2, 3))
    kept = np.isclose(view(x, flip=0.5), x, atol=1e-5).all(axis=(1, 2, 3))
    assert (flipped ^ kept).all()
    assert 150 < flipped.sum() < 250


def test_a_crop_stays_inside_and_has_the_area_asked_for():
    count, height, width = 500, 20, 30
    maps = np.asarray(affine(SEED, count, height, width, {**NOTHING, "crop": 0.25, "aspect": 1.5}))
    corners = np.array([[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1]])
    across = maps[:, None, 0] * corners[:, 0] + maps[:, None, 1] * corners[:, 1] + maps[:, None, 2]
    down = maps[:, None, 3] * corners[:, 0] + maps[:, None, 4] * corners[:, 1] + maps[:, None, 5]
    # Pixels have a width: a corner's centre may lie half a pixel off the edge.
    assert across.min() > -0.51
    assert across.max() < width - 0.49
    assert down.min() > -0.51
    assert down.max() < height - 0.49
    area = maps[:, 0] * maps[:, 4]
    assert area.min() > 0.2
    assert area.max() <= 1.0001
    assert (
        0.55 < area.mean() < 0.68
    )  # uniform from a quarter to the whole, a little cut at the edges


def test_a_turn_is_a_rotation_about_the_centre():
    maps = np.asarray(affine(SEED, 50, 9, 9, {**NOTHING, "turn": 90.0}))
    linear = maps[:, [0, 1, 3, 4]].reshape(-1, 2, 2)
    assert linear @ linear.transpose(0, 2, 1) == pytest.approx(
        np.broadcast_to(np.eye(2), linear.shape), abs=1e-5
    )
    angles = np.degrees(np.arctan2(linear[:, 1, 0], linear[:, 0, 0]))
    assert np.abs(angles).max() <= 90
    assert angles.std() > 30
    centre = maps[:, [0, 1, 3, 4]].reshape(-1, 2, 2) @ [4, 4] + maps[:, [2, 5]]
    assert centre == pytest.approx(np.full((50, 2), 4.0), abs=1e-4)


def test_a_shift_moves_by_at_most_its_part():
    maps = np.asarray(affine(SEED, 300, 20, 40, {**NOTHING, "shift": 0.1}))
    assert 3.5 < np.abs(maps[:, 2]).max() <= 4
    assert 1.7 < np.abs(maps[:, 5]).max() <= 2


def looked_up(x, maps):
    """Bilinear, pixel by pixel; outside, the nearest edge."""
    found = np.zeros_like(x, np.float64)
    height, width = x.shape[1:3]
    for i, v, u in np.ndindex(x.shape[:3]):
        a, b = maps[i, :3] @ [u, v, 1], maps[i, 3:6] @ [u, v, 1]
        left, top = int(np.floor(a)), int(np.floor(b))
        for row, column in ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)):
            weight = (1 - abs(a - column)) * (1 - abs(b - row))
            near = x[i, np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]
            found[i, v, u] += weight * near
    return found


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "options",
    [
        {"crop": 0.3, "aspect": 1.5, "flip": 0.5, "zoom": 0.3, "shift": 0.3},
        {"crop": 0.8, "flip": 0.5, "turn": 30.0, "shear": 0.3, "shift": 0.3},
    ],
    ids=["upright", "turned"],
)
@pytest.mark.parametrize("largest", [128, 9], ids=["small", "large"])
def test_geometry_reads_each_pixel_between_four_others(options, channels, largest, monkeypatch):
    monkeypatch.setattr(views, "LARGEST", largest)
    x = images(channels=channels)
    maps = np.asarray(affine(SEED, 6, 8, 10, {**NOTHING, **options}), np.float64)
    assert view(x, **options) == pytest.approx(looked_up(x, maps), abs=1e-5)


def test_only_turned_views_look_every_pixel_up(monkeypatch):
    looked = []
    monkeypatch.setattr(
        "keras.ops.image.affine_transform", lambda x, maps, **how: looked.append(maps) or x
    )
    view(images(), crop=0.5, flip=0.5, zoom=0.1, shift=0.1)
    assert not looked
    view(images(), turn=1.0)
    view(images(), shear=0.1)
    assert len(looked) == 2


def test_brightness_multiplies_and_contrast_keeps_the_mean():
    x = 0.2 + 0.2 * images()
    ratio = view(x, brightness=0.5) / x
    assert ratio.reshape(6, -1).std(axis=1) == pytest.approx(np.zeros(6), abs=1e-5)
    assert ratio.std() > 0.05
    changed = view(x, contrast=0.5)
    assert changed.mean(axis=(1, 2, 3)) == pytest.approx(x.mean(axis=(1, 2, 3)), abs=1e-5)
    stretch = changed.reshape(6, -1).std(axis=1) / x.reshape(6, -1).std(axis=1)
    assert stretch.min() >= 0.5
    assert stretch.max() <= 1.5
    assert stretch.std() > 0.05


def test_gamma_leaves_black_white_and_the_order_of_tones():
    x = np.linspace(0, 1, 80, dtype=np.float32).reshape(1, 8, 10, 1).repeat(6, axis=0)
    changed = view(x, gamma=1.0).reshape(6, -1)
    assert changed[:, 0] == pytest.approx(np.zeros(6), abs=2e-3)
    assert changed[:, -1] == pytest.approx(np.ones(6), abs=1e-5)
    assert (np.diff(changed, axis=1) >= 0).all()
    assert changed[:, 40].std() > 0.05


def test_gamma_is_a_power():
    x = images()
    power = np.exp(np.asarray(uniform(SEED, 18, [6, 1, 1, 1], -1.0, 1.0)) * np.log(2))
    assert view(x, gamma=1.0) == pytest.approx(x**power, rel=1e-5)


def test_dropping_colour_makes_the_channels_equal():
    x = images(channels=3)
    grey = view(x, grey=1.0)
    weights = np.array([0.2989, 0.587, 0.114], np.float32)
    assert grey == pytest.approx((x @ weights)[..., None].repeat(3, axis=3), abs=1e-5)
    assert view(images(), grey=1.0) == pytest.approx(images())


def test_erasing_blanks_one_rectangle_with_the_mean():
    x = images(200, 20, 20)
    changed = view(x, erase=1.0)
    hole = (changed != x).any(axis=3)
    area = hole.mean(axis=(1, 2))
    assert area.min() > 0.02
    assert area.max() < 0.35
    rows, columns = hole.any(axis=2), hole.any(axis=1)
    assert np.array_equal(hole, rows[:, :, None] & columns[:, None, :])
    for i in range(5):
        assert changed[i][hole[i]] == pytest.approx(x[i].mean(), abs=1e-5)
    assert 60 < (view(x, erase=0.5) != x).any(axis=(1, 2, 3)).sum() < 140


def test_noise_has_its_standard_deviation():
    x = np.full((10, 30, 30, 1), 0.5, np.float32)
    assert (view(x, noise=0.1) - x).std() == pytest.approx(0.1, rel=0.05)


def test_blur_leaves_a_flat_image_and_smooths_another():
    flat = np.full((4, 8, 8, 1), 0.3, np.float32)
    assert view(flat, blur=1.0) == pytest.approx(flat, abs=1e-6)
    x = images(50)
    assert view(x, blur=1.0).std() < x.std()


def test_swapped_values_come_from_the_same_column_of_another_row():
    x = np.arange(60, dtype=np.float32).reshape(12, 5)
    options = {**{n: o.default for n, o in VECTOR_OPTIONS.items()}, "swap": 0.5}
    changed = np.asarray(augment(tf.constant(x), SEED, options))
    assert (changed % 5 == np.arange(5)).all()
    assert 0.2 < (changed != x).mean() < 0.7


@pytest.mark.parametrize("row", RECIPES.values(), ids=lambda row: row.name)
def test_every_recipe_stays_in_range_follows_its_seed_and_changes_what_it_says(row):
    vectors = row.table is VECTOR_OPTIONS
    x = images(32, 28, 28, 3)
    x = x.reshape(32, -1)[:, :40] if vectors else x
    options = {n: o.default for n, o in row.table.items()} | dict(row.values)
    one, again = (np.asarray(augment(tf.constant(x), SEED, options)) for _ in range(2))
    other = np.asarray(augment(tf.constant(x), tf.constant([3, 5]), options))
    assert one.shape == x.shape
    assert one.dtype == np.float32
    assert np.array_equal(one, again)
    assert vectors or (one.min() >= 0 and one.max() <= 1)
    assert np.array_equal(one, other) == (row.name == "none")
    assert (views_differ(x, options) > 0.9) == (row.name != "none")


def test_constant_examples_do_not_count_as_views_that_are_alike():
    assert views_differ(np.zeros((5, 8, 8, 1), np.float32), NOTHING) == 1.0
