"""Class filters: the classes of a set that a task is about, spelled ``NAME[sandal,shirt]``."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from headstart.errors import InputError, suggest
from tasks.dataset import Dataset
from tasks.targets import KINDS

MAX_SHOWN = 20


def filter_classes(dataset: Dataset, classes: str) -> Dataset:
    """Return the examples of some classes, relabelled 0..K-1.

    Args:
        dataset: a set whose y is classes.
        classes: the text between the brackets. "a,b" keeps these classes, in this order; "^a,b" all others,
            in the set's order. A class is a name, in any case, or else an index.

    Returns:
        The set, with its own value range. Its test part is filtered alike, and None when nothing is left.

    Raises:
        InputError: the set has no classes, or a class is unknown, repeated or ambiguous, or none is left.
    """
    y = dataset.y
    if y is None or dataset.target != "classes":
        kind = "no labels" if y is None else KINDS[dataset.target or ""]
        raise InputError(
            f"A class filter needs classes, and {dataset.name!r} has {kind}.",
            hint=f"Leave [{classes}] out.",
        )
    names = dataset.class_names or tuple(map(str, range(dataset.n_classes)))
    picked = pick_classes(dataset.name, names, classes)
    new_label = np.full(len(names), -1, dtype=np.int64)
    new_label[picked] = np.arange(len(picked))
    rows = np.flatnonzero(new_label[y] >= 0)
    picked_names = tuple(names[k] for k in picked)
    if not len(rows):
        raise InputError(f"{dataset.name!r} has no training example of {', '.join(picked_names)}.")
    x_test, y_test = dataset.x_test, dataset.y_test
    if x_test is not None and y_test is not None:
        test_rows = np.flatnonzero(new_label[y_test] >= 0)
        x_test, y_test = x_test[test_rows], new_label[y_test[test_rows]]
        if not len(test_rows):
            x_test = y_test = None
    return replace(
        dataset,
        name=f"{dataset.name}[{classes}]",
        x=dataset.x[rows],
        y=new_label[y[rows]],
        x_test=x_test,
        y_test=y_test,
        class_names=picked_names,
        files=None if dataset.files is None else tuple(dataset.files[i] for i in rows),
        source=f"{dataset.source}; of it {', '.join(picked_names)}",
    )


def pick_classes(owner: str, names: tuple[str, ...], classes: str) -> list[int]:
    """Return the indices of the classes ``names`` that a filter of the set ``owner`` picks."""
    exclude = classes.strip().startswith("^")
    listed: list[int] = []
    for part in classes.strip().removeprefix("^").split(","):
        k = _find_class(owner, names, part.strip())
        if k in listed:
            raise InputError(
                f"The class filter [{classes}] of {owner!r} lists class {names[k]!r} twice."
            )
        listed.append(k)
    if not exclude:
        return listed
    rest = [k for k in range(len(names)) if k not in listed]
    if not rest:
        raise InputError(
            f"The class filter [{classes}] of {owner!r} leaves no class out of {', '.join(names)}."
        )
    return rest


def _find_class(owner: str, names: tuple[str, ...], part: str) -> int:
    if part in names:
        return names.index(part)
    alike = [k for k, name in enumerate(names) if name.casefold() == part.casefold()]
    if len(alike) == 1:
        return alike[0]
    if alike:
        both = " or ".join(repr(names[k]) for k in alike)
        raise InputError(f"Class {part!r} of {owner!r} could be {both}.", hint="Spell it exactly.")
    if part.isdecimal() and int(part) < len(names):
        return int(part)
    more = len(names) - MAX_SHOWN
    shown = ", ".join(names[:MAX_SHOWN]) + (f" and {more} more" if more > 0 else "")
    raise InputError(
        f"{owner!r} has no class {part!r}.",
        hint=f"{suggest(part, names).strip()} Its classes: {shown}.",
    )
