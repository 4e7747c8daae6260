"""The model card: a page of Markdown, a pure function of the result that ``transfer`` writes as JSON."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from transfer.data.leakage import counted
from transfer.heads import HEADS, SolvedHead
from transfer.targets import target_of_result

MAX_MATRIX = 12
"""Classes up to which the whole confusion matrix stands on the page."""
MIN_TEST_EXAMPLES = 30
"""Test examples of a class below which its measurements are called rough."""
TITLES = {
    "curves": "Training curves",
    "confusion": "Confusion matrix",
    "features": "Encoder's features of test examples",
    "unsure": "Test examples the model is least sure of",
    "wrong": "Test examples the model is most wrong about",
}
MEASURES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy (mean recall over classes)",
    "macro_f1": "macro-F1",
    "micro_f1": "micro-F1",
    "mean_average_precision": "mean average precision",
    "subset_accuracy": "all labels right",
    "hamming_loss": "Hamming loss",
    "r2": "R squared",
    "rmse": "root mean squared error",
    "mae": "mean absolute error",
    "loss": "loss (mean -log p of what is true)",
}
NUMBERS = {"loss", "r2", "rmse", "mae", "hamming_loss"}
"""Measures that are not shown in percent."""


def card(result: Mapping[str, Any], model_file: str) -> str:
    """Return the model card of a transfer.

    Args:
        result: the JSON of ``transfer``. It needs data, classes, labels, seed, test, encoder, reuse, blocks,
            inputs, recipe, source_digest and digest; all else is optional: metrics, confusion, leakage,
            baselines, source, input, exports, pictures, labels_from.
        model_file: the name of the ``.keras`` file, for the title and the commands.

    Example:
        >>> card(json.loads(Path("model.json").read_text()), "model.keras").splitlines()[0]
        '# model'
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    # Escaping HTML would spoil Markdown; the filters escape names.
    environment = Environment(
        loader=PackageLoader("transfer.report"),
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {
        "between": lambda pair: f"{100 * pair[0]:.2f} to {100 * pair[1]:.2f} %",
        "cell": cell,
        "code": code,
        "count": lambda number: f"{number:,}",
        "literal": json.dumps,
        "percent": lambda share: f"{100 * share:.2f} %",
        "points": lambda share: f"{100 * share:+.2f}",
        "shell": shlex.quote,
    }
    shown = {
        "labels_from": None,
        "exports": [],
        **result,
        "name": cell(PurePosixPath(model_file).stem),
        "model_file": model_file,
        "json": PurePosixPath(model_file).with_suffix(".json").name,
        **_fields(result),
    }
    return environment.get_template("model.md.j2").render(shown)


def _fields(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the template's variables besides the result's entries; baselines and pictures replace those."""
    return {
        "title": target_of_result(result).title(),
        "source_text": _source(result),
        "origin": _origin(result),
        "schedule": _schedule(result),
        "measures": _measures(result),
        "baselines": _baselines(result),
        "matrix": None,
        "confused": None,
        **_confusion(result),
        "leaked": _leakage(result),
        "limits": _limits(result),
        "pictures": [_picture(path) for path in result.get("pictures", ())],
        **_use(result),
    }


def _source(result: Mapping[str, Any]) -> str:
    source = result.get("source")
    if not source:
        return "" if result["source_digest"] else " without pretraining"
    return f" pretrained by {source['strategy']}"


def _origin(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the facts about the weights file."""
    rows, source = [], result.get("source")
    if source:
        rows.append(("weights file", code(source["file"])))
        text = cell(source["strategy"])
        if source.get("data"):
            text += f", on {code(source['data'])}"
        if source.get("seed") is not None:
            text += f", seed {source['seed']}"
        rows.append(("pretraining", text))
    digest = result["source_digest"]
    rows.append(("digest of the weights file", code(digest) if digest else "none: it was fresh"))
    return rows


def _schedule(result: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return the head, the choices made on validation, and the fields of the recipe that were used."""
    recipe, choice = result["recipe"], result.get("head_choice")
    rows: list[tuple[str, Any]] = [("head", result.get("head", "linear"))]
    head = HEADS[result.get("head", "linear")]
    if isinstance(head, SolvedHead):
        if choice:
            rows.append((f"{head.parameter}, on frozen features", choice[head.parameter]))
            rows.append(("folds that chose it", choice["folds"]))
        recipe = {k: v for k, v in recipe.items() if k in head.heeds}
    elif result["reuse"]:
        recipe = {k: value for k, value in recipe.items() if not k.startswith("scratch_")}
    for kind in ("search", "pool"):
        if result.get(kind):
            chosen = result[kind]
            name = "reuse search" if kind == "search" else f"pool {chosen['name']}"
            rows.append((name, f"{chosen['chosen']}: {chosen['reason']}"))
    rows += _flat(recipe)
    if result.get("interpolated") == 1.0:
        rows.append(("interpolated", "not at all: the loss on the labels is higher there"))
    if "updates" in result:
        rows.append(("updates made", f"{result['updates']:,}"))
    if "seconds" in result:
        rows.append(("seconds of training", f"{result['seconds']:.1f}"))
    return rows


def _flat(recipe: Mapping[str, Any], before: str = "") -> list[tuple[str, Any]]:
    """Return the recipe's fields in its order, those of a group inside it too."""
    rows: list[tuple[str, Any]] = []
    for name, value in recipe.items():
        label = f"{before}{name.replace('_', ' ')}"
        if isinstance(value, Mapping):
            rows += _flat(value, f"{label}: ")
        elif isinstance(value, list):
            rows.append((label, ", ".join(map(str, value)) or "none"))
        else:
            rows.append((label, "none" if value is None else value))
    return rows


def _measures(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = []
    for name, label in MEASURES.items():
        number, interval = result.get(name), result.get(f"{name}_interval")
        if number is None:
            continue
        times, form, unit = (1, ".4g", "") if name in NUMBERS else (100, ".2f", " %")
        text = f"{times * number:{form}}{unit}"
        if interval is not None:
            low, high = (f"{times * edge:{form}}" for edge in interval)
            text += f" ({low} to {high}{unit})"
        rows.append((label, text))
    return rows


def _baselines(result: Mapping[str, Any]) -> Sequence[dict[str, Any]]:
    return [
        {
            "name": name,
            "accuracy": row["accuracy"],
            "interval": row.get("accuracy_interval"),
            "difference": row["accuracy"] - result["accuracy"],
        }
        for name, row in (result.get("baselines") or {}).items()
    ]


def _confusion(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the whole matrix of few classes, or the ten most frequent mistakes of many."""
    matrix, classes = result.get("confusion"), result["classes"]
    if matrix is None:
        return {}
    if len(classes) <= MAX_MATRIX:
        return {"matrix": list(zip(classes, matrix, strict=True))}
    mistakes = [
        (n, i, j) for i, row in enumerate(matrix) for j, n in enumerate(row) if i != j and n
    ]
    mistakes.sort(key=lambda row: (-row[0], row[1], row[2]))
    return {"confused": [(classes[i], classes[j], n) for n, i, j in mistakes[:10]]}


def _leakage(result: Mapping[str, Any]) -> Sequence[str]:
    found = result.get("leakage")
    if not found:
        return []
    if found["pool"].get("fingerprints") is None:
        lines = ["The weights file does not say which examples were in the pretraining pool."]
    else:
        lines = [_overlap(part, found[part]) for part in ("test", "labelled")]
    shared = found.get("shared") or {}
    if shared.get("exact") or shared.get("near"):
        lines.append(f"{counted(shared)} of the labelled examples are in the test part too.")
    used = {True: "used labels", False: "used no labels", None: "may have used labels"}
    lines.append(f"The pretraining {used[found['labels_used']]}.")
    if found.get("leaks"):
        lines.append(
            "**The pretraining used the labels of test examples, so the measurements are memory too.**"
        )
    return lines


def _overlap(part: str, row: Mapping[str, Any]) -> str:
    """Say how many examples of one part were in the pool; a number is None where it is unknown."""
    exact, near = row["exact"], row["near"]
    of = f"Of {row['n']:,} {part} examples"
    if exact is not None:
        more = "" if near is None else f", and {near:,} near duplicates of examples in it"
        return f"{of} {exact:,} were in the pretraining pool{more}."
    if near is not None:
        return f"{of} {near:,} are near duplicates of examples in the pretraining pool."
    return (
        f"{of} none could be looked up in the pretraining pool: their shape or type differs from the "
        f"pool's."
    )


def _limits(result: Mapping[str, Any]) -> Sequence[str]:
    """Return sentences about what was not tested."""
    test, classes = result["test"], result["classes"]
    lines = [
        f"It was tested on {test['n']:,} examples ({test['origin']}) and on nothing else: not on "
        f"examples from another source, device, place or time, nor on ones that were damaged or "
        f"made to deceive it.",
        *target_of_result(result).limits(),
        "One draw of labels and one seed were trained; probabilities were not calibrated.",
    ]
    matrix = result.get("confusion")
    if matrix is not None:
        counts = [sum(row) for row in matrix]
        few = [classes[k] for k, count in enumerate(counts) if count < MIN_TEST_EXAMPLES]
        if few:
            names = ", ".join(map(cell, few[:5])) + (" and others" if len(few) > 5 else "")
            lines.append(
                f"{len(few)} of the classes had fewer than {MIN_TEST_EXAMPLES} test "
                f"examples, so their measurements are rough: {names}."
            )
        never = [
            classes[k] for k, count in enumerate(counts) if count and not sum(r[k] for r in matrix)
        ]
        if never:
            lines.append(f"Never predicted for a test example: {', '.join(map(cell, never))}.")
    better = [row for row in _baselines(result) if row["difference"] >= 0]
    if better:
        lines.append(
            f"A simple model did as well or better here: {', '.join(row['name'] for row in better)}."
        )
    return lines


def _picture(path: str) -> dict[str, str]:
    """Return the title of a figure, and its link from the page's folder, with all characters escaped."""
    parts = PurePosixPath(path.replace("\\", "/")).parts[-2:]
    return {
        "title": TITLES.get(PurePosixPath(path).stem, "Picture"),
        "file": quote("/".join(parts)),
    }


def _use(result: Mapping[str, Any]) -> dict[str, Any]:
    given = result.get("input")
    text = "raw examples"
    if given:
        low, high = given["value_range"]
        shape = "".join(f", {size}" for size in given["shape"])
        text = f"{given['dtype']} (N{shape}), values {low:g} to {high:g}"
    target = target_of_result(result)
    return {
        "input_text": text,
        "outputs": target.outputs,
        "outputs_text": target.outputs_text(cell),
    }


def cell(value: Any) -> str:
    """Return a user's text, such as a class name, escaped for a cell of a Markdown table."""
    text = " ".join(str(value).split()) or " "
    for letter in "\\|`*_<>[]#":
        text = text.replace(letter, "\\" + letter)
    return text


def code(value: Any) -> str:
    """Return a user's text as code in Markdown, for a cell of a table too."""
    text = " ".join(str(value).split()).replace("`", "'").replace("|", "\\|")
    return f"`{text}`"
