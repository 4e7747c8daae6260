"""Folders of images, decoded into one uint8 array of one size, each file once."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from headstart.errors import InputError, arg, suggest
from tasks.dataset import Dataset

if TYPE_CHECKING:
    from PIL.Image import Image

EXTENSIONS = frozenset(("jpg", "jpeg", "png", "bmp", "gif", "tif", "tiff", "webp", "pgm", "ppm"))
SMALL_SIDE = 96
DEFAULT_SIZE = (64, 64)
MAX_BYTES = 16 << 30

# The decoders that the extensions need, and no other: Pillow tries every one it is allowed.
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
_GREY_MODES = frozenset(("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L"))
# The size (height, width) of an image, and whether it is greyscale.
_Facts = tuple[tuple[int, int], bool]
# Class -> its files.
_Files = dict[str, list[Path]]
_LITTER = frozenset(("__macosx", "thumbs.db", "desktop.ini"))


class _UnreadableError(Exception):
    """A file cannot be decoded; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """The images of some files.

    Attributes:
        x: (N, H, W, C) uint8, C = 1 if every file is greyscale and 3 otherwise.
        files: the N files that could be decoded, in the order given.
        unreadable: {file: reason} of the others.
        resized: whether any image had another size before.
    """

    x: np.ndarray
    files: list[Path]
    unreadable: dict[Path, str]
    resized: bool


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
    folders, stray = _entries(path)
    if not folders and not stray:
        raise InputError(f"The folder {path} is empty: no image, and no subfolder of images.")
    by_name = {folder.name: folder for folder in folders}
    test: _Files = {}
    if not folders:
        train, stray = {"": stray}, []
    else:
        parted = set(by_name) <= {"train", "test"} and any(_entries(f)[0] for f in folders)
        _refuse_mixture(path, folders, stray, skip_unreadable)
        train, test = _train_and_test(path, by_name) if parted else (_classes(path, folders), {})
    paths = [file for part in (train, test) for files in part.values() for file in files]
    decoded = decode_images(paths, image_size)
    unreadable = {**decoded.unreadable, **dict.fromkeys(stray, "not an image")}
    if unreadable and not skip_unreadable:
        raise InputError(
            f"In {path}, {len(unreadable)} of {len(paths) + len(stray)} files cannot be read as "
            f"images: {_listed(unreadable)}.",
            hint=f"Remove them, or leave them out with {arg.skip_unreadable:True}.",
        )
    return _dataset(path, train, test, decoded, len(unreadable))


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


def _classes(path: Path, folders: list[Path]) -> _Files:
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


def _train_and_test(path: Path, folders: dict[str, Path]) -> tuple[_Files, _Files]:
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


def _dataset(path: Path, train: _Files, test: _Files, decoded: Decoded, skipped: int) -> Dataset:
    row = {file: i for i, file in enumerate(decoded.files)}
    names = list(train)

    def part(classes: _Files) -> tuple[list[int], np.ndarray]:
        """Return the rows of a part's images in ``decoded``, and their classes."""
        rows: list[int] = []
        y: list[int] = []
        for label, files in classes.items():
            readable = [row[file] for file in files if file in row]
            if not readable and classes is train:
                raise InputError(f"No image of class {label!r} in {path} can be read.")
            rows += readable
            y += [names.index(label)] * len(readable)
        return rows, np.array(y, dtype=np.int64)

    (rows, y), (test_rows, y_test) = part(train), part(test)
    labelled = names != [""]
    name = (path.name.strip(".") and path.name) or path.resolve().name
    height, width = decoded.x.shape[1:3]
    source = f"image folder {name}: {len(decoded.x)} images, {height}x{width}"
    source += " (resized, bilinear)" if decoded.resized else ""
    source += f", {skipped} unreadable files skipped" if skipped else ""
    return Dataset(
        name=name,
        x=decoded.x[rows],
        y=y if labelled else None,
        x_test=decoded.x[test_rows] if test_rows else None,
        y_test=y_test if test_rows else None,
        class_names=tuple(names) if labelled else None,
        value_range=(0.0, 255.0),
        source=source,
        files=tuple(decoded.files[i].relative_to(path).as_posix() for i in rows),
    )


