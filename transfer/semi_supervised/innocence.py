"""Whether a left-right flip leaves the classes what they are, judged by what near examples are.

A flipped shoe lies among shoes, a flipped 3 among other digits. The yardstick is a shift, which harms no
class: an example that is moved by a fourteenth of its width is far from its place among the others, too.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pretrain.augment.recipes import Augmentation
from tasks.splits import generator
from transfer.semi_supervised.graph import COMPONENTS, NEIGHBOURS, neighbour_weights

ASKED = 500
SHIFT = 1 / 14
# Measured: 0.55 to 0.72 for digits, 0.9 and above for clothes (docs/unlabelled.md).
MIN_SHARE = 0.8


def flip_share(x: np.ndarray, soft: np.ndarray, seed: int = 0) -> float:
    """Return how often flipped images keep their class, as a part of how often shifted ones do.

    Some of the images are changed, and their nearest neighbours among the others say what they are then.

    Args:
        x: images (P, H, W, C) float32.
        soft: float32 (P, K), what a graph says of each; a row of zeros says nothing.
        seed: draws those that are changed.

    Returns:
        A ratio; 1 where nothing can be told.
    """
    from sklearn.decomposition import PCA
    from sklearn.neighbors import NearestNeighbors
    from threadpoolctl import threadpool_limits

    known = np.flatnonzero(soft.sum(axis=1) > 0)
    order = generator(seed).permutation(known)
    asked, rest = order[: min(ASKED, len(order) // 3)], order[min(ASKED, len(order) // 3) :]
    if len(rest) <= NEIGHBOURS or not len(asked):
        return 1.0
    flat = x[rest].reshape(len(rest), -1)
    with threadpool_limits(1):
        pca = PCA(min(COMPONENTS, *flat.shape), random_state=seed).fit(flat)
        near = NearestNeighbors(n_neighbors=NEIGHBOURS, algorithm="brute").fit(pca.transform(flat))

        def kept(changed: np.ndarray) -> float:
            distances, found = near.kneighbors(pca.transform(changed.reshape(len(changed), -1)))
            said = (neighbour_weights(distances)[:, :, None] * soft[rest[found]]).sum(axis=1)
            return float((said.argmax(axis=1) == soft[asked].argmax(axis=1)).mean())

        step = max(1, round(SHIFT * x.shape[2]))
        shifted = kept(np.roll(x[asked], step, axis=2))
        return kept(x[asked][:, :, ::-1]) / shifted if shifted else 1.0


def without_flips(views: Augmentation, input_shape: tuple[int, ...]) -> Augmentation:
    """Return views of images whose left and right matter; grey ones are taken for digits or letters."""
    if input_shape[-1] == 1:
        return Augmentation.of("digits", input_shape)
    return replace(views, options={**views.options, "flip": 0.0})
