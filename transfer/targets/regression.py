"""One number an example: standardised inside, mean squared error, R squared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.lazy import keras, tf
from transfer.metrics.scores import measure_numbers
from transfer.numerics import mean_and_spread
from transfer.targets.base import Table, Target, about, span, weighted_mean

if TYPE_CHECKING:
    from pretrain.engine.stage import Batch
    from tasks.dataset import Dataset


@dataclass(frozen=True, kw_only=True)
class Regression(Target):
    """One number an example; encoded y is standardised, float32 (N,).

    center, spread: mean and standard deviation of the labelled examples' y; the latter 1 where all are equal.
    """

    name = "numbers"
    objective = "regress"

    center: float = 0.0
    spread: float = 1.0

    @classmethod
    def of(cls, y: np.ndarray, names: tuple[str, ...] = ()) -> Regression:
        """Learn mean and standard deviation of y (N,)."""
        # What is constant but for the rounding of its mean has no spread.
        center, spread = mean_and_spread(y, tolerance=1e-12, relative_to="values", constant=1.0)
        return cls(center=float(center), spread=float(spread))

    @property
    def outputs(self) -> int:
        """1."""
        return 1

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Return y standardised, float32 (N,)."""
        return ((y.astype(np.float64) - self.center) / self.spread).astype(np.float32)

    def predictions(self, outputs: np.ndarray, *, logits: bool = True) -> np.ndarray:
        """Return numbers (N,) float64 in the units of y."""
        return outputs[:, 0].astype(np.float64) * self.spread + self.center

    def layer(self, *, logits: bool = True) -> Any:
        """Return the layer that gives numbers back their units."""
        return keras.layers.Rescaling(self.spread, self.center, name="numbers")

    def loss(self, outputs: Any, batch: Batch) -> Mapping[str, Any]:
        """Return the mean squared error of standardised numbers."""
        return {"loss": weighted_mean(tf.square(outputs[:, 0] - batch.y), batch)}

    def solve(
        self, features: np.ndarray, y: np.ndarray, c: float, weights: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return kernel and bias of a ridge regression: c * sum w_i (y_i - z_i)^2 + |k|^2 / 2."""
        from sklearn.linear_model import Ridge

        features = features.astype(np.float64)
        mean, spread = mean_and_spread(features)
        model = Ridge(alpha=0.5 / c).fit((features - mean) / spread, y, sample_weight=weights)
        kernel = (model.coef_ / spread)[:, None]
        bias = np.array([model.intercept_]) - mean @ kernel
        return kernel.astype(np.float32), bias.astype(np.float32)

    measure = staticmethod(measure_numbers)

    def table(self, predicted: np.ndarray) -> Table:
        """Return a row an example: the number."""
        # Nine digits tell every float32 apart.
        return ["predicted"], ([f"{row[0]:.9g}"] for row in predicted)

    def scores(self, predicted: np.ndarray, dataset: Dataset) -> dict[str, Any]:
        """Return RMSE, mean absolute error and R squared."""
        assert dataset.y is not None
        found = measure_numbers(predicted[:, 0], dataset.y)
        return {name: found[name] for name in ("rmse", "mae", "r2")}

    def measured(self, result: Mapping[str, Any]) -> str:
        """Return R squared, RMSE and mean absolute error with their intervals."""
        r2 = "R2 not defined, all test numbers being equal"
        if result["r2"] is not None:
            r2 = f"R2 {result['r2']:.3f} (95 % interval {span(result, 'r2', 1, '.3f')})"
        return (
            f"Test {r2}, RMSE {result['rmse']:.4g} ({span(result, 'rmse', 1, '.4g')}), mean absolute "
            f"error {result['mae']:.4g} ({span(result, 'mae', 1, '.4g')}); {about(result)}"
        )

    def title(self) -> str:
        """Return "A model of one number"."""
        return "A model of one number"

    def outputs_text(self, cell: Callable[[str], str]) -> str:
        """Say that the output has the labels' units."""
        return "The output is the number, in the units of the labels."
