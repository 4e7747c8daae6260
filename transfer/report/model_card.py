"""The model card: a page of Markdown, a pure function of the result that ``transfer`` writes as JSON."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from tasks.tables.schema import Schema
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
        "counted": counted,
        "literal": json.dumps,
        "percent": lambda share: f"{100 * share:.2f} %",
        "points": lambda share: f"{100 * share:+.2f}",
        "shell": shlex.quote,
    }
    target = target_of_result(result)
    baselines = result.get("baselines") or {}
    shown = {
        "labels_from": None,
        "exports": [],
        "source": None,
        "leakage": None,
        **result,
        "name": cell(PurePosixPath(model_file).stem),
        "model_file": model_file,
        "json": PurePosixPath(model_file).with_suffix(".json").name,
        "title": target.title(),
        "schedule": _schedule(result),
        "measures": _measures(result),
        "baselines": baselines,
        "better": [n for n, row in baselines.items() if row["accuracy"] >= result["accuracy"]],
        **_confusion(result),
        "few_examples": MIN_TEST_EXAMPLES,
        "limits": target.limits(),
        "pictures": [_picture(path) for path in result.get("pictures", ())],
        "input_text": _input(result),
        "outputs": target.outputs,
        "outputs_text": target.outputs_text(cell),
    }
    return environment.get_template("model.md.j2").render(shown)


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
    for kind in ("views", "search", "pool"):
        if result.get(kind):
            chosen = result[kind]
            names = {"views": "random views", "search": "reuse search"}
            name = names.get(kind) or f"pool {chosen['name']}"
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


def _confusion(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the matrix of few classes, or the most frequent mistakes of many, and what is rare."""
    matrix, classes = result.get("confusion"), result["classes"]
    shown: dict[str, Any] = {"matrix": None, "confused": None, "few": [], "never": []}
    if matrix is None:
        return shown
    if len(classes) <= MAX_MATRIX:
        shown["matrix"] = list(zip(classes, matrix, strict=True))
    else:
        mistakes = [
            (n, i, j) for i, row in enumerate(matrix) for j, n in enumerate(row) if i != j and n
        ]
        mistakes.sort(key=lambda row: (-row[0], row[1], row[2]))
        shown["confused"] = [(classes[i], classes[j], n) for n, i, j in mistakes[:10]]
    for name, true, predicted in zip(classes, matrix, zip(*matrix, strict=True), strict=True):
        if sum(true) < MIN_TEST_EXAMPLES:
            shown["few"].append(name)
        if sum(true) and not sum(predicted):
            shown["never"].append(name)
    return shown


def _picture(path: str) -> dict[str, str]:
    """Return the title of a figure, and its link from the page's folder, with all characters escaped."""
    parts = PurePosixPath(path.replace("\\", "/")).parts[-2:]
    return {
        "title": TITLES.get(PurePosixPath(path).stem, "Picture"),
        "file": quote("/".join(parts)),
    }


def _input(result: Mapping[str, Any]) -> str:
    given = result.get("input")
    if not given:
        return "raw examples"
    if "table" in given:
        columns = cell(Schema.from_json(given["table"]).describe())
        return f"a dictionary of columns (N, 1) by name: {columns}"
    low, high = given["value_range"]
    shape = "".join(f", {size}" for size in given["shape"])
    return f"{given['dtype']} (N{shape}), values {low:g} to {high:g}"


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
