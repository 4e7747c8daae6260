"""A picture of an augmentation: each row an example and views of it."""

from __future__ import annotations

import numpy as np

from headstart.errors import require
from headstart.lazy import tf
from pretrain.augment.recipes import Augmentation
from pretrain.augment.views import augment
from pretrain.encoders.encoder import Preprocessing
from pretrain.engine.runtime import keras_defaults
from pretrain.monitoring.image_grid import drawable, tile
from tasks.dataset import Dataset

EXAMPLES = 8
VIEWS = 7
SIDE = 64


def check_picturable(dataset: Dataset) -> None:
    """Refuse examples that are not images of one or three channels. Raises InputError."""
    shape = dataset.input_shape
    rule = f"must be images of one or three channels to be drawn, and has examples of shape {shape}"
    require(drawable(shape), "data", rule, value=dataset.name)


@keras_defaults()
def draw_views(
    dataset: Dataset, augmentation: Augmentation, seed: int = 0
) -> tuple[np.ndarray, int]:
    """Return the grid of a picturable data set, uint8 (H, W) or (H, W, 3), and how many rows it has.

    A row is an example as it is, then seven views of it as a run with this seed could see them. There
    are eight examples, or as many as the data set has, evenly over the classes where it has labels.
    """
    chosen = choose(dataset)
    clean = Preprocessing.fit(dataset)(dataset.x[chosen])
    seeds = [tf.constant([seed, k]) for k in range(1, VIEWS + 1)]
    views = [augment(clean, each, augmentation.options) for each in seeds]
    grid = np.stack([np.asarray(column) for column in (clean, *views)], axis=1)
    # Small images are drawn larger: eight by eight pixels are too small to be seen.
    times = max(1, SIDE // dataset.input_shape[1])
    images = grid.reshape(-1, *dataset.input_shape).repeat(times, axis=1).repeat(times, axis=2)
    return tile(images, columns=VIEWS + 1), len(chosen)


def choose(dataset: Dataset, count: int = EXAMPLES) -> np.ndarray:
    """Return the indices of ``count`` examples: one class after the other, else evenly spaced."""
    if dataset.classes is None:
        count = min(count, len(dataset.x))
        return np.arange(count) * len(dataset.x) // count
    groups = [np.flatnonzero(dataset.classes == k) for k in np.unique(dataset.classes)]
    if len(groups) > count:
        groups = [groups[i] for i in np.arange(count) * len(groups) // count]
    # Round and round: the first of every class, the second of every class, ...
    turns = range(max(map(len, groups)))
    return np.array([g[turn] for turn in turns for g in groups if turn < len(g)][:count])
