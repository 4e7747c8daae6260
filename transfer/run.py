"""One transfer: a plan in, a trained and tested model out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pretrain.engine.runtime import keras_defaults
from pretrain.engine.session import Session
from transfer.config import SEARCH_SECONDS
from transfer.data.input_adapter import InputAdapter
from transfer.heads import HEADS
from transfer.metrics.baselines import baselines
from transfer.metrics.scores import check_outputs
from transfer.plan import TransferPlan

if TYPE_CHECKING:
    from transfer.training.fit import Examples, FitPlan, Fitted


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
        return Transferred(
            inputs=plan.fit.inputs,
            result=artifacts.write(finished, task),
            history=finished["history"],
            path=artifacts.model,
        )
    from transfer.export.keras_file import save_model
    from transfer.training.fit import fit

    session = session.saving(plan.checkpoints)
    for line in plan.lines:
        session.reporter.say(line)
    began = time.monotonic()
    training, choices, examples = _choose(plan, session)
    fitted = fit(**examples._asdict(), plan=training, session=session)
    model, result = _measure(plan, training, fitted, choices)
    before = 0.0 if plan.checkpoints is None else plan.checkpoints.before[0]
    result["seconds"] = round(time.monotonic() - began + before, 3)
    history, inputs = fitted.run.history, training.inputs
    if artifacts is None or plan.checkpoints is None:
        return Transferred(_trained=model, inputs=inputs, result=result, history=history)
    save_model(model, artifacts.model, inputs, result, task.x_test[:64])
    classes = training.target.exclusive
    result |= {
        **plan.about,
        "input": inputs.to_json(),
        "baselines": baselines(task, plan.rows, plan.config.seed) if classes else {},
        "identity": plan.checkpoints.identity,
        "history": history,
    }
    artifacts.write_result(result)
    plan.checkpoints.clear()
    result = artifacts.write(result, task)
    return Transferred(
        _trained=model, inputs=inputs, result=result, history=history, path=artifacts.model
    )


def _choose(plan: TransferPlan, session: Session) -> tuple[FitPlan, dict[str, Any], Examples]:
    """Return the training, after a search and with unlabelled examples; what chose it; and its examples."""
    from transfer.training.fit import Examples

    fit, choices, task = plan.fit, dict[str, Any](), plan.task
    x, y = task.x[plan.rows], plan.fit.target.encode(task.y[plan.rows])

    def choose(name: str, decide: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return a decision as JSON: an interrupted run's, from beside its checkpoints, or a new one."""
        checkpoints = session.checkpoints
        found = checkpoints.read_note(name) if checkpoints and session.resume else None
        if found is None:
            found = decide()
            if checkpoints:
                checkpoints.write_note(name, found)
        choices[name] = found
        return found

    if plan.views:
        from transfer.selection.views import choose_views

        found = choose("views", lambda: choose_views(x, y, fit, session, plan.views))
        fit = replace(fit, recipe=replace(fit.recipe, augment=found["chosen"]))
    if plan.config.search:
        from transfer.selection.search import search

        seconds = plan.config.search_seconds or SEARCH_SECONDS
        found = choose("search", lambda: search(x, y, fit, session, seconds=seconds).to_json())
        fit = fit.with_search_result(found)
    if plan.unlabelled is None:
        return fit, choices, Examples(x, y)
    from transfer.semi_supervised.selection import SemiSupervised

    trainings = SemiSupervised(x, y, plan.unlabelled, fit, session)
    method = choose("pool", trainings.choose)["chosen"]
    fit, examples = trainings.resolve(method)
    return fit, choices, examples


def _measure(
    plan: TransferPlan, fit: FitPlan, fitted: Fitted, choices: Mapping[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """Test a trained network once; return its Keras model, and the result but for its seconds."""
    from pretrain.encoders.table_inputs import table_inputs
    from transfer.export.keras_file import whole_model
    from transfer.inference import predict_batched

    task, target, architecture = plan.task, fit.target, fit.architecture
    logits = HEADS[architecture.head].logits
    table = fit.inputs.table
    front = fitted.front if table is None else table_inputs(table)
    model = whole_model(front, fitted.network, fitted.network.head, target.layer(logits=logits))
    outputs = predict_batched(fitted.models, task.x_test)
    check_outputs(outputs, "The trained model", f"test examples of {task.name!r}")
    measured = target.measure(target.predictions(outputs, logits=logits), task.y_test)
    result = {
        "data": task.name,
        "target": target.name,
        "classes": list(task.class_names),
        "labels": len(plan.rows),
        "seed": fit.seed,
        "test": {"n": measured.pop("n"), "origin": task.test_origin},
        **measured,
        "encoder": fit.source.encoder["architecture"],
        "reuse": architecture.reuse,
        "blocks": fit.blocks,
        "above": architecture.above,
        "head": architecture.head,
        **({} if fitted.choice is None else {"head_choice": fitted.choice}),
        "inputs": list(fit.inputs.changes),
        "recipe": fit.recipe.for_budget(len(plan.rows)).to_json(),
        **({} if fitted.line is None else {"interpolated": fitted.line.alpha}),
        **choices,
        **({} if fitted.curve is None else {"learning_rate": fitted.curve.to_json()}),
        **({} if plan.leakage is None else {"leakage": plan.leakage}),
        "updates": fitted.run.updates,
        "source_digest": fit.source.digest,
        "digest": fitted.network.digest(),
    }
    return model, result
