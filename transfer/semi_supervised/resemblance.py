"""Whether unlabelled examples can be of the kind that the labelled ones are of, from distances alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tasks.splits import generator

# The distance to this neighbour is compared: to the nearest would be 0 where the set has duplicates.
NEIGHBOUR = 5
# So many unlabelled examples are compared with the labelled ones.
COMPARED = 500


def resemblance(spaces: Mapping[str, np.ndarray], labelled: int, seed: int) -> dict[str, Any]:
    """Return how likely the labelled examples would lie so far off if they were of the unlabelled set.

    Each labelled example's distance to its fifth nearest unlabelled one is ranked among the same distances of
    unlabelled examples (Mann & Whitney 1947, one-sided). A set of other things, or of noise, is further from
    the labelled examples than from itself, whatever their classes are.

    Args:
        spaces: the representations in which the graphs are made, float32 (labelled + P, d) each.
        labelled: how many of the first rows are the labelled ones.
        seed: draws those of the P that are compared.

    Returns:
        {"p": the lowest probability of the spaces times their number, at most 1, "spaces": that of each}.
    """
    from scipy.stats import mannwhitneyu
    from sklearn.neighbors import NearestNeighbors

    found = {}
    for name, points in spaces.items():
        ours, theirs = points[:labelled], points[labelled:]
        k = min(NEIGHBOUR, len(theirs) - 1)
        if k < 1:
            return {"p": 1.0, "spaces": {}}
        some = generator(seed).permutation(len(theirs))[:COMPARED]
        near = NearestNeighbors(n_neighbors=k + 1, algorithm="brute").fit(theirs)
        # The first neighbour of an unlabelled example is itself.
        own = near.kneighbors(theirs[some])[0][:, k]
        other = near.kneighbors(ours)[0][:, k - 1]
        found[name] = float(mannwhitneyu(other, own, alternative="greater").pvalue)
    return {"p": min(1.0, len(found) * min(found.values())), "spaces": found}
