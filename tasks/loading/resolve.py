"""From data as a user gives it (a name, a path, a class filter on either, arrays) to a Dataset."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from headstart.errors import InputError, require, suggest
from tasks.dataset import Dataset
from tasks.loading.images import resize_images
from tasks.loading.tables import TableReading, frame_dataset, load_table
from tasks.sources import Source, all_sources
from tasks.tables.read import SUFFIXES, is_frame
from tasks.targets import KINDS

MAX_SIDE = 4096
MAX_SHOWN = 20
PARTS = ("x", "y", "x_test", "y_test")


def as_dataset(
    data: Any,
    *,
    argument: str = "data",
    image_size: tuple[int, int] | None = None,
    skip_unreadable: bool = False,
    seed: int = 0,
    table: TableReading | None = None,
) -> Dataset:
    """Return ``data`` as a Dataset.

    Args:
        data: a Dataset; a name or path, as ``load_dataset`` takes it; a DataFrame, which is a table like one
            in a file; an array of unlabelled examples; or a tuple of arrays, (x, y) or (x, y, x_test,
            y_test), as ``Dataset.from_arrays`` takes them, in which x may be a DataFrame.
        argument: the name of the argument, for errors: "unlabelled".
        image_size, skip_unreadable, seed, table: as in ``load_dataset``.

    Returns:
        The data set. Arrays and a .npz file that holds the same arrays give the same fingerprint.

    Raises:
        InputError: the data cannot be found, read or used.

    Example:
        >>> as_dataset(([[0, 1], [2, 3]], ["cat", "dog"])).class_names
        ('cat', 'dog')
    """
    if isinstance(data, str | os.PathLike):
        return load_dataset(
            os.fspath(data),
            image_size=image_size,
            skip_unreadable=skip_unreadable,
            seed=seed,
            table=table,
        )
    _check_size(image_size)
    if is_frame(data) or (isinstance(data, tuple) and data and is_frame(data[0])):
        parts = data if isinstance(data, tuple) else (data,)
        return frame_dataset(parts, table or TableReading(), argument)
    if isinstance(data, Dataset):
        return _resized(_not_table(data, table), image_size)
    require(data is not None, argument, "is missing")
    arrays = data if isinstance(data, tuple) else (data,)
    rule = f"must be x, (x, y) or (x, y, x_test, y_test), and is a tuple of {len(arrays)}"
    require(len(arrays) in (1, 2, 4), argument, rule)
    try:
        made = Dataset.from_arrays(**dict(zip(PARTS, arrays, strict=False)))
        return _resized(_not_table(made, table), image_size)
    except InputError as error:
        raise error.about("cannot be used:", argument) from None


def load_dataset(
    spec: str,
    *,
    image_size: tuple[int, int] | None = None,
    skip_unreadable: bool = False,
    seed: int = 0,
    table: TableReading | None = None,
) -> Dataset:
    """Load the data set that ``spec`` names; its examples always come in the same order.

    Args:
        spec: a name ("digits"), an alias ("fashion-mnist/A"), the path of a .npz file, of a table (.csv,
            .tsv, .parquet) or of a folder of images, or one of these with a class filter ("digits[3,8]",
            "fashion-mnist[^sandal]"). A spec that exists as a path is a path.
        image_size: (height, width) in pixels to which images are resized, bilinear; None: their own size.
        skip_unreadable: leave unreadable files of a folder out instead of refusing the folder.
        seed: for sources that draw their examples at random; none of the built-in ones does.
        table: how a table is read: the target, kinds of columns, and the schema of a pretraining.

    Returns:
        The data set, named as it is spelled; a path by its base name.

    Raises:
        InputError: the data cannot be found, read or used.

    Example:
        >>> load_dataset("digits[3,8]").class_names
        ('3', '8')
    """
    spec = spec.strip()
    _check_size(image_size)
    known = all_sources()
    base, classes = _split_filter(spec, known)
    if (
        _exists(base)
        and Path(base).suffix.lower() in SUFFIXES
        and Path(base).expanduser().is_file()
    ):
        dataset = load_table(Path(base).expanduser(), table or TableReading())
    elif _exists(base):
        dataset = _not_table(_load_path(base, image_size, skip_unreadable), table)
    else:
        dataset = _not_table(_load_name(base, known, seed), table)
    return _resized(dataset if classes is None else filter_classes(dataset, classes), image_size)


def _not_table(dataset: Dataset, table: TableReading | None) -> Dataset:
    """Return a data set that has no named columns. Raises InputError where a table is asked for."""
    if table is None or dataset.schema is not None:
        return dataset
    for name in ("target", "column", "ignore", "delimiter"):
        value = getattr(table, name)
        rule = f"is about the columns of a table, and {dataset.name!r} is none"
        require(not value, name, rule, value=value, hint="Leave it out.")
    if table.like is not None:
        raise InputError(
            f"The encoder was pretrained on a table with named columns, and {dataset.name!r} has none.",
            hint="Give a .csv, .tsv or .parquet file, or a DataFrame, with the same columns.",
        )
    return dataset


def _check_size(size: tuple[int, int] | None) -> None:
    sides = (1, 1) if size is None else size
    good = len(sides) == 2 and all(isinstance(s, int) and 1 <= s <= MAX_SIDE for s in sides)
    require(good, "image_size", f"must be (height, width), each 1 to {MAX_SIDE}", value=size)


def check_apart(output: Path, *given: Any) -> None:
    """Refuse an output that is an input of the same run, which replacing it would destroy.

    Args:
        output: the path to be written.
        *given: paths, or data as ``as_dataset`` takes it; what is no path is passed over.

    Raises:
        InputError: the output is one of the inputs.
    """
    for one in given:
        named = isinstance(one, str | os.PathLike)
        base = _split_filter(os.fspath(one).strip(), all_sources())[0] if named else ""
        if _exists(base) and _exists(str(output)) and Path(base).expanduser().samefile(output):
            raise InputError(
                f"{output} is an input of this run, and no input is replaced by a result made of it.",
                hint="Give another name for the output.",
            )


def folder_size(spec: str, shape: Sequence[int]) -> tuple[int, int] | None:
    """Return the size (height, width) at which to read a folder of images for a model.

    Args:
        spec: a path, with or without a class filter; of anything but a folder None is returned.
        shape: of one example that the model takes; None is returned where it takes no images.
    """
    base, _ = _split_filter(spec.strip(), all_sources())
    if len(shape) != 3 or not _exists(base) or not Path(base).expanduser().is_dir():
        return None
    return shape[0], shape[1]


def _resized(dataset: Dataset, image_size: tuple[int, int] | None) -> Dataset:
    """Return the set with the images of both parts resized. Raises InputError for vectors."""
    if image_size is None or dataset.input_shape[:-1] == tuple(image_size):
        return dataset
    height, width = image_size
    require(
        len(dataset.input_shape) == 3,
        "image_size",
        f"of {height}x{width} needs images: examples of {dataset.name!r} have shape "
        f"{dataset.input_shape}",
    )
    return replace(
        dataset,
        x=resize_images(dataset.x, (height, width)),
        x_test=None if dataset.x_test is None else resize_images(dataset.x_test, (height, width)),
        source=f"{dataset.source}, {height}x{width} (resized, bilinear)",
    )


def _split_filter(spec: str, table: dict[str, Source]) -> tuple[str, str | None]:
    """Split "NAME[classes]" at the first bracket after a known name or path."""
    if _exists(spec) or not spec.endswith("]") or "[" not in spec:
        return spec, None
    places = [i for i, char in enumerate(spec) if char == "["]
    for i in places:
        if _exists(spec[:i]) or spec[:i].partition("/")[0].lower() in table:
            return spec[:i], spec[i + 1 : -1]
    return spec[: places[-1]], spec[places[-1] + 1 : -1]


def _exists(path: str) -> bool:
    try:
        return bool(path) and Path(path).expanduser().exists()
    except (OSError, ValueError, RuntimeError):  # too long, a NUL, an unknown user's home
        return False


def _load_name(name: str, table: dict[str, Source], seed: int) -> Dataset:
    stem, slash, alias = name.partition("/")
    source = table.get(stem.lower())
    if source is None:
        raise _unknown(name, table)
    classes = {key.lower(): value for key, value in source.aliases.items()}.get(alias.lower())
    if slash and classes is None:
        raise _unknown_alias(name, source)
    fields = {**source.loader(seed), "name": stem}
    try:
        dataset = Dataset(**fields)
    except TypeError as error:
        raise InputError(f"The loader of data set {stem!r} is wrong: {error}.") from error
    except InputError as error:
        raise error.about(f"Data set {stem!r} cannot be used:") from None
    return dataset if classes is None else replace(filter_classes(dataset, classes), name=name)


def _unknown(name: str, table: dict[str, Source]) -> InputError:
    known = [spelling for row in table.values() for spelling in _spellings(row)]
    if not (name.endswith(".npz") or name.startswith((".", "~", os.sep))) and name:
        return InputError(
            f"{name!r} is neither a data set nor a path that exists."
            f"{suggest(name, known) or _near_files(name)}",
            hint=f"Data sets: {', '.join(known)}; or the path of a .npz file, of a table or of a folder of "
            "images.",
        )
    return InputError(f"There is no file or folder {name!r}.", hint=_near_files(name))


def _near_files(name: str) -> str:
    try:
        path = Path(name).expanduser()
        return suggest(path.name, sorted(entry.name for entry in path.parent.iterdir()))
    except (OSError, ValueError, RuntimeError):
        return ""


def _spellings(source: Source) -> list[str]:
    return [source.name, *(f"{source.name}/{alias}" for alias in source.aliases)]


def _unknown_alias(name: str, source: Source) -> InputError:
    name_, aliases = source.name, source.aliases.items()
    known = ", ".join(f"{name_}/{alias} (= {name_}[{classes}])" for alias, classes in aliases)
    has = f"It has {known}" if known else "It has no short names"
    return InputError(
        f"There is no data set {name!r}.{suggest(name, _spellings(source)[1:])} {has}.",
        hint=f"Name classes in brackets instead: {source.name}[0,1] for these two, {source.name}[^0,1] "
        f"for all others.",
    )


def _load_path(spec: str, image_size: tuple[int, int] | None, skip_unreadable: bool) -> Dataset:
    path = Path(spec).expanduser()
    if path.is_dir():
        from tasks.loading.images import load_folder

        return load_folder(path, image_size=image_size, skip_unreadable=skip_unreadable)
    if path.suffix.lower() == ".npz":
        from tasks.loading.npz import load_npz

        return load_npz(path)
    raise InputError(
        f"{spec} is neither a .npz file, a table ({', '.join(SUFFIXES)}) nor a folder of images.",
        hint="To use other data, save it from Python: numpy.savez('data.npz', x=examples, y=labels).",
    )


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
    about = f"The class filter [{classes}] of {owner!r}"
    exclude = classes.strip().startswith("^")
    listed: list[int] = []
    for part in classes.strip().removeprefix("^").split(","):
        k = _find_class(owner, names, part.strip())
        if k in listed:
            raise InputError(f"{about} lists class {names[k]!r} twice.")
        listed.append(k)
    if not exclude:
        return listed
    rest = [k for k in range(len(names)) if k not in listed]
    if not rest:
        raise InputError(f"{about} leaves no class out of {', '.join(names)}.")
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
    # Where names are numbers, a number is a name: [3] of the classes 1, 2, 9 would be 9 by its place.
    by_place = not all(name.strip().lstrip("+-").isdecimal() for name in names)
    if part.isdecimal() and int(part) < len(names) and by_place:
        return int(part)
    more = len(names) - MAX_SHOWN
    shown = ", ".join(names[:MAX_SHOWN]) + (f" and {more} more" if more > 0 else "")
    raise InputError(
        f"{owner!r} has no class {part!r}.",
        hint=f"{suggest(part, names).strip()} Its classes: {shown}.",
    )
