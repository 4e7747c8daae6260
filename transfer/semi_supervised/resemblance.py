"""Whether unlabelled examples are of the kind that the labelled ones are of, by distances alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tasks.splits import generator

# The distance to this neighbour is compared: to the nearest would be 0 where the set has duplicates.
NEIGHBOUR = 5
# So many unlabelled examples are compared with the labelled ones.
COMPARED = 500
# On held-out images `apart` was 1 for noise and for other classes, and 0.6 at most for the same kind.
MAX_APART, MIN_P = 0.9, 1e-3


@dataclass(frozen=True, kw_only=True)
class Resemblance:
    """How far from the unlabelled examples the labelled ones lie.

    Attributes:
        apart: how often a labelled example is further from the set than an example of the set is, 0 to 1; 0.5
            for the same kind. Of several spaces the highest.
        p: how likely that is by chance (Mann & Whitney 1947, one-sided), times the number of spaces.
    """

    apart: float
    p: float

    @property
    def same_kind(self) -> bool:
        """False where the sets hold different things."""
        return self.apart < MAX_APART or self.p > MIN_P

    def to_json(self) -> dict[str, Any]:
        """Return the numbers."""
        return {"apart": self.apart, "p": self.p}


def resemblance(spaces: Mapping[str, np.ndarray], labelled: int, seed: int) -> Resemblance:
    """Compare distances to the fifth nearest unlabelled example: of labelled ones, and of unlabelled ones.

    A set of other things, or of noise, is further from the labelled examples than from itself, whatever the
    classes are.

    Args:
        spaces: representations of the examples, float32 (labelled + P, d) each.
        labelled: how many of the first rows are the labelled ones.
        seed: draws those of the P that are compared.

    Example:
        >>> resemblance({"raw values": np.concatenate([x_few, x_many])}, len(x_few), seed=0).same_kind
        True
    """
    from scipy.stats import mannwhitneyu
    from sklearn.neighbors import NearestNeighbors

    found = []
    for points in spaces.values():
        ours, theirs = points[:labelled], points[labelled:]
        k = min(NEIGHBOUR, len(theirs) - 1)
        if k < 1:
            return Resemblance(apart=0.5, p=1.0)
        some = generator(seed).permutation(len(theirs))[:COMPARED]
        near = NearestNeighbors(n_neighbors=k + 1, algorithm="brute").fit(theirs)
        # The first neighbour of an unlabelled example is itself.
        own = near.kneighbors(theirs[some])[0][:, k]
        other = near.kneighbors(ours)[0][:, k - 1]
        test = mannwhitneyu(other, own, alternative="greater")
        found.append((float(test.pvalue), float(test.statistic) / (len(other) * len(own))))
    lowest = min(p for p, _ in found)
    return Resemblance(apart=max(apart for _, apart in found), p=min(1.0, len(found) * lowest))
