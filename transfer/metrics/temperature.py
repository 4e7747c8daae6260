"""Log loss of class probabilities, and the temperature that calibrates them.

Guo et al. 2017, "On Calibration of Modern Neural Networks", equation 9: all logits are divided by one number,
which changes the confidence of predictions and none of the predictions.
"""

from __future__ import annotations

import numpy as np

# Lower probabilities count as this one, so that the loss stays finite.
MIN_PROBABILITY = 1e-30
# Natural logarithms of the lowest and the highest temperature tried.
LOG_TEMPERATURES = (-2.0, 3.0)


def losses(probabilities: np.ndarray, y: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Return -log of the true class' probability, float64 (N,).

    Args:
        probabilities: (N, K) float; a row of NaN, of an example without a prediction, gives NaN.
        y: (N,) int, the true classes.
        temperature: by which the logits are divided.
    """
    from scipy.special import log_softmax

    logits = np.log(np.clip(probabilities, MIN_PROBABILITY, 1)) / temperature
    lost: np.ndarray = -log_softmax(logits, axis=1)[np.arange(len(y)), y]
    return lost


def fit_temperature(probabilities: np.ndarray, y: np.ndarray) -> float:
    """Return the temperature with the lowest mean loss, from 0.14 to 20; 1 without examples.

    Args:
        probabilities: (N, K) float.
        y: (N,) int, the true classes.
    """
    from scipy.optimize import minimize_scalar

    if not len(y):
        return 1.0
    found = minimize_scalar(
        lambda power: losses(probabilities, y, np.exp(power)).mean(),
        bounds=LOG_TEMPERATURES,
        method="bounded",
    )
    return float(np.exp(found.x))
