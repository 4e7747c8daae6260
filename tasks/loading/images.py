"""Decode image files into one uint8 array of one size, each file once."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from headstart.errors import InputError, arg

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

EXTENSIONS = frozenset(("jpg", "jpeg", "png", "bmp", "gif", "tif", "tiff", "webp", "pgm", "ppm"))
SMALL_SIDE = 96
DEFAULT_SIZE = (64, 64)
MAX_BYTES = 16 << 30

# The decoders that the extensions need, and no other: Pillow tries every one it is allowed.
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
_GREY_MODES = frozenset(("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L"))


class _UnreadableError(Exception):
    """A file cannot be decoded; the text says why."""


@dataclass(frozen=True)
class _Facts:
    """Size (height, width) of an image, and whether it is greyscale."""

    size: tuple[int, int]
    grey: bool


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
    import numpy as np

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
    raise InputError(f"None of {len(paths)} files is a readable image: {listed(unreadable)}.")


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
    import numpy as np
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


def listed(unreadable: Mapping[Path, str]) -> str:
    """Return the first five unreadable files, each with its folder, and the number of the others."""
    shown = [f"{path.parent.name}/{path.name} ({why})" for path, why in unreadable.items()][:5]
    more = len(unreadable) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more else "")


def _plan(
    facts: Mapping[Path, _Facts], image_size: tuple[int, int] | None
) -> tuple[tuple[int, int], bool, bool]:
    """Return the common (height, width), whether all are grey, and whether any is resized."""
    sizes = {fact.size for fact in facts.values()}
    first = next(iter(sizes))
    if image_size is not None:
        size = (image_size[0], image_size[1])
    elif len(sizes) == 1 and max(first) <= SMALL_SIDE:
        size = first
    else:
        size = DEFAULT_SIZE
    return size, all(fact.grey for fact in facts.values()), sizes != {size}


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
    return _Facts((image.height, image.width), image.mode in _GREY_MODES)


def _decode(path: Path, size: tuple[int, int], grey: bool) -> tuple[np.ndarray, _Facts]:
    """Return the pixels (H, W, 1 or 3) uint8, and the facts as they are after its rotation."""
    import numpy as np
    from PIL import Image, ImageOps

    with _opened(path) as opened:
        image = ImageOps.exif_transpose(opened)
        facts = _facts_of(image)
        image = _eight_bit(image).convert("L" if grey else "RGB")
        if facts.size != size:
            image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
        pixels = np.asarray(image)
    return pixels.reshape(*size, 1 if grey else 3), facts


def _eight_bit(image: Image) -> Image:
    """Return ``image`` with 8 bits a channel and nothing transparent."""
    import numpy as np
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
