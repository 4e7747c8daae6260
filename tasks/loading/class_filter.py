"""Views: the classes of a set that a task is about, spelled ``NAME[sandal,shirt]``."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from headstart.errors import InputError, suggest
from tasks.dataset import Dataset
from tasks.targets import KINDS


def apply_view(dataset: Dataset, view: str) -> Dataset:
    """Return the examples of ``dataset`` whose classes ``view`` picks, relabelled 0..K-1.

    view: what stands between the brackets. "a,b" keeps these classes, in this order; "^a,b" all
    others, in the set's order. A class is a name, in any case, or else an index. The test part is
    treated alike, and is None when nothing of it is left. The value range stays the set's own.
    Raises InputError when the set is unlabelled, or a class is unknown, repeated or ambiguous, or
    none is left.
    """
    y = dataset.y
    if y is None:
        raise InputError(f"{dataset.name!r} has no labels, so no view [{view}] can be taken of it.")
    if dataset.target != "classes":
        raise InputError(
            f"A view picks classes, and {dataset.name!r} has {KINDS[dataset.target or '']}: leave "
            f"[{view}] out."
        )
    names = dataset.class_names or tuple(str(k) for k in range(dataset.n_classes))
    picked = pick_classes(dataset.name, names, view)
    new_label = np.full(len(names), -1, dtype=np.int64)
    new_label[picked] = np.arange(len(picked))
    keep = np.flatnonzero(new_label[y] >= 0)
    kept_names = tuple(names[k] for k in picked)
    if not len(keep):
        raise InputError(f"{dataset.name!r} has no training example of {', '.join(kept_names)}.")
    x_test, y_test = dataset.x_test, dataset.y_test
    if x_test is not None and y_test is not None:
        keep_test = np.flatnonzero(new_label[y_test] >= 0)
        x_test, y_test = x_test[keep_test], new_label[y_test[keep_test]]
        if not len(keep_test):
            x_test = y_test = None
    return replace(
        dataset,
        name=f"{dataset.name}[{view}]",
        x=dataset.x[keep],
        y=new_label[y[keep]],
        x_test=x_test,
        y_test=y_test,
        class_names=kept_names,
        files=None if dataset.files is None else tuple(dataset.files[i] for i in keep),
        source=f"{dataset.source}; of it {', '.join(kept_names)}",
    )


def pick_classes(owner: str, names: tuple[str, ...], view: str) -> list[int]:
    """Return the class indices that ``view`` picks among ``names``; errors as in apply_view."""
    exclude = view.strip().startswith("^")
    parts = [part.strip() for part in view.strip().removeprefix("^").split(",")]
    listed: list[int] = []
    for part in parts:
        k = _find_class(owner, names, part)
        if k in listed:
            raise InputError(f"View [{view}] of {owner!r} lists class {names[k]!r} twice.")
        listed.append(k)
    if not exclude:
        return listed
    rest = [k for k in range(len(names)) if k not in listed]
    if not rest:
        raise InputError(f"View [{view}] of {owner!r} leaves no class out of {', '.join(names)}.")
    return rest


def _find_class(owner: str, names: tuple[str, ...], part: str) -> int:
    if part in names:
        return names.index(part)
    alike = [k for k, name in enumerate(names) if name.casefold() == part.casefold()]
    if len(alike) == 1:
        return alike[0]
    if alike:
        both = " or ".join(repr(names[k]) for k in alike)
        raise InputError(f"Class {part!r} of {owner!r} could be {both}: spell it exactly.")
    if part.isdecimal() and int(part) < len(names):
        return int(part)
    shown = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    raise InputError(
        f"{owner!r} has no class {part!r}.{suggest(part, names)} Its classes: {shown}."
    )
