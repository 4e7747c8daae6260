"""What the command ``pretrain`` does with its options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pretrain.recipes import pretrain_recipe
from pretrain.run import Plan, PretrainConfig, pretrain
from pretrain.stage import Optimizer
from tasks.console import out, out_json
from tasks.load import load_dataset
from tasks.outputs import check_output


def pretrain_command(
    *,
    strategy: str,
    data: str,
    output: Path,
    options: dict[str, str],
    recipe: str,
    encoder: str | None,
    encoder_options: dict[str, str],
    validation: float,
    seed: int,
    threads: int | None,
    image_size: tuple[int, int] | None,
    skip_unreadable: bool,
    force: bool,
    resume: bool,
    quiet: bool,
    as_json: bool,
    optimizer: str | None,
    list_all: bool = False,
    **changes: Any,
) -> None:
    """Check everything, then train, then say what was written."""
    from pretrain.engine.progress import make_reporter

    base = pretrain_recipe(recipe)
    fields = dict(base.fields) | {n: value for n, value in changes.items() if value is not None}
    if optimizer is not None:
        fields["optimizer"] = Optimizer(name=optimizer)
    config = PretrainConfig(
        strategy=strategy,
        options=options,
        encoder=encoder or base.encoder,
        encoder_options=encoder_options,
        recipe=fields,
        validation=validation,
        seed=seed,
    )
    check_output(output, force=force or resume)
    dataset = load_dataset(data, image_size=image_size, skip_unreadable=skip_unreadable, seed=seed)
    plan = Plan.make(dataset, config)
    # Only now: whatever could be refused has been, and TensorFlow takes seconds to import.
    from pretrain.runtime import start

    start(threads)
    reporter = make_reporter(quiet)
    reporter.say(f"Data: {dataset.name}, {len(dataset.x):,} examples, {dataset.source}")
    reporter.say(
        f"Strategy {plan.row.name}, encoder {plan.encoder['architecture']}, "
        f"{plan.recipe.epochs} epochs, seed {seed}"
    )
    try:
        done = pretrain(dataset, config, output, force=force, resume=resume, reporter=reporter)
    finally:
        reporter.close()
    result = {
        "out": str(output),
        "digest": done.weights.digest,
        "strategy": strategy,
        "data": dataset.name,
        "seed": seed,
        "updates": done.updates,
        "metrics": done.weights.metadata["metrics"],
        "receipt": done.weights.receipt(),
        "seconds": round(done.seconds, 2),
        "resumed_from": done.resumed_from,
        "history": done.history,
    }
    if as_json:
        out_json(result)
        return
    if done.resumed_from == "the end":
        out(f"{output} is finished already, by this very run.")
    out(f"Wrote {output}: {done.weights.receipt()}, digest {done.weights.digest[:16]}")
