"""One transfer: a plan in, a trained and tested model out."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pretrain.engine.runtime import keras_defaults
from pretrain.engine.session import Session
from transfer.choices import choose
from transfer.data.input_adapter import InputAdapter
from transfer.measurement import measure
from transfer.metrics.baselines import baselines
from transfer.plan import TransferPlan


@dataclass(frozen=True, kw_only=True)
class Transferred:
    """A trained model and its measurements.

    Attributes:
        inputs: the raw examples that the model takes, and their way to the encoder.
        result: one JSON object, the Result.
        history: one row an epoch: stage, epoch (from 1 in each stage) and metrics.
        path: the ``.keras`` file; None where none was written.
    """

    inputs: InputAdapter
    result: dict[str, Any]
    history: list[dict[str, Any]]
    path: Path | None = None
    _trained: Any = field(default=None, repr=False)

    @cached_property
    def model(self) -> Any:
        """The Keras model, of stock layers: raw examples (B, ...) to predictions.

        (B, 1) float32: the probability of class 1 of two, or a number in its own units; (B, K): those of
        K classes or labels.
        """
        if self._trained is not None:
            return self._trained
        from transfer.export.keras_file import load_model

        assert self.path is not None
        return load_model(self.path)


@keras_defaults()
def transfer(plan: TransferPlan, session: Session | None = None) -> Transferred:
    """Train an encoder and a new head on a budget of labels, test them once, and write the plan's files.

    Args:
        plan: all that decides the result, and the files to write.
        session: shows the progress; where the plan has an output, a run can be interrupted and resumed.

    Returns:
        The model and its result; of a run that was over already, those that were written.

    Raises:
        NonFiniteError: training became non-finite; nothing was written.
        Interrupted: Ctrl-C; a checkpoint was written.

    Example:
        ``transfer(TransferPlan.make(task, source, TransferConfig(labels=200))).result["accuracy"]``
    """
    session = (session or Session()).start()
    task, artifacts, finished = plan.task, plan.artifacts, plan.finished
    if artifacts is not None and finished is not None:
        result = artifacts.write(finished, task)
        return Transferred(
            inputs=plan.fit.inputs,
            result=result,
            history=finished["history"],
            path=artifacts.model,
        )
    from transfer.training.fit import fit

    session = session.saving(plan.checkpoints)
    for line in plan.lines:
        session.reporter.say(line)
    began = time.monotonic()
    training, choices, (x, y, weights) = choose(plan, session)
    fitted = fit(x, y, training, session, weights=weights)
    model, result = measure(plan, training, fitted, choices)
    before = 0.0 if plan.checkpoints is None else plan.checkpoints.before[0]
    result["seconds"] = round(time.monotonic() - began + before, 3)
    history, inputs = fitted.run.history, training.inputs
    if artifacts is None or plan.checkpoints is None:
        return Transferred(_trained=model, inputs=inputs, result=result, history=history)
    artifacts.write_model(model, inputs, result, task.x_test)
    result |= {
        **plan.about,
        "input": inputs.to_json(),
        "baselines": baselines(task, plan.rows, plan.config.seed)
        if training.target.exclusive
        else {},
        "identity": plan.checkpoints.identity,
        "history": history,
    }
    artifacts.write_result(result)
    plan.checkpoints.clear()
    result = artifacts.write(result, task)
    return Transferred(
        _trained=model, inputs=inputs, result=result, history=history, path=artifacts.model
    )
