"""Detection of collapse: an encoder that maps all examples to nearly the same features.

After an epoch the features F (N, D) of a fixed batch of examples are measured, whatever the strategy.

- ``feature_std``: the root mean square distance of the features to their mean, over their root mean
  square length: 0 when all examples have one feature vector, at most 1. The ratio does not change when
  the features are scaled, so that one limit serves encoders of any size. All-zero features have 0.
- ``feature_rank``: the effective rank of the centred features, exp(-sum p_i log p_i) with p_i the singular
  values over their sum (Roy & Vetterli 2007, "The effective rank"; Garrido et al. 2023, "RankMe"). Between
  1 and min(N, D): in how many directions the features vary. 0 when they do not vary.

The limits were measured on healthy runs, and on runs made to collapse, of every strategy:

- A strategy that compares views or pairs of examples can make its loss small by making all features
  alike. There the spread may fall to three tenths of what it was before the first step, where healthy
  runs keep seven tenths; and without labels the rank to 0.15 of what it was, where healthy runs keep
  half. (With labels there may well be no more directions left than there are classes.)
- Behind a projector, what collapses first is its output, and the features keep an initial spread that is
  worth nothing. A loss that can do this reports ``spread``, of its projections, with 1 for as wide as the
  loss wants them: healthy runs keep nine tenths, and one tenth is too little.
- No other strategy gains by collapsing, and the features of, say, sigmoid layers hardly vary about a
  large mean to begin with. There only features that are constant are wrong: units that all died.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.errors import HeadstartError, arg

EXAMPLES = 256
MAX_MEASUREMENTS = 50
PATIENCE = 3
MIN_SPREAD = 0.3
MIN_RANK = 0.15
RANKED_SPREAD = 0.05
MIN_PROJECTED = 0.1
DEAD = 1e-4


class CollapseError(HeadstartError):
    """The features collapsed; nothing was exported."""


def spread(features: np.ndarray) -> float:
    """Return the relative spread, 0 to 1, of features (N, D)."""
    features = features.astype(np.float64)
    centred = features - features.mean(axis=0)
    apart, length = (
        math.sqrt(np.square(part).sum() / len(features)) for part in (centred, features)
    )
    return apart / length if length else 0.0


def effective_rank(features: np.ndarray) -> float:
    """Return the effective rank of features (N, D), centred; 0 when they are all equal."""
    centred = features.astype(np.float64)
    centred = centred - centred.mean(axis=0)
    # From the smaller of the two products, which have the same eigenvalues: D can be tens of thousands.
    narrow = centred if centred.shape[0] <= centred.shape[1] else centred.T
    squares = np.linalg.eigvalsh(narrow @ narrow.T)
    values = np.sqrt(np.clip(squares, 0, None))
    # What rounding leaves of zero: eigenvalues are exact to about N times the largest one's last bit.
    values = values[squares > squares.max() * len(squares) * np.finfo(np.float64).eps]
    if not len(values) or not values.sum() > 0:
        return 0.0
    shares = values / values.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def measure(features: np.ndarray) -> dict[str, float]:
    """Return an epoch's two numbers, of features (N, D)."""
    from threadpoolctl import threadpool_limits

    # One thread: several may add in another order, and a resumed run must get the same numbers.
    with threadpool_limits(1):
        return {"feature_std": spread(features), "feature_rank": effective_rank(features)}


def due(epoch: int, epochs: int) -> bool:
    """Return True to measure after this epoch (from 1) of ``epochs``: about 50 times, and at the end."""
    return epoch == epochs or epoch % math.ceil(epochs / MAX_MEASUREMENTS) == 0


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Lower limits of an epoch's numbers.

    Attributes:
        std: of ``feature_std``.
        rank: of ``feature_rank``; 0 where any rank will do.
    """

    std: float
    rank: float

    @classmethod
    def of(
        cls, examples: np.ndarray, before: np.ndarray, *, compares: bool, labelled: bool
    ) -> Limits:
        """Return the limits of a run.

        Args:
            examples: (N, ...), as the encoder sees them.
            before: their features (N, D) before the first step.
            compares: the strategy compares examples or views.
            labelled: the run uses labels.
        """
        first = measure(before)
        least = MIN_SPREAD * first["feature_std"]
        if not compares:
            examples = np.asarray(examples).reshape(len(examples), -1)
            # A deep stack of sigmoids starts lower still, until the stage that trains its upper layers.
            return cls(std=min(DEAD * measure(examples)["feature_std"], least), rank=0.0)
        # Of features that hardly vary, as those of a stack of sigmoids at first, the rank says little:
        # siamese pairs pulled them from a spread of 0.0003 to 0.04, and the rank fell from 22 to 3.
        judged = not labelled and first["feature_std"] > RANKED_SPREAD
        return cls(std=least, rank=MIN_RANK * first["feature_rank"] if judged else 0.0)

    def passed(self, row: Mapping[str, Any]) -> bool:
        """Return True when an epoch's numbers are below a limit. (Constant examples have limits of 0.)"""
        return (
            row["feature_std"] < self.std
            or row["feature_rank"] < self.rank
            or row.get("spread", 1.0) < MIN_PROJECTED
        )


@dataclass(frozen=True, kw_only=True)
class Monitor:
    """Warns at the first collapsed measurement of a run, and stops it at the third in a row.

    Attributes:
        limits: lower limits of an epoch's numbers.
        mode: "stop", "warn" or "off".
        advice: the strategy's, for errors and warnings.
        say: called with a warning.
    """

    limits: Limits
    mode: str
    advice: str
    say: Callable[[str], None]

    def judge(self, history: Sequence[Mapping[str, Any]], row: Mapping[str, Any]) -> None:
        """Judge an epoch's row, by it and the rows before it alone: a resumed run decides the same.

        Raises:
            CollapseError: the third measurement in a row is below a limit.
        """
        if self.mode == "off" or not self.limits.passed(row):
            return
        looks = [r for r in history if "feature_std" in r]
        last = [*(r for r in looks if r["stage"] == row["stage"]), row][-PATIENCE:]
        if self.mode == "stop" and len(last) == PATIENCE and all(map(self.limits.passed, last)):
            epochs = ", ".join(str(r["epoch"]) for r in last)
            raise CollapseError(
                f"The features have collapsed: {self._numbers(row)}, after the looks in epochs {epochs} "
                f"of stage {row['stage']!r} all were below a limit. An encoder that hardly tells examples "
                f"apart is of no use, so nothing was exported.",
                hint=f"{self.advice or 'Use a lower learning rate.'} Then start anew with "
                f"{arg.force:True}, or go on all the same with {arg.resume:True} and {arg.collapse:warn}.",
            )
        if not any(map(self.limits.passed, looks)):
            self.say(
                f"Warning: the features of stage {row['stage']!r} are collapsing, epoch {row['epoch']}: "
                f"{self._numbers(row)}. {self.advice}".rstrip()
            )

    def _numbers(self, row: Mapping[str, Any]) -> str:
        limit = f" (limit {self.limits.rank:.1f})" if self.limits.rank else ""
        text = (
            f"their spread is {row['feature_std']:.2g} of their length (limit {self.limits.std:.2g}), "
            f"their effective rank {row['feature_rank']:.1f}{limit}"
        )
        if "spread" in row:
            text += f", their projections' spread {row['spread']:.2g} (limit {MIN_PROJECTED:g})"
        return text