def decode_images(paths: Sequence[Path], image_size: tuple[int, int] | None) -> Decoded:
    """Decode image files; those that cannot be decoded are left out and listed in the result.

    A rotation in a camera's EXIF data is applied, transparency is laid on white, 16-bit grey is scaled to 8.

    Args:
        paths: the files.
        image_size: (height, width) in pixels, resized to bilinearly with antialiasing. None: images stay as
            they are if all have one size of at most 96 pixels a side, and become 64x64 if not.

    Raises:
        InputError: no file can be decoded, or the result would exceed 16 GiB.
    """
    facts: dict[Path, _Facts] = {}
    unreadable: dict[Path, str] = {}
    for path in paths:
        try:
            with _opened(path) as image:
                facts[path] = _facts_of(image)
        except _UnreadableError as error:
            unreadable[path] = str(error)
    while facts:
        size, grey, resized = plan = _plan(facts, image_size)
        shape = (len(facts), *size, 1 if grey else 3)
        _refuse_huge(shape)
        x = np.empty(shape, dtype=np.uint8)
        seen: dict[Path, _Facts] = {}
        for path in facts:
            try:
                x[len(seen)], seen[path] = _decode(path, size, grey)
            except _UnreadableError as error:
                unreadable[path] = str(error)
        facts = seen
        # Headers show neither a rotation nor a truncated file: then plan and decode once more.
        if facts and _plan(facts, image_size) == plan:
            files = list(facts)
            return Decoded(x=x[: len(files)], files=files, unreadable=unreadable, resized=resized)
    raise InputError(f"None of {len(paths)} files is a readable image: {_listed(unreadable)}.")


def resize_images(x: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    """Resize images as those of folders are: bilinear, antialiased, channel by channel.

    Args:
        x: (N, H, W, C) images, uint8 or float32; floats stay within their range.
        image_size: (height, width) in pixels.

    Returns:
        (N, height, width, C) of the same type.

    Raises:
        InputError: the result would exceed 16 GiB.
    """
    from PIL import Image

    shape = (len(x), *image_size, x.shape[3])
    _refuse_huge(shape, x.dtype.itemsize)
    result = np.empty(shape, x.dtype)
    for i, image in enumerate(x):
        for k in range(shape[3]):
            channel = Image.fromarray(np.ascontiguousarray(image[..., k]))
            small = channel.resize((image_size[1], image_size[0]), Image.Resampling.BILINEAR)
            result[i, ..., k] = np.asarray(small)
    return result


def _refuse_huge(shape: tuple[int, ...], itemsize: int = 1) -> None:
    count, height, width, channels = shape
    if count * height * width * channels * itemsize > MAX_BYTES:
        raise InputError(
            f"{count} images of {height}x{width} pixels are more than {MAX_BYTES >> 30} GiB.",
            hint=f"Give a smaller {arg.image_size}.",
        )


def _listed(unreadable: Mapping[Path, str]) -> str:
    """Return the first five unreadable files, each with its folder, and the number of the others."""
    shown = [f"{path.parent.name}/{path.name} ({why})" for path, why in unreadable.items()][:5]
    more = len(unreadable) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more else "")


def _plan(
    facts: Mapping[Path, _Facts], image_size: tuple[int, int] | None
) -> tuple[tuple[int, int], bool, bool]:
    """Return the common (height, width), whether all are grey, and whether any is resized."""
    sizes = {size for size, _ in facts.values()}
    first = next(iter(sizes))
    if image_size is not None:
        size = (image_size[0], image_size[1])
    elif len(sizes) == 1 and max(first) <= SMALL_SIDE:
        size = first
    else:
        size = DEFAULT_SIZE
    return size, all(grey for _, grey in facts.values()), sizes != {size}


@contextmanager
def _opened(path: Path) -> Iterator[Image]:
    """Open ``path`` as an image, pixels not yet read; whatever goes wrong is _UnreadableError."""
    from PIL import Image, UnidentifiedImageError

    if path.suffix.lower().lstrip(".") not in EXTENSIONS:
        raise _UnreadableError("not an image")
    try:
        if not path.is_file():  # a pipe would block, a dangling link leads nowhere
            raise _UnreadableError("not a file")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=_FORMATS) as image:
                yield image
    except _UnreadableError:
        raise
    except UnidentifiedImageError:
        raise _UnreadableError("not an image, whatever its name says") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise _UnreadableError("too many pixels") from None
    except Exception as error:  # decoders of hostile bytes raise nearly anything
        text = str(error).splitlines()[0][:100] if str(error) else type(error).__name__
        raise _UnreadableError(text) from None


def _facts_of(image: Image) -> _Facts:
    return (image.height, image.width), image.mode in _GREY_MODES


def _decode(path: Path, size: tuple[int, int], grey: bool) -> tuple[np.ndarray, _Facts]:
    """Return the pixels (H, W, 1 or 3) uint8, and the facts as they are after its rotation."""
    from PIL import Image, ImageOps

    with _opened(path) as opened:
        image = ImageOps.exif_transpose(opened)
        facts = _facts_of(image)
        image = _eight_bit(image).convert("L" if grey else "RGB")
        if facts[0] != size:
            image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
        pixels = np.asarray(image)
    return pixels.reshape(*size, 1 if grey else 3), facts


def _eight_bit(image: Image) -> Image:
    """Return ``image`` with 8 bits a channel and nothing transparent."""
    from PIL import Image

    if image.mode == "F":
        raise _UnreadableError("its pixels are floating-point numbers: use a .npz file")
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise _UnreadableError("its pixels have 32 bits: use a .npz file")
        return Image.fromarray(np.round(values / 257).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image
