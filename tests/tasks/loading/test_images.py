import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from headstart.errors import InputError
from tasks.loading import images
from tasks.loading.images import decode_images


def decode_one(path, image_size=None):
    return decode_images([path], image_size).x[0]


@pytest.mark.parametrize("extension", ["png", "bmp", "tif", "tiff", "pgm", "gif", "PNG"])
def test_lossless_formats_give_back_the_pixels(tmp_path, extension):
    pixels = np.random.default_rng(0).integers(0, 256, (7, 9), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / f"a.{extension}")
    assert np.array_equal(decode_one(tmp_path / f"a.{extension}")[..., -1], pixels)


@pytest.mark.parametrize("extension", ["png", "webp", "ppm", "jpg", "jpeg"])
def test_colour_formats(save_image, tmp_path, extension):
    path = save_image(tmp_path / f"a.{extension}", colour=(200, 100, 50))
    x = decode_one(path)
    assert x.shape == (8, 6, 3)
    assert np.abs(x.astype(int) - (200, 100, 50)).max() < 6


def test_grey_only_if_all_are_grey(save_image, tmp_path):
    grey = save_image(tmp_path / "a.png", mode="L", colour=70)
    white = save_image(tmp_path / "b.png", mode="1", colour=1)
    colour = save_image(tmp_path / "c.png", colour=(1, 2, 3))
    assert decode_images([grey, white], None).x[:, 0, 0].tolist() == [[70], [255]]
    both = decode_images([grey, colour], None).x
    assert both[:, 0, 0].tolist() == [[70, 70, 70], [1, 2, 3]]


def test_size_is_kept_if_common_and_small(save_image, tmp_path):
    small = save_image(tmp_path / "a.png", size=(96, 5))
    large = save_image(tmp_path / "b.png", size=(97, 5))
    kept = decode_images([small], None)
    assert kept.x.shape == (1, 96, 5, 3)
    assert not kept.resized
    for paths in ([large], [small, large]):
        resized = decode_images(paths, None)
        assert resized.x.shape[1:] == (64, 64, 3)
        assert resized.resized
    asked = decode_images([small, large], (10, 20))
    assert asked.x.shape == (2, 10, 20, 3)
    assert not decode_images([small], (96, 5)).resized


def test_shrinking_is_antialiased(tmp_path):
    stripes = np.tile(np.array([0, 255], np.uint8), (128, 64))
    Image.fromarray(stripes).save(tmp_path / "a.png")
    # Picking single pixels would give 0 or 255 somewhere; the mean is 127.5.
    x = decode_one(tmp_path / "a.png")[2:-2, 2:-2]
    assert x.min() > 110
    assert x.max() < 145


def test_transparency_is_laid_on_white(save_image, tmp_path):
    half = save_image(tmp_path / "a.png", mode="RGBA", colour=(255, 0, 0, 128))
    assert decode_one(half)[0, 0].tolist() == [255, 127, 127]
    clear = save_image(tmp_path / "b.png", mode="LA", colour=(0, 0))
    assert decode_one(clear)[0, 0].tolist() == [255]
    keyed = save_image(tmp_path / "c.png", colour=(1, 2, 3), transparency=(1, 2, 3))
    assert decode_one(keyed)[0, 0].tolist() == [255, 255, 255]
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([9, 8, 7])
    palette.save(tmp_path / "d.png", transparency=0)
    palette.save(tmp_path / "e.png")
    assert decode_one(tmp_path / "d.png")[0, 0].tolist() == [255, 255, 255]
    assert decode_one(tmp_path / "e.png")[0, 0].tolist() == [9, 8, 7]


def test_sixteen_bits_are_scaled(tmp_path):
    values = np.array([[0, 257, 32768, 65535]], np.uint16)
    for name in ("a.png", "b.tif", "c.pgm"):
        Image.fromarray(values).save(tmp_path / name)
        assert decode_one(tmp_path / name)[0, :, 0].tolist() == [0, 1, 128, 255]


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (np.full((2, 2), 0.5, np.float32), "floating-point"),
        (np.full((2, 2), 70000, np.int32), "32 bits"),
        (np.full((2, 2), -1, np.int32), "32 bits"),
    ],
)
def test_pixels_without_a_scale_are_unreadable(tmp_path, save_image, values, why):
    Image.fromarray(values).save(tmp_path / "a.tif")
    good = save_image(tmp_path / "b.png")
    decoded = decode_images([tmp_path / "a.tif", good], None)
    assert decoded.files == [good]
    assert why in decoded.unreadable[tmp_path / "a.tif"]


@pytest.mark.parametrize("extension", ["jpg", "png", "webp", "tif"])
def test_a_cameras_rotation_is_applied(tmp_path, extension):
    image = Image.new("RGB", (6, 8))
    image.paste((255, 255, 255), (0, 0, 6, 4))  # upper half white
    exif = image.getexif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    image.save(tmp_path / f"a.{extension}", exif=exif)
    decoded = decode_images([tmp_path / f"a.{extension}"], None)
    assert decoded.x.shape == (1, 6, 8, 3)
    assert not decoded.resized
    assert decoded.x[0, :, :3].max() < 30
    assert decoded.x[0, :, 5:].min() > 225


def test_a_broken_file_does_not_decide_for_the_others(save_image, tmp_path):
    good = save_image(tmp_path / "a.png", mode="L", colour=5)
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "b.png")
    broken = tmp_path / "b.png"
    broken.write_bytes(broken.read_bytes()[:5000])
    decoded = decode_images([broken, good], None)
    assert list(decoded.unreadable) == [broken]
    assert decoded.x.shape == (1, 8, 6, 1)
    assert decoded.x.max() == 5


def png_of(width, height):
    """A few bytes that claim to be an image of this size."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"\0" * 100)
    parts = (chunk, data, b"IEND")
    body = b"".join(
        struct.pack(">I", len(p) - 4) + p + struct.pack(">I", zlib.crc32(p)) for p in parts
    )
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("side", [10_000, 20_000])  # Pillow warns of one and refuses the other
def test_decompression_bombs_are_unreadable(tmp_path, side):
    (tmp_path / "a.png").write_bytes(png_of(side, side))
    with pytest.raises(InputError, match="too many pixels"):
        decode_images([tmp_path / "a.png"], None)


def test_results_that_fill_the_memory_are_refused(save_image, tmp_path, monkeypatch):
    monkeypatch.setattr(images, "MAX_BYTES", 1000)
    path = save_image(tmp_path / "a.png")
    assert decode_images([path], None).x.nbytes == 144
    with pytest.raises(InputError, match="1 images of 50x50"):
        decode_images([path], (50, 50))


def test_an_extension_may_lie_about_the_format(save_image, tmp_path):
    path = save_image(tmp_path / "a.png", colour=(4, 5, 6)).rename(tmp_path / "a.jpg")
    assert decode_one(path)[0, 0].tolist() == [4, 5, 6]


def test_only_the_usual_formats_are_decoded(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.eps")
    (tmp_path / "a.eps").rename(tmp_path / "a.png")
    with pytest.raises(InputError, match="whatever its name says"):
        decode_images([tmp_path / "a.png"], None)
