"""What the command ``transfer`` does with its options."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headstart.cli import out, out_json
from headstart.errors import InputError, arg
from headstart.files import check_output, read_json, write_bytes, write_text
from pretrain.engine.checkpoint import checkpoint_folder
from pretrain.engine.progress import LineReporter, Reporter
from pretrain.keras_import.source import read_source
from pretrain.weights.file import WeightsFile
from tasks.loading.resolve import check_apart, folder_size, load_dataset
from tasks.targets import KINDS
from tasks.task import TargetTask
from transfer.active_learning.selection_file import read_selection
from transfer.commands.console import show_pool, show_search, told
from transfer.data.input_adapter import InputAdapter
from transfer.data.leakage import describe, leakage, leaks, refuse
from transfer.heads import head_of, usual_above
from transfer.metrics.baselines import baselines
from transfer.plan import Plan, Source, TransferConfig
from transfer.recipes import recipe as named_recipe
from transfer.report.artifacts import Artifacts
from transfer.report.figures import folder_of
from transfer.run import checkpoints_of, transfer
from transfer.selection.search import SECONDS
from transfer.semi_supervised.unlabelled import Pool
from transfer.targets import TARGETS
from transfer.training.lr_finder import picture


def transfer_command(
    *,
    weights: Path,
    imported: Mapping[str, Any],
    data: str,
    labels: int | None,
    labels_from: Path | None,
    allow_leakage: bool,
    test_part: float,
    output: Path,
    export: tuple[str, ...],
    pictures: bool,
    kind: str,
    recipe: str,
    reuse: int | str | None,
    search_seconds: float | None,
    above: str | None,
    head: str | None,
    seed: int,
    threads: int | None,
    image_size: tuple[int, int] | None,
    skip_unreadable: bool,
    force: bool,
    resume: bool,
    checkpoint_seconds: float,
    quiet: bool,
    as_json: bool,
    pool: str | None,
    pool_method: str | None,
    pool_size: int | None,
    pool_temperature: float | None,
    **changes: Any,
) -> None:
    """Check everything, then train, write model and result, and say what was measured.

    imported: of a model that ``weights`` names in place of a weights file, the options of ``import_model``.
    """
    from pretrain.engine.progress import make_reporter

    if output.suffix != ".keras":
        raise InputError(f"--out must end in .keras, or Keras will not load it. Got {output}.")
    check_apart(output, weights, data, labels_from, pool)
    beside = Artifacts(model=output, formats=export, pictures=pictures, map=kind)
    # Only a run that began here may find files of its own.
    own = force or (resume and (output.exists() or checkpoint_folder(output).exists()))
    curve = output.with_name(f"{output.stem}-learning-rate.png")
    finds = changes.get("learning_rate") == "find"
    for path in (output, *([curve] if finds else [])):
        check_output(path, force=own)
    beside.check(force=own)
    if labels is not None and labels_from is not None:
        raise InputError("--labels and --labels-from both say which labels to use: leave one out.")
    asked = {"method": pool_method, "size": pool_size, "temperature": pool_temperature}
    pool_options: dict[str, Any] = {k: v for k, v in asked.items() if v is not None}
    if pool is None and pool_options:
        given = ", ".join(f"--pool-{name}" for name in pool_options)
        raise InputError(f"{given}: add --pool DATA, the examples without labels that it is about.")
    say = (Reporter if quiet else LineReporter)().say
    file = read_source(str(weights), threads=threads, say=say, **imported)
    source = Source.from_weights(file)
    fields = {name: value for name, value in changes.items() if value is not None}
    row = head_of(head or "linear")
    row.check_options([*fields, *(["recipe"] if recipe != "default" else [])])
    image_size = image_size or folder_size(data, source.encoder["input_shape"])
    dataset = load_dataset(data, image_size=image_size, skip_unreadable=skip_unreadable, seed=seed)
    task = TargetTask.from_dataset(dataset, seed=seed, test_fraction=test_part)
    config = TransferConfig(
        recipe=named_recipe(recipe, fields),
        labels=labels,
        **_reuse(reuse, search_seconds, above, head),
        seed=seed,
        rows=None if labels_from is None else read_selection(labels_from, task.x),
    )
    plan = Plan.make(task, source, config)
    target = TARGETS[task.target]
    if not target.exclusive:
        for option, asked_for in (("--pool", pool is not None), ("--pictures", pictures)):
            if asked_for:
                raise InputError(
                    f"{option} works on classes, and y of {task.name!r} is {KINDS[task.target]}: leave "
                    f"it out."
                )
    if pool is not None and row.solved:
        raise InputError(
            f"trains the network, and {format(arg.head, row.name)} is solved on frozen features",
            argument="pool",
            hint="Leave one of them out.",
        )
    found = leakage(task, plan.rows, file)
    if not allow_leakage:
        refuse(found, task.name, weights.name)

    # The same data with another test part, or another pool, is another run.
    data_identity = f"{dataset.fingerprint}, test part: {task.test_origin}"
    unlabelled = None
    if pool is not None:
        # At the task's own size: equal examples are found only so.
        size = image_size or folder_size(pool, task.input_shape)
        others = load_dataset(pool, image_size=size, skip_unreadable=skip_unreadable, seed=seed)
        unlabelled = Pool.make(
            others, task, plan.rows, file.encoder, file.preprocessing, seed=seed, **pool_options
        )
        data_identity += f", pool: {others.fingerprint} {json.dumps(pool_options)}"

    from pretrain.engine.runtime import start

    start(threads)
    from transfer.export.keras_file import save_model

    checkpoints = checkpoints_of(output, task, source, config, data_identity, checkpoint_seconds)
    if checkpoints.start(output, force=force, resume=resume):
        finished = read_json(beside.result) or {}
        if finished.get("identity") == checkpoints.identity:
            _report(beside.write(finished, task, seed), beside, as_json)
            return
        if not force:
            raise InputError(
                f"{output} exists and is another run's. Give another --out, or --force."
            )
    reporter = make_reporter(quiet)
    beside.warn(reporter.say)
    reporter.say(f"Data: {task.name}, {dataset.source}; test part: {task.test_origin}")
    for change in plan.inputs.changes:
        reporter.say(f"Inputs: {change}, to fit the encoder")
    reporter.say(describe(found))
    if unlabelled is not None:
        reporter.say(unlabelled.tell())
    if not target.exclusive:
        reporter.say(f"Target: {KINDS[task.target]}")
    lacking = task.absent(plan.rows)
    if lacking:
        names = ", ".join(lacking)
        reporter.say(f"Warning: no label is of class {names}: the model cannot learn it")
    if leaks(found):
        reporter.say("Warning: the pretraining used their labels, so the test measures memory too")
    try:
        done = transfer(
            task,
            source,
            config,
            reporter=reporter,
            checkpoints=checkpoints,
            resume=resume,
            pool=unlabelled,
            guard=False,
        )
    finally:
        reporter.close()
    save_model(done.model, output, plan.inputs, done.result, task.x_test[:64])
    result = {**done.result, "leakage": {**found, "leaks": leaks(found)}}
    if labels_from is not None:
        result["labels_from"] = labels_from.name
    result |= _told(file, weights, done.inputs)
    result["baselines"] = baselines(task, plan.rows, seed) if target.exclusive else {}
    result |= {"identity": checkpoints.identity, "history": done.history}
    if "learning_rate" in result:
        write_bytes(curve, picture(result["learning_rate"]))
    write_text(beside.result, json.dumps(result, indent=1) + "\n")
    checkpoints.clear()
    _report(beside.write(result, task, seed), beside, as_json)


def _reuse(
    reuse: int | str | None, seconds: float | None, above: str | None, head: str | None
) -> dict[str, Any]:
    """Return the fields of TransferConfig that these options set. Raises InputError."""
    if reuse != "auto":
        if seconds is not None:
            raise InputError("--search-seconds bounds the search of --reuse auto: add that.")
        usual = usual_above(head or "linear", reuse)
        return {"reuse": reuse, "above": above or usual, "head": head or "linear"}
    if above or head:
        raise InputError("--reuse auto chooses what --above and --head say: leave them out.")
    return {"search": SECONDS if seconds is None else seconds}


def _told(file: WeightsFile, weights: Path, inputs: InputAdapter) -> dict[str, Any]:
    """Return what a reader of the result wants to know of the weights file and of the inputs."""
    metadata = file.metadata
    return {
        "source": {
            "file": weights.name,
            "strategy": metadata.get("strategy"),
            "data": metadata.get("data", {}).get("name"),
            "seed": metadata.get("seed"),
        },
        "input": {
            "shape": list(inputs.shape),
            "dtype": inputs.dtype,
            "value_range": list(inputs.value_range),
        },
    }


def _report(result: dict[str, Any], beside: Artifacts, as_json: bool) -> None:
    output = beside.model
    if as_json:
        out_json({"out": str(output), **result})
        return
    if "search" in result:
        show_search(result["search"])
    if "pool" in result:
        show_pool(result["pool"])
    for line in told(result):
        out(line)
    out(
        f"{result['labels']} labels, {result['reuse']} of {result['blocks']} blocks reused, "
        f"{result['seconds']:.1f} s. Wrote {output}, {beside.result} and {beside.card}, digest "
        f"{result['digest'][:16]}"
    )
    for row in result.get("exports", ()):
        out(
            f"Wrote {output.with_name(row['file'])}: its outputs differ from the model's by at most "
            f"{row['difference']:.1e}, on {row['examples']['n']} test examples"
        )
    if result.get("pictures"):
        out(f"Wrote {len(result['pictures'])} pictures into {folder_of(output)}")
