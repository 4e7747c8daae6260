"""The mathematics of augmentation: every example of a batch changed by random numbers of its own.

All of it runs inside the compiled step, and every random number is a pure function of the step's seed.
The geometric changes are one resampling: crop, flip, turn, zoom, shear and shift are composed into one
affine map for each image, so an image is read once and blurred once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from headstart.errors import arg, require
from headstart.lazy import keras, tf
from pretrain.augment.recipes import Augmentation
from pretrain.encoders.encoder import Preprocessing, sample
from tasks.dataset import Dataset

GEOMETRY = ("crop", "aspect", "flip", "turn", "zoom", "shear", "shift")
IDENTITY = {"crop": 1.0, "aspect": 1.0}
# Pixels of a side: beyond it, matrices that resize an image cost more than a look at every pixel.
LARGEST = 128
# Of a data set so many are tried, and more than this part of them must change.
EXAMPLES, MIN_PART = 64, 0.5


def augment(
    x: Any, seed: Any, options: Mapping[str, float], columns: Sequence[int] | None = None
) -> Any:
    """Return one random view of each example.

    Args:
        x: float32 (B, H, W, C) or (B, D), values in [0, 1].
        seed: int32 (2,).
        options: of an ``Augmentation``.
        columns: of the design of a table, the number of values of each column, which are swapped together;
            None: each value is a column.

    Returns:
        float32 like ``x``; images are cut to [0, 1].
    """
    if len(x.shape) == 2:
        return _vectors(x, seed, options, columns)
    if any(options[name] != IDENTITY.get(name, 0.0) for name in GEOMETRY):
        height, width = int(x.shape[1]), int(x.shape[2])
        maps = affine(seed, tf.shape(x)[0], height, width, options)
        upright = not (options["turn"] or options["shear"])
        x = (_resized if upright and max(height, width) <= LARGEST else _resampled)(x, maps)
    x = _light(x, seed, options)
    if options["erase"]:
        x = _erase(x, seed, options["erase"])
    if options["noise"]:
        x += options["noise"] * tf.random.stateless_normal(tf.shape(x), tf.random.fold_in(seed, 30))
    return tf.clip_by_value(x, 0.0, 1.0)


def uniform(seed: Any, number: int, shape: Any, low: float, high: float) -> Any:
    """Return float32 ``shape`` in [low, high), from the ``number``-th seed folded out of ``seed``."""
    return tf.random.stateless_uniform(shape, tf.random.fold_in(seed, number), low, high)


def _vectors(
    x: Any, seed: Any, options: Mapping[str, float], columns: Sequence[int] | None = None
) -> Any:
    """Bahri et al. 2022, "SCARF": values replaced by the same column's of another example."""
    shape = tf.shape(x)
    if options["swap"]:
        order = tf.argsort(uniform(seed, 0, shape[:1], 0.0, 1.0))
        if columns is None:
            swapped = uniform(seed, 1, shape, 0.0, 1.0) < options["swap"]
        else:
            each = uniform(seed, 1, [shape[0], len(columns)], 0.0, 1.0) < options["swap"]
            place = np.repeat(np.arange(len(columns)), columns).astype(np.int32)
            swapped = tf.gather(each, place, axis=1)
        x = tf.where(swapped, tf.gather(x, order), x)
    if options["noise"]:
        x += options["noise"] * tf.random.stateless_normal(shape, tf.random.fold_in(seed, 30))
    return x


