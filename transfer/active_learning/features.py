"""The space in which examples are compared to choose some: an encoder's features beside those of patches.

An encoder that was pretrained without labels forgets what its views change; a dictionary of random patches
(``pretrain/encoders/dictionary.py``) knows that, and little of the whole. Each is brought to 100 whitened
principal components and to length 1, so that both count the same, and they stand side by side. A table has no
patches: there the encoder alone decides.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from headstart.errors import InputError
from pretrain.encoders.dictionary import random_words
from pretrain.encoders.encoder import Encoder, sample
from pretrain.engine.runtime import keras_defaults
from pretrain.weights.file import WeightsFile, assign
from transfer.inference import MAX_VALUES, predict_batched

if TYPE_CHECKING:
    from transfer.data.input_adapter import InputAdapter

COMPONENTS = 100
SAMPLE = 5000
"""Examples by which the components and the patches are found, evenly spaced."""
BATCH = 4096


def encode(weights: WeightsFile, inputs: InputAdapter, x: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return points (N, d) float32 of length 1, near to one another where examples are alike.

    Arguments and errors are those of ``spaces``, whose points stand side by side.
    """
    return side_by_side(spaces(weights, inputs, x, seed))


def side_by_side(found: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return points of several spaces, (N, d) each, as one array; squared distances are their means."""
    parts = list(found.values())
    return np.concatenate(parts, axis=1) / np.float32(np.sqrt(len(parts)))


@keras_defaults()
def spaces(
    weights: WeightsFile, inputs: InputAdapter, x: np.ndarray, seed: int = 0
) -> dict[str, np.ndarray]:
    """Return the points (N, d) float32 of "features" and, of images, of "patches".

    The memory is a batch's and that of the points, however wide the features are.

    Args:
        weights: the pretrained encoder.
        inputs: adapts the examples to it.
        x: raw examples (N, ...).
        seed: of the patches and the principal components.

    Raises:
        InputError: some features are not finite.
    """
    adapter, encoder = inputs.model(), Encoder(weights.encoder, seed=0)
    assign(weights.tensors, encoder.variables)
    few, models = sample(SAMPLE, x), {"features": encoder.model}
    if x.ndim == 4:
        # Large images: as many as may be in memory at the encoder's size.
        images = sample(min(SAMPLE, MAX_VALUES // math.prod(inputs.encoder_shape) + 1), x)
        models["patches"] = random_words(predict_batched(adapter, images), seed).model
    points = {}
    for name, model in models.items():
        # In a row: at the encoder's size, all examples at once may not fit into memory.
        row = (adapter, model)
        project = whitening(predict_batched(row, few, BATCH), seed)
        points[name] = predict_batched(row, x, BATCH, then=project)
    return points


def whitening(features: np.ndarray, seed: int = 0) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function from features (M, D) to whitened principal components (M, d) of length 1, float32.

    The variance of each component is that of ``features``, and a tenth of the mean variance, so that what
    hardly varies is not blown up; nor are examples that are the mean.

    Args:
        features: (N, D), of which the components are found: 100, or as many as there are.
        seed: of the randomised decomposition.

    Raises:
        InputError: features, here or in the function's argument, are not all finite.
    """
    from sklearn.decomposition import PCA
    from threadpoolctl import threadpool_limits

    features = _finite(features).astype(np.float64)
    if len(features) == 1:
        # A variance needs two.
        features = np.repeat(features, 2, axis=0)
    # Threads would add up in another order; where nothing varies, parts of the variance are 0 / 0.
    with threadpool_limits(1), np.errstate(invalid="ignore"):
        pca = PCA(min(COMPONENTS, *features.shape), random_state=seed).fit(features)
    variances = pca.explained_variance_
    rounding = 1e-8 * np.square(features).mean() + 1e-12
    spread = np.sqrt(variances + 0.1 * variances.mean() + rounding)

    def project(part: np.ndarray) -> np.ndarray:
        points = pca.transform(_finite(part)) / spread
        lengths = np.linalg.norm(points, axis=1, keepdims=True)
        # The mean itself has no direction.
        return np.asarray(points / np.maximum(lengths, 0.01 * len(spread) ** 0.5), np.float32)

    return project


def _finite(features: np.ndarray) -> np.ndarray:
    features = features.reshape(len(features), -1)
    if not np.isfinite(features).all():
        raise InputError(
            "The encoder's features of these examples are not all finite.",
            hint="Check the data for values far outside the pool's range.",
        )
    return features
