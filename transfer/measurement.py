"""The one test of a trained network: its model in Keras, and the Result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from transfer.heads import HEADS
from transfer.metrics.scores import check_outputs
from transfer.plan import TransferPlan

if TYPE_CHECKING:
    from transfer.training.fit import Fitted
    from transfer.training.fit_plan import FitPlan


def measure(
    plan: TransferPlan, fit: FitPlan, fitted: Fitted, choices: Mapping[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """Test a trained network once.

    Args:
        plan: the transfer.
        fit: its training, after all choices.
        fitted: the trained network.
        choices: what ``transfer.choices`` decided, for the result.

    Returns:
        One Keras model, raw examples to predictions; and the Result as JSON, but for its seconds.

    Raises:
        InputError: an output is not finite.
    """
    from transfer.export.keras_file import whole_model
    from transfer.inference import predict_batched

    task, target, architecture = plan.task, fit.target, fit.architecture
    logits = HEADS[architecture.head].logits
    model = whole_model(
        fitted.front, fitted.network, fitted.network.head, target.layer(logits=logits)
    )
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
        "recipe": asdict(fit.recipe.for_budget(len(plan.rows))),
        **({} if fitted.line is None else {"interpolated": fitted.line.alpha}),
        **choices,
        **({} if fitted.curve is None else {"learning_rate": fitted.curve.to_json()}),
        **({} if plan.leakage is None else {"leakage": plan.leakage}),
        "updates": fitted.run.updates,
        "source_digest": fit.source.digest,
        "digest": fitted.network.digest(),
    }
    return model, result
