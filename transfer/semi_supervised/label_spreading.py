"""Label spreading: classes that travel from the labelled examples to unlabelled neighbours."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

NEIGHBOURS = 10
# How much an example takes from its neighbours; the rest is the label that it was given.
ALPHA = 0.8


def spread(features: np.ndarray, y: np.ndarray, unlabelled: np.ndarray, classes: int) -> np.ndarray:
    """Return distributions (P, classes) float32 of unlabelled examples with features (P, D).

    features, y: of the labelled examples, (N, D) and int (N,). Features are standardised and brought to
    length 1; the graph joins each example to its nearest neighbours and is sparse (Zhou et al. 2004,
    "Learning with Local and Global Consistency"). An example that no label reaches has a row of zeros.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.preprocessing import StandardScaler, normalize
    from sklearn.semi_supervised import LabelSpreading
    from threadpoolctl import threadpool_limits

    both = np.concatenate([features, unlabelled]).astype(np.float64)
    both = normalize(StandardScaler().fit_transform(both))
    given = np.concatenate([y.astype(np.int64), np.full(len(unlabelled), -1)])
    model: Any = LabelSpreading(
        kernel="knn", n_neighbors=min(NEIGHBOURS, len(both) - 1), alpha=ALPHA, max_iter=100
    )
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)
        # Rows that no label reached are divided by zero.
        warnings.filterwarnings(
            "ignore", message="invalid value encountered", category=RuntimeWarning
        )
        model.fit(both, given)
    found = np.zeros((len(unlabelled), classes), np.float32)
    found[:, model.classes_] = np.nan_to_num(model.label_distributions_[len(y) :])
    return found