def affine(seed: Any, count: Any, height: int, width: int, options: Mapping[str, float]) -> Any:
    """Return the map from output to input pixels of each image, float32 (count, 8).

    The eight numbers are a0 a1 a2 b0 b1 b2 0 0: output (column u, row v) is read at
    (a0 u + a1 v + a2, b0 u + b1 v + b2). About the image's centre it is M p + o with
    M = crop . zoom . turn . shear . flip, and o within what the crop leaves free, plus the shift.
    """

    def draw(number: int, low: float, high: float) -> Any:
        return uniform(seed, number, [count], low, high)

    area = draw(0, options["crop"], 1.0)
    stretch = tf.exp(draw(1, -1.0, 1.0) * math.log(options["aspect"]) / 2)
    side = tf.sqrt(area)
    across, down = tf.minimum(side * stretch, 1.0), tf.minimum(side / stretch, 1.0)
    free_x = draw(2, -0.5, 0.5) * (1 - across) * width
    free_y = draw(3, -0.5, 0.5) * (1 - down) * height
    zoom = tf.exp(draw(4, -1.0, 1.0) * math.log1p(options["zoom"]))
    angle = draw(5, -1.0, 1.0) * options["turn"] * math.pi / 180
    slant = draw(6, -1.0, 1.0) * options["shear"]
    move_x = draw(7, -1.0, 1.0) * options["shift"] * width
    move_y = draw(8, -1.0, 1.0) * options["shift"] * height
    flip = tf.where(draw(9, 0.0, 1.0) < options["flip"], -1.0, 1.0)
    cos, sin = tf.cos(angle) * zoom, tf.sin(angle) * zoom
    a0, a1 = across * cos * flip, across * (cos * slant - sin)
    b0, b1 = down * sin * flip, down * (sin * slant + cos)
    mid_x, mid_y = (width - 1) / 2, (height - 1) / 2
    a2 = mid_x + free_x + move_x - a0 * mid_x - a1 * mid_y
    b2 = mid_y + free_y + move_y - b0 * mid_x - b1 * mid_y
    zero = tf.zeros_like(a0)
    return tf.stack([a0, a1, a2, b0, b1, b2, zero, zero], axis=1)


def _resampled(x: Any, maps: Any) -> Any:
    """Return images (B, H, W, C) read at the places of ``maps`` (B, 8), bilinearly.

    What lies outside an image has the value of its nearest edge.
    """
    how = {"fill_mode": "nearest", "data_format": "channels_last"}
    return keras.ops.image.affine_transform(x, maps, **how)


def _resized(x: Any, maps: Any) -> Any:
    """Return what ``_resampled`` does, to rounding, of maps whose rows and columns stay upright.

    Each row is then a mixture of two rows and each column of two columns, for the whole image: two matrix
    products, which take a third of the time of looking every pixel up.
    """
    height, width, channels = (int(size) for size in x.shape[1:])
    rows, columns = _mixtures(maps[:, 4:6], height), _mixtures(maps[:, 0:3:2], width)
    x = tf.matmul(rows, tf.reshape(x, [-1, height, width * channels]))
    if channels == 1:
        return tf.matmul(x, columns, transpose_b=True)[..., None]
    x = tf.transpose(tf.reshape(x, [-1, height, width, channels]), [0, 2, 1, 3])
    x = tf.matmul(columns, tf.reshape(x, [-1, width, height * channels]))
    return tf.transpose(tf.reshape(x, [-1, width, height, channels]), [0, 2, 1, 3])


def _mixtures(lines: Any, size: int) -> Any:
    """Return weights (B, ``size``, ``size``): of each line written the share of each line read.

    lines: (B, 2), a and b of the place a i + b at which line i is read.
    """
    numbers = tf.range(size, dtype=tf.float32)
    places = tf.clip_by_value(lines[:, :1] * numbers + lines[:, 1:], 0.0, size - 1.0)
    return tf.maximum(1 - tf.abs(places[:, :, None] - numbers), 0.0)


