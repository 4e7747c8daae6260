"""The table of named data sets, and those that other packages add to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any

from headstart.errors import InputError
from tasks.sources.fashion_mnist import load_fashion_mnist
from tasks.sources.mnist_tenth import load_mnist_tenth
from tasks.sources.orl_faces import A, B, load_orl_faces

Fields = Mapping[str, Any]
"""Fields of a Dataset but for its name; only x, value_range and source are required."""

ENTRY_POINT_GROUP = "headstart.sources"


@dataclass(frozen=True, kw_only=True)
class Source:
    """One row of the table.

    Attributes:
        name: the name by which users ask for it, in lower case.
        summary: one line about it.
        loader: seed -> the fields of the Dataset; sources that are not drawn at random ignore the seed.
        aliases: {"A": "^sandal,shirt"} makes ``NAME/A`` another spelling of ``NAME[^sandal,shirt]``.
    """

    name: str
    summary: str
    loader: Callable[[int], Fields]
    aliases: Mapping[str, str] = field(default_factory=dict)


def _load_digits(seed: int) -> Fields:
    import numpy as np
    from sklearn.datasets import load_digits

    digits = load_digits()
    return {
        "x": digits.images.astype(np.uint8)[..., np.newaxis],
        "y": digits.target.astype(np.int64),
        "class_names": tuple("0123456789"),
        "value_range": (0.0, 16.0),
        "source": "digits, which scikit-learn brings along",
        "kind": "digits",
    }


SOURCES: dict[str, Source] = {
    row.name: row
    for row in (
        Source(
            name="digits",
            summary="1,797 handwritten digits, 8x8, 10 classes; no test part of its own",
            loader=_load_digits,
        ),
        Source(
            name="fashion-mnist",
            summary="60,000 + 10,000 pieces of clothing, 28x28, 10 classes",
            loader=load_fashion_mnist,
            aliases={"A": "^sandal,shirt", "B": "sandal,shirt"},
        ),
        Source(
            name="mnist-tenth",
            summary="8,000 + 2,000 handwritten digits of MNIST, 28x28, 10 classes",
            loader=load_mnist_tenth,
        ),
        Source(
            name="orl-faces",
            summary="400 faces of 40 people, 112x92; no test part, A and B differ in people",
            loader=load_orl_faces,
            aliases={"A": A, "B": B},
        ),
    )
}


def all_sources() -> dict[str, Source]:
    """Return the table with the rows of other packages, which cannot replace a built-in one.

    Another package declares an entry point in the group ``headstart.sources``: its name is the
    data set's, its object a loader as in Source. It is imported when its data are loaded.
    """
    table = dict(SOURCES)
    for point in entry_points(group=ENTRY_POINT_GROUP):
        owner = point.dist.name if point.dist else point.value

        def loader(seed: int, point: Any = point, owner: str = owner) -> Fields:
            try:
                return point.load()(seed)
            except InputError:
                raise
            except Exception as error:
                raise InputError(
                    f"Data set {point.name!r} of the package {owner} failed to load: {error!r}."
                ) from error

        about = f"from the package {owner}"
        table.setdefault(point.name, Source(name=point.name, summary=about, loader=loader))
    return table


def describe_sources() -> list[tuple[str, str]]:
    """Return (spelling, one line of description) for every named data set and every alias."""
    rows = []
    for source in all_sources().values():
        rows.append((source.name, source.summary))
        for alias, classes in source.aliases.items():
            rows.append((f"{source.name}/{alias}", f"short for {source.name}[{classes}]"))
    return rows
