"""From what a user spells (a name, a path, a view of either) to a Dataset."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from headstart.errors import InputError, suggest
from tasks.dataset import Dataset
from tasks.loading.class_filter import apply_view
from tasks.sources import Source, all_sources


def load_dataset(
    spec: str,
    *,
    image_size: tuple[int, int] | None = None,
    skip_unreadable: bool = False,
    seed: int = 0,
) -> Dataset:
    """Load the data set that ``spec`` names.

    spec: a name ("digits"), an alias ("fashion-mnist/A"), the path of a .npz file or of a folder
        of images, or one of these with a view ("digits[3,8]", "fashion-mnist[^sandal]"). What
        exists as a path is a path; the order of the examples is always the same.
    image_size: (height, width) in pixels to which images are resized, bilinear: a folder's when they
        are decoded, those of any other source afterwards.
    skip_unreadable: leave unreadable files of a folder out instead of refusing the folder.
    seed: for sources that draw their examples at random; none of the built-in ones does.
    Raises InputError for whatever cannot be found, read or used.
    """
    spec = spec.strip()
    if image_size is not None and not (
        len(image_size) == 2 and all(isinstance(s, int) and 1 <= s <= 4096 for s in image_size)
    ):
        raise InputError(f"Image size must be (height, width), each 1 to 4096. Got {image_size}.")
    table = all_sources()
    base, view = _split_view(spec, table)
    if _exists(base):
        dataset = _load_path(base, image_size, skip_unreadable)
    else:
        dataset = _load_name(base, table, seed)
    if view is not None:
        dataset = apply_view(dataset, view)
    if image_size is not None and dataset.input_shape[:-1] != tuple(image_size):
        dataset = _resized(dataset, (image_size[0], image_size[1]))
    return dataset


def check_apart(output: Path, *given: str | Path | None) -> None:
    """Refuse an output that the command reads itself, which --force would cost its user.

    given: paths, or data as ``load_dataset`` takes it; what is no path is passed over. Raises InputError.
    """
    for one in given:
        base = "" if one is None else _split_view(str(one).strip(), all_sources())[0]
        if _exists(base) and _exists(str(output)) and Path(base).expanduser().samefile(output):
            raise InputError(
                f"{output} is what this command reads: nothing of yours is replaced by what is made of it. "
                f"Give another name for the output."
            )


def folder_size(spec: str, shape: Sequence[int]) -> tuple[int, int] | None:
    """Return the (height, width) at which to read the folder of images that ``spec`` names.

    spec: a path, with a view or without. shape: of one example of the model that the images are for.
    None when ``spec`` names no folder, or the model takes no images: then there is nothing to choose.
    """
    base, _ = _split_view(spec.strip(), all_sources())
    if len(shape) != 3 or not _exists(base) or not Path(base).expanduser().is_dir():
        return None
    return shape[0], shape[1]


def _resized(dataset: Dataset, image_size: tuple[int, int]) -> Dataset:
    """Return the set with its images, of both parts, resized. Raises InputError for vectors."""
    from tasks.loading.images import resize_images

    height, width = image_size
    if len(dataset.input_shape) != 3:
        raise InputError(
            f"The image size {height}x{width} was asked for, and only images can be resized: "
            f"{dataset.name!r} has examples of shape {dataset.input_shape}."
        )
    return replace(
        dataset,
        x=resize_images(dataset.x, image_size),
        x_test=None if dataset.x_test is None else resize_images(dataset.x_test, image_size),
        source=f"{dataset.source}, {height}x{width} (resized, bilinear)",
    )


def _split_view(spec: str, table: dict[str, Source]) -> tuple[str, str | None]:
    """Split "NAME[view]" at the first bracket before which something known stands."""
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
        raise InputError(_unknown(name, table))
    view = None
    if slash:
        by_name = {key.lower(): value for key, value in source.aliases.items()}
        view = by_name.get(alias.lower())
        if view is None:
            raise InputError(_unknown_alias(name, source))
    fields = dict(source.loader(seed))
    for field in ("y", "x_test", "y_test", "class_names"):
        fields.setdefault(field, None)
    try:
        dataset = Dataset(**{**fields, "name": stem})
    except TypeError as error:
        raise InputError(f"The loader of data set {stem!r} is wrong: {error}.") from error
    return dataset if view is None else replace(apply_view(dataset, view), name=name)


def _unknown(name: str, table: dict[str, Source]) -> str:
    known = [spelling for row in table.values() for spelling in _spellings(row)]
    if not (name.endswith(".npz") or name.startswith((".", "~", os.sep))) and name:
        hint = suggest(name, known) or _near_files(name)
        return (
            f"{name!r} is neither a data set nor a path that exists.{hint} Data sets: "
            f"{', '.join(known)}; or the path of a .npz file or of a folder of images."
        )
    return f"There is no file or folder {name!r}.{_near_files(name)}"


def _near_files(name: str) -> str:
    try:
        path = Path(name).expanduser()
        return suggest(path.name, sorted(entry.name for entry in path.parent.iterdir()))
    except (OSError, ValueError, RuntimeError):
        return ""


def _spellings(source: Source) -> list[str]:
    return [source.name, *(f"{source.name}/{alias}" for alias in source.aliases)]


def _unknown_alias(name: str, source: Source) -> str:
    views = ", ".join(
        f"{source.name}/{alias} (= {source.name}[{view}])" for alias, view in source.aliases.items()
    )
    has = f"It has {views}" if views else "It has no views with a name"
    return (
        f"There is no data set {name!r}.{suggest(name, _spellings(source)[1:])} {has}. Name "
        f"classes in brackets instead: {source.name}[0,1] for these two, {source.name}[^0,1] for "
        "all others."
    )


def _load_path(spec: str, image_size: tuple[int, int] | None, skip_unreadable: bool) -> Dataset:
    path = Path(spec).expanduser()
    if path.is_dir():
        from tasks.loading.image_folder import load_folder

        return load_folder(path, image_size=image_size, skip_unreadable=skip_unreadable)
    if path.suffix.lower() == ".npz":
        from tasks.loading.npz import load_npz

        return load_npz(path)
    raise InputError(
        f"{spec} is neither a .npz file nor a folder of images. To use other data, save it from "
        "Python: numpy.savez('data.npz', x=examples, y=labels)."
    )
