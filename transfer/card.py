"""The model card: a page of Markdown, made from the result that ``transfer`` writes as JSON.

The JSON is the source of truth, and the page a pure function of it: it says nothing else, and what a
result does not hold is left out.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from transfer.card_fields import fields
from transfer.markdown import cell, code


def card(result: Mapping[str, Any], model_file: str) -> str:
    """Return the card of a transfer.

    result: what ``transfer`` writes as JSON. Needed are data, classes, labels, seed, test, encoder, reuse,
        blocks, inputs, recipe, source_digest and digest; everything else is told when it is there:
        metrics, confusion, leakage, baselines, source, input, exports, pictures, labels_from.
    model_file: the name of the ``.keras`` file, for the title and the commands.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    # A page of Markdown: escaping HTML would spoil it, and the filters take care of what is not ours.
    environment = Environment(
        loader=PackageLoader("transfer"),
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
        **fields(result),
    }
    return environment.get_template("model.md.j2").render(shown)
