"""A linear head solved to its minimum on frozen features, with scikit-learn, instead of trained."""

from __future__ import annotations

import numpy as np

# Where a class has no label at all, its logit is this much below the lowest bias.
ABSENT = 10.0


def solve_classes(
    features: np.ndarray, y: np.ndarray, outputs: int, c: float, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return kernel (D, outputs) and bias (outputs,) of a logistic regression with an L2 penalty.

    Minimised is c * sum of w_i * cross-entropy_i + |k|^2 / 2, where k is the kernel for features (N, D)
    that were standardised over these N examples; what is returned is for the features as they are.
    y: int (N,), classes 0 to K-1, some of which may be absent; outputs: 1 for two classes, else K.
    """
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    features = features.astype(np.float64)
    mean, spread = features.mean(axis=0), features.std(axis=0)
    spread[spread < 1e-6 * max(1e-12, float(spread.max()))] = np.inf
    present = np.unique(y)
    if len(present) < 2:
        kernel, bias = np.zeros((features.shape[1], outputs)), np.zeros(outputs)
        bias[...] = -ABSENT
        if outputs > 1 or present[0] == 1:
            bias[min(present[0], outputs - 1)] = ABSENT
        return kernel.astype(np.float32), bias.astype(np.float32)
    model = LogisticRegression(C=c, max_iter=300, tol=1e-3)
    # One thread: on matrices of this size several wait for one another, up to ten times as long.
    with warnings.catch_warnings(), threadpool_limits(1):
        # So near the minimum the predicted classes no longer change.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit((features - mean) / spread, y, sample_weight=weights)
    kernel = model.coef_.T / spread[:, None]
    bias = model.intercept_ - mean @ kernel
    if outputs > 1:
        if len(present) == 2:  # scikit-learn then has one logit, that of the second class
            kernel, bias = np.hstack([-kernel / 2, kernel / 2]), np.hstack([-bias / 2, bias / 2])
        whole = np.zeros((features.shape[1], outputs))
        whole[:, present] = kernel
        biases = np.full(outputs, bias.min() - ABSENT)
        biases[present] = bias
        kernel, bias = whole, biases
    return kernel.astype(np.float32), bias.astype(np.float32)


def solve_numbers(
    features: np.ndarray, y: np.ndarray, c: float, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return kernel (D, 1) and bias (1,) of a ridge regression: c * sum w_i (y_i - z_i)^2 + |k|^2 / 2."""
    from sklearn.linear_model import Ridge

    features = features.astype(np.float64)
    mean, spread = features.mean(axis=0), features.std(axis=0)
    spread[spread < 1e-6 * max(1e-12, float(spread.max()))] = np.inf
    model = Ridge(alpha=0.5 / c).fit((features - mean) / spread, y, sample_weight=weights)
    kernel = (model.coef_ / spread)[:, None]
    bias = np.array([model.intercept_]) - mean @ kernel
    return kernel.astype(np.float32), bias.astype(np.float32)


def solve_labels(
    features: np.ndarray, y: np.ndarray, c: float, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return kernel (D, K) and bias (K,): ``solve_classes`` of each of the labels y (N, K) of 0 and 1."""
    solved = [solve_classes(features, labels, 1, c, weights) for labels in (y > 0.5).T.astype(int)]
    return np.hstack([kernel for kernel, _ in solved]), np.hstack([bias for _, bias in solved])
