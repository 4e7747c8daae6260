"""Made-up images, and what happens to images on their way into another data set."""

import io

import numpy as np
from PIL import Image

WAYS = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if down or right]


def shifted(image, down, right, mode="constant"):
    """An image (H, W, C) moved by a pixel; what comes in is black, or as the border was."""
    height, width = image.shape[:2]
    wide = np.pad(image, ((1, 1), (1, 1), (0, 0)), mode=mode)
    return wide[1 - down : 1 - down + height, 1 - right : 1 - right + width]


def jpeg(image, quality=85):
    file = io.BytesIO()
    Image.fromarray(image.squeeze()).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file)).reshape(image.shape)


def brighter(image, by):
    return np.clip(image * by, 0, 255).astype(np.uint8)


def blobs(n, *, size=28, channels=1, seed=0):
    """Smooth images that differ: some round spots each, on a slope of grey."""
    rng = np.random.default_rng(seed)
    places = np.arange(size)
    images = np.full((n, size, size, channels), 60.0)
    images += rng.uniform(-1, 1, (n, 1, 1, 1)) * places[:, None, None]
    for _ in range(6):
        y, x = rng.uniform(0, size, (2, n, 1, 1, 1))
        wide, high = rng.uniform(2, 6, (n, 1, 1, 1)), rng.uniform(-60, 120, (n, 1, 1, channels))
        apart = (places[:, None, None] - y) ** 2 + (places[None, :, None] - x) ** 2
        images += high * np.exp(-apart / (2 * wide**2))
    return np.clip(images, 0, 255).astype(np.uint8)
