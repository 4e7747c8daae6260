"""Folders of images: subfolders are classes, flat files are unlabelled."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from headstart.errors import InputError, arg, suggest
from tasks.dataset import Dataset
from tasks.loading.images import EXTENSIONS, Decoded, decode_images, listed

_LITTER = frozenset(("__macosx", "thumbs.db", "desktop.ini"))


def load_folder(
    path: Path, *, image_size: tuple[int, int] | None = None, skip_unreadable: bool = False
) -> Dataset:
    """Load a folder of images, sorted by class and file name.

    Args:
        path: holds either subfolders, each a class of images; or ``train/`` and ``test/``, each with such
            subfolders; or images only, which gives an unlabelled set.
        image_size: (height, width) in pixels to which images are resized; None: see ``decode_images``.
        skip_unreadable: leave files that cannot be decoded out, and say in ``source`` how many.

    Returns:
        The data set; x is (N, H, W, 1 or 3) uint8.

    Raises:
        InputError: a folder or class is empty, images and folders are mixed, folders lie deeper, a test class
            has no training examples, or a file cannot be read.
    """
    name = (path.name.strip(".") and path.name) or path.resolve().name
    folders, files = _entries(path)
    if {folder.name for folder in folders} <= {"train", "test"} and any(
        _entries(folder)[0] for folder in folders
    ):
        _refuse_mixture(path, folders, files, skip_unreadable)
        train, test = _train_and_test(path, {folder.name: folder for folder in folders})
        stray = files
    elif folders:
        _refuse_mixture(path, folders, files, skip_unreadable)
        train, test, stray = _classes(path, folders), {}, files
    elif files:
        train, test, stray = {"": files}, {}, []
    else:
        raise InputError(f"The folder {path} is empty: no image, and no subfolder of images.")

    parts = [(train_or_test, k) for train_or_test in (train, test) for k in train_or_test]
    paths = [file for part, k in parts for file in part[k]]
    decoded = decode_images(paths, image_size)
    unreadable = {**decoded.unreadable, **dict.fromkeys(stray, "not an image")}
    if unreadable and not skip_unreadable:
        raise InputError(
            f"In {path}, {len(unreadable)} of {len(paths) + len(stray)} files cannot be read as "
            f"images: {listed(unreadable)}.",
            hint=f"Remove them, or leave them out with {arg.skip_unreadable:True}.",
        )
    return _dataset(name, path, train, test, decoded, len(unreadable))


def _entries(path: Path) -> tuple[list[Path], list[Path]]:
    """Return the (folders, other entries) in ``path``, by name, without hidden ones and litter."""
    try:
        entries = sorted(path.iterdir(), key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(f"The folder {path} cannot be read: {error.strerror}.") from None
    entries = [e for e in entries if e.name[0] != "." and e.name.lower() not in _LITTER]
    for entry in entries:
        try:
            entry.name.encode()
        except UnicodeEncodeError:
            raise InputError(
                f"In the folder {path}, the name {entry.name!a} is not UTF-8 and cannot be written to "
                f"tables and pages.",
                hint="Rename it; convmv renames a whole folder.",
            ) from None
    return [e for e in entries if e.is_dir()], [e for e in entries if not e.is_dir()]


def _refuse_mixture(path: Path, folders: list[Path], files: list[Path], skip: bool) -> None:
    """Refuse files beside class folders: images always, others unless they may be skipped."""
    images = [file for file in files if file.suffix.lower().lstrip(".") in EXTENSIONS]
    if images or (files and not skip):
        first = (images or files)[0].name
        raise InputError(
            f"The folder {path} mixes folders ({folders[0].name}, ...) and {len(files)} files "
            f"({first}, ...).",
            hint="Put every image into the folder of its class, or have images only and no folders.",
        )


def _classes(path: Path, folders: list[Path]) -> dict[str, list[Path]]:
    """Return class name -> its files; InputError for a class that is empty or holds folders."""
    classes = {}
    for folder in folders:
        deeper, files = _entries(folder)
        if deeper:
            raise InputError(
                f"The class folder {folder.name!r} in {path} holds the folder {deeper[0].name!r}.",
                hint="Class folders hold images only; the other layout that can be read is train/ and test/ "
                "with class folders in each.",
            )
        if not files:
            raise InputError(f"The class folder {folder.name!r} in {path} is empty.")
        classes[folder.name] = files
    return classes


def _train_and_test(
    path: Path, folders: dict[str, Path]
) -> tuple[dict[str, list[Path]], dict[str, list[Path]]]:
    if "train" not in folders:
        raise InputError(f"The folder {path} has test/ and no train/.")
    parts = {}
    for part, folder in folders.items():
        inner, files = _entries(folder)
        if not inner or files:
            raise InputError(
                f"The folder {folder} must hold class folders and nothing else, as the other part does.",
                hint="For unlabelled images, give the folder that holds them by itself.",
            )
        parts[part] = _classes(folder, inner)
    train, test = parts["train"], parts.get("test", {})
    for name in test:
        if name not in train:
            raise InputError(
                f"Class {name!r} is in {path / 'test'} and not in train/.",
                hint=suggest(name, train),
            )
    return train, test


def _dataset(
    name: str,
    path: Path,
    train: dict[str, list[Path]],
    test: dict[str, list[Path]],
    decoded: Decoded,
    skipped: int,
) -> Dataset:
    row = {file: i for i, file in enumerate(decoded.files)}
    names = list(train)
    rows: dict[str, list[int]] = {"train": [], "test": []}
    labels: dict[str, list[int]] = {"train": [], "test": []}
    for part, classes in (("train", train), ("test", test)):
        for label, files in classes.items():
            readable = [row[file] for file in files if file in row]
            if not readable and part == "train":
                raise InputError(f"No image of class {label!r} in {path} can be read.")
            rows[part] += readable
            labels[part] += [names.index(label)] * len(readable)
    labelled = names != [""]
    has_test = bool(rows["test"])
    height, width = decoded.x.shape[1:3]
    source = f"image folder {name}: {len(decoded.x)} images, {height}x{width}"
    source += " (resized, bilinear)" if decoded.resized else ""
    source += f", {skipped} unreadable files skipped" if skipped else ""
    return Dataset(
        name=name,
        x=decoded.x[rows["train"]],
        y=np.array(labels["train"], dtype=np.int64) if labelled else None,
        x_test=decoded.x[rows["test"]] if has_test else None,
        y_test=np.array(labels["test"], dtype=np.int64) if has_test else None,
        class_names=tuple(names) if labelled else None,
        value_range=(0.0, 255.0),
        source=source,
        files=tuple(decoded.files[i].relative_to(path).as_posix() for i in rows["train"]),
    )
