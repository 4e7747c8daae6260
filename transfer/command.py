"""What the command ``transfer`` does with its options."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pretrain.weights import WeightsFile
from tasks.console import out, out_json
from tasks.dataset import Dataset
from tasks.errors import InputError
from tasks.kinds import KINDS
from tasks.load import load_dataset
from tasks.outputs import check_output, write_text
from tasks.target import TargetTask
from transfer.arrangement import FROZEN_HEADS, check_unused
from transfer.chosen import read_chosen
from transfer.leakage import leakage, leaks, refuse, tell
from transfer.recipes import recipe as named_recipe
from transfer.run import Plan, Source, TransferConfig, checkpoints_of, transfer
from transfer.search import SECONDS
from transfer.tables import show_search, told


def transfer_command(
    *,
    weights: Path,
    data: str,
    labels: int | None,
    labels_from: Path | None,
    allow_leakage: bool,
    test_part: float,
    output: Path,
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
    quiet: bool,
    as_json: bool,
    **changes: Any,
) -> None:
    """Check everything, then train, write model and result, and say what was measured."""
    from pretrain.engine.progress import make_reporter

    if output.suffix != ".keras":
        raise InputError(f"--out must end in .keras, or Keras will not load it. Got {output}.")
    beside = output.with_suffix(".json")
    for path in (output, beside):
        check_output(path, force=force or resume)
    if labels is not None and labels_from is not None:
        raise InputError("--labels and --labels-from both say which labels to use: leave one out.")
    file = WeightsFile.read(weights)
    source = Source.from_weights(file)
    fields = {name: value for name, value in changes.items() if value is not None}
    check_unused(head or "linear", [*fields, *(["recipe"] if recipe != "default" else [])])
    if image_size is None and Path(data).is_dir() and len(source.encoder["input_shape"]) == 3:
        image_size = (source.encoder["input_shape"][0], source.encoder["input_shape"][1])
    dataset = load_dataset(data, image_size=image_size, skip_unreadable=skip_unreadable, seed=seed)
    task = TargetTask.from_dataset(dataset, seed=seed, test_fraction=test_part)
    config = TransferConfig(
        recipe=named_recipe(recipe, fields),
        labels=labels,
        **_reuse(reuse, search_seconds, above, head),
        seed=seed,
        rows=None if labels_from is None else read_chosen(labels_from, task.x),
    )
    plan = Plan.make(task, source, config)
    found = leakage(task, plan.rows, file)
    if not allow_leakage:
        refuse(found, task.name, weights.name)

    from pretrain.runtime import start

    start(threads)
    from transfer.export import save_model

    # The same data with another test part is another run.
    data_identity = f"{dataset.fingerprint}, test part: {task.test_origin}"
    checkpoints = checkpoints_of(output, task, source, config, data_identity)
    if checkpoints.start(output, force=force, resume=resume) and beside.exists():
        finished = json.loads(beside.read_text())
        if finished.get("identity") != checkpoints.identity:
            raise InputError(
                f"{output} exists and is another run's. Give another --out, or --force."
            )
        _report(finished, output, beside, as_json)
        return
    reporter = make_reporter(quiet)
    reporter.say(f"Data: {task.name}, {dataset.source}; test part: {task.test_origin}")
    for change in plan.inputs.changes:
        reporter.say(f"Inputs: {change}, to fit the encoder")
    reporter.say(tell(found))
    if task.target != "classes":
        reporter.say(f"Target: {KINDS[task.target]}")
    lacking = task.absent(plan.rows)
    if lacking:
        names = ", ".join(lacking)
        reporter.say(f"Warning: no label is of class {names}: the model cannot learn it")
    if leaks(found):
        reporter.say("Warning: the pretraining used their labels, so the test measures memory too")
    try:
        done = transfer(
            task, source, config, reporter=reporter, checkpoints=checkpoints, resume=resume
        )
    finally:
        reporter.close()
    save_model(done.model, output, plan.inputs, done.result, task.x_test[:64])
    result = {**done.result, "leakage": {**found, "leaks": leaks(found)}}
    if labels_from is not None:
        result["labels_from"] = labels_from.name
    result |= {"identity": checkpoints.identity, "history": done.history}
    text = json.dumps(result, indent=1)
    write_text(beside, text + "\n")
    checkpoints.clear()
    _report(result, output, beside, as_json)


def _reuse(
    reuse: int | str | None, seconds: float | None, above: str | None, head: str | None
) -> dict[str, Any]:
    """Return the fields of TransferConfig that these options set. Raises InputError."""
    if reuse != "auto":
        if seconds is not None:
            raise InputError("--search-seconds bounds the search of --reuse auto: add that.")
        # Fresh blocks below a head that trains nothing would stay random.
        usual = "drop" if head in FROZEN_HEADS and reuse else "reset"
        return {"reuse": reuse, "above": above or usual, "head": head or "linear"}
    if above or head:
        raise InputError("--reuse auto chooses what --above and --head say: leave them out.")
    return {"search": SECONDS if seconds is None else seconds}


def suggest_command(
    *,
    weights: Path,
    data: str,
    labels: int,
    test_part: float,
    output: Path,
    seed: int,
    threads: int | None,
    image_size: tuple[int, int] | None,
    skip_unreadable: bool,
    force: bool,
    quiet: bool,
) -> dict[str, Any]:
    """Choose examples to label, and write them as a table and, of images, as a picture.

    Of labelled data only the training part is chosen from, as ``transfer`` splits it.
    """
    from transfer.chosen import to_csv
    from transfer.inputs import Inputs

    if output.suffix.lower() != ".csv":
        raise InputError(f"--out must end in .csv. Got {output}.")
    picture = output.with_suffix(".png")
    for path in (output, picture):
        check_output(path, force)
    file = WeightsFile.read(weights)
    shape = tuple(file.encoder["input_shape"])
    if image_size is None and Path(data).is_dir() and len(shape) == 3:
        image_size = (shape[0], shape[1])
    dataset = load_dataset(data, image_size=image_size, skip_unreadable=skip_unreadable, seed=seed)
    pool: Dataset | TargetTask = dataset
    if dataset.y is not None:
        pool = TargetTask.from_dataset(dataset, seed=seed, test_fraction=test_part)
    inputs = Inputs.match(
        pool.input_shape, str(pool.x.dtype), pool.value_range, shape, file.preprocessing
    )
    if not 1 <= labels <= len(pool.x):
        raise InputError(
            f"--labels must be 1 to {len(pool.x):,}, the examples there are to choose from. "
            f"Got {labels}."
        )

    from pretrain.curves import write_picture
    from pretrain.engine.progress import make_reporter
    from pretrain.runtime import start

    start(threads)
    from transfer.suggest import clusters, encoded, pictured

    reporter = make_reporter(quiet)
    try:
        reporter.say(f"Data: {pool.name}, {len(pool.x):,} examples to choose from, {pool.source}")
        for change in inputs.changes:
            reporter.say(f"Inputs: {change}, to fit the encoder")
        chosen = clusters(encoded(file, inputs, pool.x), labels, seed)
    finally:
        reporter.close()
    write_text(output, to_csv(chosen, pool.x, pool.files))
    shown = pictured(pool.x[chosen.rows], pool.value_range)
    if shown is not None:
        write_picture(picture, shown)
    return {
        "out": str(output),
        "picture": None if shown is None else str(picture),
        "data": pool.name,
        "examples": len(pool.x),
        "labels": labels,
        "indices": chosen.rows.tolist(),
        "source_digest": file.digest,
    }


def predict_command(
    *,
    model: Path,
    data: str,
    output: Path,
    image_size: tuple[int, int] | None,
    skip_unreadable: bool,
    force: bool,
) -> dict[str, Any]:
    """Read the model's card, load the examples to its size, and predict."""
    from transfer.export import read_about
    from transfer.predict import predict

    shape = read_about(model)["input"]["shape"]
    check_output(output, force)
    if image_size is None and Path(data).is_dir() and len(shape) == 3:
        image_size = (shape[0], shape[1])
    dataset = load_dataset(data, image_size=image_size, skip_unreadable=skip_unreadable)

    from pretrain.runtime import start

    start()
    return predict(model, dataset, output, force=force)


def _report(result: dict[str, Any], output: Path, beside: Path, as_json: bool) -> None:
    if as_json:
        out_json({"out": str(output), **result})
        return
    if "search" in result:
        show_search(result["search"])
    for line in told(result):
        out(line)
    out(
        f"{result['labels']} labels, {result['reuse']} of {result['blocks']} blocks reused, "
        f"{result['seconds']:.1f} s. Wrote {output} and {beside}, digest {result['digest'][:16]}"
    )
