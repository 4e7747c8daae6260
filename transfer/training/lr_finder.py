"""A learning rate found by a short run in which it rises from step to step.

Smith 2017, "Cyclical Learning Rates for Training Neural Networks", section 3.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.errors import NonFiniteError
from headstart.lazy import tf
from pretrain.engine.order import permutation
from pretrain.engine.program import assign
from pretrain.engine.train import tensors

if TYPE_CHECKING:
    from pretrain.engine.program import Programs
    from pretrain.engine.stage import Stage

LOWEST, HIGHEST, STEPS = 1e-6, 1.0, 100
# Steps on either side over which a slope is taken.
WINDOW = 8
# Weight of the earlier losses in the smoothed loss, an exponential average with bias correction.
SMOOTH = 0.9
# The run ends where the smoothed loss is this many times its lowest.
DIVERGENCE_FACTOR = 4.0


@dataclass(frozen=True, kw_only=True)
class Curve:
    """The losses of a run at rising learning rates.

    Attributes:
        rates: float64 (S,), the rate of each step.
        losses: float64 (S,), the smoothed loss before it was made.
        found: the rate of the steepest fall of ``losses`` over the logarithm of the rate, and at most a tenth
            of the rate where the loss was lowest.
    """

    rates: np.ndarray
    losses: np.ndarray
    found: float

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "found": self.found,
            "rates": [float(f"{rate:.4g}") for rate in self.rates],
            "losses": [float(f"{loss:.5g}") for loss in self.losses],
        }


def find_rate(stage: Stage, programs: Programs, key: str, seed: int) -> Curve:
    """Run ``stage``'s steps at rising rates, and put its variables back to what they were.

    Raises NonFiniteError when the very first losses are not finite.
    """
    program = programs.get(f"{key} finder", stage, xla=False)
    saved = None if program.stage is stage else [v.numpy() for v in program.variables]
    program.reset([v.numpy() for v in stage.variables])
    before = [v.numpy() for v in stage.variables]
    data = tensors(stage.arrays), tensors(stage.tables)
    rates = np.geomspace(LOWEST, HIGHEST, STEPS)
    each, losses, average = stage.steps_per_epoch, [], 0.0
    for step, rate in enumerate(rates):
        epoch, place = divmod(step, each)
        order = tf.constant(permutation(stage.size, seed, 0, epoch))
        count = min(stage.batch_size, stage.size - place * stage.batch_size)
        sums, finite = program.run(
            *data,
            order,
            tf.fill([each], np.float32(rate)),
            start=place,
            count=1,
            before=epoch * each,
            seed=seed,
            sums=np.zeros(len(program.names), np.float32),
        )
        loss = float(sums[0]) / count
        if not finite or not np.isfinite(loss):
            break
        average = SMOOTH * average + (1 - SMOOTH) * loss
        losses.append(average / (1 - SMOOTH ** (step + 1)))
        if losses[-1] > DIVERGENCE_FACTOR * min(losses):
            break
    assign(stage.variables, before)
    if saved is not None:
        assign(program.variables, saved)
    if len(losses) < 10:
        raise NonFiniteError(
            f"The search for a learning rate saw losses that are not finite from a rate of "
            f"{rates[len(losses)]:.2g} on.",
            hint="Look for extreme values in the data.",
        )
    return Curve(
        rates=rates[: len(losses)], losses=np.array(losses), found=_steepest(rates, losses)
    )


def _steepest(rates: np.ndarray, losses: list[float]) -> float:
    """Return the rate of the steepest fall, at most a tenth of that of the lowest loss."""
    values, logs = np.array(losses), np.log(rates[: len(losses)])
    lowest = int(values.argmin())
    # The slope of a straight line over a decade: from one batch to the next the loss jumps by chance.
    slopes = np.full(len(values), np.inf)
    for i in range(len(values)):
        near = slice(max(0, i - WINDOW), min(i + WINDOW + 1, len(values)))
        if i <= lowest and near.stop - near.start > 2:
            slopes[i] = np.polyfit(logs[near], values[near], 1)[0]
    found = min(rates[int(slopes.argmin())], rates[lowest] / 10)
    return float(f"{max(found, LOWEST):.2g}")
