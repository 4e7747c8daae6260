"""The nearest neighbours as a head: their answers' mean, in NumPy and as a stock Keras model.

Near is what points the same way: the cosine between features f and those of an example x, both standardised
over the N examples that are remembered. Since |f| is the same for all of them, the nearest are those with
the largest f.x / |x|, which a Dense layer computes; the standardising is folded into its weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np

# Rows whose distances are held at a time.
CHUNK = 1024


def closeness(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return kernel (D, N) and bias (N,) float32 of examples with features (N, D).

    ``f @ kernel + bias`` is the larger the nearer, for features f (M, D) as they are.
    """
    x = features.astype(np.float64)
    mean, spread = x.mean(axis=0), x.std(axis=0)
    # What does not vary tells nothing apart.
    spread[spread < 1e-6 * max(1e-12, float(spread.max()))] = np.inf
    x = (x - mean) / spread
    # An example that is the mean itself points nowhere, and is equally near to all.
    x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    kernel = (x / spread).T
    bias = -mean @ kernel
    return kernel.astype(np.float32), bias.astype(np.float32)


def nearest(known: np.ndarray, features: np.ndarray, k: int) -> np.ndarray:
    """Return (M, k) indices into ``known`` (N, D) of the nearest to each of features (M, D), in order.

    Of equally near ones the lowest index comes first.
    """
    kernel, bias = closeness(known)
    parts = []
    for i in range(0, len(features), CHUNK):
        near = features[i : i + CHUNK].astype(np.float32) @ kernel + bias
        parts.append(np.argsort(-near, axis=1, kind="stable")[:, :k])
    return np.concatenate(parts)


def empty_head(size: int, count: int, outputs: int, k: int) -> Any:
    """Return a Keras model, features (B, size) to the mean answer (B, outputs) of the k nearest.

    Its weights, still to be set: "kernel" (size, count) and "bias" (count,), the examples; "embeddings"
    (count, outputs), their answers.
    """
    import keras

    inputs = keras.Input((size,), name="features")
    near = keras.layers.Dense(count, trainable=False, name="closeness")(inputs)
    _, rows = keras.ops.top_k(near, k)
    answers = keras.layers.Embedding(count, outputs, trainable=False, name="answers")(rows)
    mean = keras.layers.GlobalAveragePooling1D(name="mean")(answers)
    return keras.Model(inputs, mean, name="head")


def neighbours_head(features: np.ndarray, answers: np.ndarray, k: int) -> Any:
    """Return ``empty_head`` with features (N, D) and answers (N, K) remembered."""
    head = empty_head(features.shape[1], len(features), answers.shape[1], k)
    kernel, bias = closeness(features)
    head.get_layer("closeness").set_weights([kernel, bias])
    head.get_layer("answers").set_weights([answers.astype(np.float32)])
    return head