def _light(x: Any, seed: Any, options: Mapping[str, float]) -> Any:
    each = [tf.shape(x)[0], 1, 1, 1]

    def factor(name: str, number: int) -> Any:
        return uniform(seed, number, each, 1 - options[name], 1 + options[name])

    if int(x.shape[-1]) == 3 and (options["saturation"] or options["grey"]):
        grey = tf.reduce_sum(x * tf.constant([0.2989, 0.587, 0.114]), axis=-1, keepdims=True)
        kept = factor("saturation", 20)
        kept = tf.where(uniform(seed, 21, each, 0.0, 1.0) < options["grey"], 0.0, kept)
        x = grey + (x - grey) * kept
    if options["gamma"]:
        power = tf.exp(uniform(seed, 18, each, -1.0, 1.0) * math.log1p(options["gamma"]))
        # A little above zero, where the power's slope is infinite; no gradient flows, but values do.
        # A logarithm and an exponential take a sixth of the time of TensorFlow's power.
        x = tf.exp(power * tf.math.log(tf.clip_by_value(x, 1e-6, 1.0)))
    if options["blur"]:
        amount = uniform(seed, 19, each, -0.5 * options["blur"], options["blur"])
        x = x + amount * (tf.nn.avg_pool2d(x, 5, 1, "SAME") - x)
    if options["contrast"]:
        mean = tf.reduce_mean(x, axis=[1, 2, 3], keepdims=True)
        x = mean + (x - mean) * factor("contrast", 22)
    if options["brightness"]:
        x = x * factor("brightness", 23)
    return x


def _erase(x: Any, seed: Any, probability: float) -> Any:
    """Zhong et al. 2020, "Random Erasing", blanked with the image's mean."""
    count, height, width = tf.shape(x)[0], int(x.shape[1]), int(x.shape[2])
    area = uniform(seed, 24, [count], 0.05, 0.25)
    stretch = tf.exp(uniform(seed, 25, [count], -0.7, 0.7))
    high, wide = tf.sqrt(area * stretch), tf.sqrt(area / stretch)
    top = uniform(seed, 26, [count], 0.0, 1.0) * (1 - high)
    left = uniform(seed, 27, [count], 0.0, 1.0) * (1 - wide)
    erased = uniform(seed, 28, [count], 0.0, 1.0) < probability
    rows = (np.arange(height, dtype=np.float32) + 0.5) / height
    columns = (np.arange(width, dtype=np.float32) + 0.5) / width
    in_rows = (rows >= top[:, None]) & (rows < (top + high)[:, None])
    in_columns = (columns >= left[:, None]) & (columns < (left + wide)[:, None])
    hole = in_rows[:, :, None] & in_columns[:, None, :] & erased[:, None, None]
    mean = tf.reduce_mean(x, axis=[1, 2, 3], keepdims=True)
    return tf.where(hole[..., None], mean, x)


def check_views(dataset: Dataset, augmentation: Augmentation, owner: str) -> None:
    """Refuse an augmentation that leaves most examples of a data set as they are.

    A strategy that compares two views of an example learns nothing from two equal ones, and its loss
    still falls. ``owner`` is its name.

    Raises:
        InputError: of the argument ``augment``.
    """
    x = np.asarray(Preprocessing.fit(dataset)(sample(EXAMPLES, dataset.x)))
    columns = None if dataset.schema is None else dataset.schema.widths
    part = views_differ(x, augmentation.options, columns)
    rule = (
        f"must make views that differ for more than {MIN_PART:.0%} of the examples, because the "
        f"strategy {owner!r} learns from them; they differ for {part:.0%}"
    )
    hint = f"Choose another {arg.augment}, or set stronger changes with {arg.augment_options}."
    require(part > MIN_PART, "augment", rule, value=augmentation.name, hint=hint)


def views_differ(
    x: np.ndarray, options: Mapping[str, float], columns: Sequence[int] | None = None
) -> float:
    """Return the part of the examples ``x`` (N, ...) in [0, 1] whose two views differ visibly.

    Visibly: some value differs by more than 1/255 of the range. Examples that are constant do not count.
    """
    flat = x.reshape(len(x), -1)
    x = x[flat.max(axis=1) > flat.min(axis=1)]
    if not len(x):
        return 1.0
    given = tf.constant(x)
    first, second = (augment(given, tf.constant([0, k]), options, columns) for k in (1, 2))
    apart = np.abs(np.asarray(first) - np.asarray(second)).reshape(len(x), -1).max(axis=1)
    return float(np.mean(apart > 1 / 255))
