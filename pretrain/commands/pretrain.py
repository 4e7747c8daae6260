"""What the command ``pretrain`` does with its options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from headstart.cli import out, out_json
from headstart.errors import InputError
from headstart.files import check_output
from pretrain.augment.recipes import Augmentation
from pretrain.commands.list import changes, numbers
from pretrain.config import pretrain_recipe
from pretrain.engine.stage import Optimizer
from pretrain.run import Plan, PretrainConfig, pretrain
from pretrain.strategies import strategy as find_strategy
from tasks.dataset import Dataset
from tasks.duplicates.exact import overlap
from tasks.loading.resolve import check_apart, load_dataset


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
    checkpoint_seconds: float,
    quiet: bool,
    as_json: bool,
    optimizer: str | None,
    augment: str,
    augment_options: dict[str, str],
    probe: str | None,
    probe_every: int | None,
    keep_best: str | None,
    collapse: str,
    fingerprints: bool,
    list_all: bool = False,
    describe: str | None = None,
    preview: Path | None = None,
    **changes: Any,
) -> None:
    """Check everything, then train, then say what was written."""
    from pretrain.engine.progress import make_reporter

    base = pretrain_recipe(recipe)
    fields = dict(base.fields) | {n: value for n, value in changes.items() if value is not None}
    if optimizer is not None:
        # The strategy's own, if it is that one: a GAN's Adam has another beta_1 than Keras' default.
        own = find_strategy(strategy).recipe.optimizer
        fields["optimizer"] = own if own.name == optimizer else Optimizer(name=optimizer)
    config = PretrainConfig(
        strategy=strategy,
        options=options,
        encoder=encoder or base.encoder,
        encoder_options=encoder_options,
        augment=augment,
        augment_options=augment_options,
        recipe=fields,
        validation=validation,
        collapse=collapse,
        keep_best=keep_best,
        probe_every=probe_every,
        seed=seed,
    )
    check_apart(output, data, probe)
    check_output(output, force=force or resume)

    def load(spec: str) -> Dataset:
        return load_dataset(spec, image_size=image_size, skip_unreadable=skip_unreadable, seed=seed)

    dataset = load(data)
    probed = None if probe is None else load(probe)
    plan = Plan.make(dataset, config, probed)
    # Only now: whatever could be refused has been, and TensorFlow takes seconds to import.
    from pretrain.engine.runtime import start

    start(threads)
    reporter = make_reporter(quiet)
    reporter.say(f"Data: {dataset.name}, {len(dataset.x):,} examples, {dataset.source}")
    reporter.say(
        f"Strategy {plan.row.name}, encoder {plan.encoder['architecture']}, "
        f"{plan.recipe.epochs} epochs, seed {seed}"
    )
    if plan.augmentation is not None:
        reporter.say(_augmentation(plan.augmentation))
    if plan.probe is not None:
        shared = len(overlap(dataset.x, plan.probe.x))
        also = f"; {shared:,} of them are in the pool too" if shared else ""
        reporter.say(f"Probe: {plan.probe.name}, {len(plan.probe.x):,} examples{also}")
    try:
        done = pretrain(
            dataset,
            config,
            output,
            force=force,
            resume=resume,
            checkpoint_seconds=checkpoint_seconds,
            reporter=reporter,
            probe=probed,
            fingerprints=fingerprints,
        )
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
        "kept": done.weights.metadata.get("kept"),
        "companions": [str(path) for path in done.companions],
        "history": done.history,
    }
    if as_json:
        out_json(result)
        return
    if done.resumed_from == "the end":
        out(f"{output} is finished already, by this very run.")
    out(f"Wrote {output}: {done.weights.receipt()}, digest {done.weights.digest[:16]}")
    if plan.keep_best is not None and done.kept:
        kept = ", ".join(f"{row['epoch']} of {row['stage']}" for row in done.kept)
        out(f"Kept by {plan.keep_best}: epoch {kept}")
    if done.companions:
        pictures = [path for path in done.companions if path.stem[-3:].isdecimal()]
        files = [str(path) for path in done.companions if path not in pictures]
        if pictures:
            files.append(f"{len(pictures)} pictures, the last {pictures[-1]}")
        out(f"Wrote {' and '.join(files)}")


def preview_command(
    *,
    data: str,
    preview: Path,
    augment: str,
    augment_options: dict[str, str],
    seed: int,
    threads: int | None,
    image_size: tuple[int, int] | None,
    skip_unreadable: bool,
    force: bool,
    as_json: bool,
    **others: Any,
) -> None:
    """Draw an augmentation's views of a few examples, and say what it does."""
    from pretrain.augment.preview import check_picturable

    if preview.suffix.lower() != ".png":
        raise InputError(f"--preview-augment must end in .png. Got {str(preview)!r}.")
    check_output(preview, force=force)
    dataset = load_dataset(data, image_size=image_size, skip_unreadable=skip_unreadable, seed=seed)
    check_picturable(dataset)
    augmentation = Augmentation.resolve(dataset, augment, augment_options)
    from pretrain.engine.runtime import start

    start(threads)
    from pretrain.augment.preview import draw_views
    from pretrain.monitoring.artifacts import write_picture

    picture, count = draw_views(dataset, augmentation, seed)
    write_picture(preview, picture)
    if as_json:
        out_json({"out": str(preview), "examples": count, **augmentation.to_json()})
        return
    out(f"Wrote {preview}: {count} examples of {dataset.name}, each with its views to the right.")
    out(_augmentation(augmentation))


def _augmentation(augmentation: Augmentation) -> str:
    """Return the recipe's name and its numbers, on one line."""
    said = numbers(changes(augmentation.options)) or "no change"
    return f"Augmentation {augmentation.name}: {said}"
