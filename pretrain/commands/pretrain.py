"""``pretrain`` and ``pretrain --preview-augment``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headstart.cli import out, out_json
from headstart.errors import InputError
from headstart.files import check_output
from headstart.options import ReadOptions
from pretrain.augment.preview import check_picturable
from pretrain.augment.recipes import Augmentation
from pretrain.commands.list import changes, numbers
from pretrain.commands.race import announcement, table
from pretrain.config import PretrainConfig
from pretrain.engine.progress import make_reporter
from pretrain.engine.session import Session
from pretrain.monitoring.artifacts import Companions
from pretrain.plan import PretrainPlan, pool_rows
from pretrain.race.plan import RacePlan
from pretrain.race.run import race
from pretrain.run import Pretrained, pretrain
from pretrain.strategies import AUTO
from tasks.dataset import Dataset
from tasks.duplicates.exact import overlap
from tasks.loading.resolve import check_apart, load_dataset
from tasks.loading.tables import TableReading


def pretrain_command(
    config: PretrainConfig,
    *,
    data: str,
    output: Path,
    probe: str | None,
    preview: Path | None,
    reading: ReadOptions,
    threads: int | None,
    quiet: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Plan, train, and print what was written; with ``preview`` only draw the augmentation.

    options: of the ``Session``.
    """

    def load(spec: str, **how: Any) -> Dataset:
        return load_dataset(
            spec,
            image_size=reading.image_size,
            skip_unreadable=reading.skip_unreadable,
            seed=config.seed,
            table=TableReading.of(reading, **how),
        )

    session = Session(threads=threads, reporter=make_reporter(quiet), **options)
    if preview is not None:
        if preview.suffix.lower() != ".png":
            raise InputError("must end in .png", argument="preview", value=preview)
        check_output(preview, force=session.force)
        _draw(config, session, load(data), preview, as_json)
        return
    for path in (output, *Companions(out=output).written()):
        check_apart(path, data, probe)
    pool = load(data, rows=pool_rows(config))
    probing = None if probe is None else load(probe, like=pool.schema, needs_target=True)
    how: dict[str, Any] = {"probe": probing, "out": output, "session": session}
    try:
        run = _raced if config.strategy == AUTO else _pretrained
        done, lines = run(pool, config, how)
    finally:
        session.reporter.close()
    if as_json:
        out_json(done.to_json())
    else:
        out("\n".join(lines))


def _pretrained(
    pool: Dataset, config: PretrainConfig, how: Mapping[str, Any]
) -> tuple[Pretrained, list[str]]:
    """Pretrain by one strategy, and return the result with the lines to print."""
    plan = PretrainPlan.make(pool, config, **how)
    for line in _announcement(plan):
        how["session"].reporter.say(line)
    done = pretrain(plan, how["session"])
    return done, _written(done, plan.keep_best)


def _raced(
    pool: Dataset, config: PretrainConfig, how: Mapping[str, Any]
) -> tuple[Pretrained, list[str]]:
    """Race the strategies, and return the winner's training with the lines to print."""
    plan = RacePlan.make(pool, config, **how)
    for line in announcement(plan):
        how["session"].reporter.say(line)
    done = race(plan, how["session"])
    return done, [*table(done.weights.metadata["race"]), *_written(done)]


def _draw(
    config: PretrainConfig, session: Session, dataset: Dataset, picture: Path, as_json: bool
) -> None:
    """Draw an augmentation's views of a few examples, and print its numbers."""
    check_picturable(dataset)
    augmentation = Augmentation.resolve(dataset, config.augment, config.augment_options)
    session.start()
    from pretrain.augment.preview import draw_views
    from pretrain.monitoring.artifacts import write_picture

    pixels, count = draw_views(dataset, augmentation, config.seed)
    write_picture(picture, pixels)
    if as_json:
        out_json({"out": str(picture), "examples": count, **augmentation.to_json()})
        return
    out(f"Wrote {picture}: {count} examples of {dataset.name}, each with its views to the right.")
    out(_augmentation(augmentation))


def _announcement(plan: PretrainPlan) -> list[str]:
    """Return the lines that are shown before the training."""
    dataset, probe = plan.dataset, plan.probe
    columns = [] if dataset.schema is None else [f"Columns: {dataset.schema.describe()}"]
    lines = [
        f"Data: {dataset.name}, {len(dataset.x):,} examples, {dataset.source}",
        *columns,
        *dataset.notes,
        f"Strategy {plan.row.name}, encoder {plan.encoder['architecture']}, "
        f"{plan.recipe.epochs:g} epochs, seed {plan.seed}",
    ]
    if plan.augmentation is not None:
        lines.append(_augmentation(plan.augmentation))
    if probe is not None:
        shared = len(overlap(dataset.x, probe.x))
        also = f"; {shared:,} of them are in the pool too" if shared else ""
        lines.append(f"Probe: {probe.name}, {len(probe.x):,} examples{also}")
    return lines


def _written(done: Pretrained, keep_best: str | None = None) -> list[str]:
    """Return the lines on the files that were written."""
    lines = []
    if done.resumed_from == "the end":
        lines.append(f"{done.path} is finished already, by this very run.")
    lines.append(f"Wrote {done.path}: {done.weights.receipt()}, digest {done.weights.digest[:16]}")
    if keep_best is not None and done.kept:
        kept = ", ".join(f"{row['epoch']} of {row['stage']}" for row in done.kept)
        lines.append(f"Kept by {keep_best}: epoch {kept}")
    if done.companions:
        pictures = [path for path in done.companions if path.stem[-3:].isdecimal()]
        files = [str(path) for path in done.companions if path not in pictures]
        if pictures:
            files.append(f"{len(pictures)} pictures, the last {pictures[-1]}")
        lines.append(f"Wrote {' and '.join(files)}")
    return lines


def _augmentation(augmentation: Augmentation) -> str:
    """Return the recipe's name and its numbers, on one line."""
    said = numbers(changes(augmentation.options)) or "no change"
    return f"Augmentation {augmentation.name}: {said}"
