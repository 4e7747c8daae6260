"""Many small images as one picture, for what a training run shows of itself."""

from __future__ import annotations

import math

import numpy as np


def drawable(shape: tuple[int, ...]) -> bool:
    """Say whether examples of ``shape`` are images (H, W, C) of one or three channels."""
    return len(shape) == 3 and shape[-1] in (1, 3)


def tile(images: np.ndarray, columns: int = 0, gap: int = 1) -> np.ndarray:
    """Return the images side by side on one uint8 picture, row by row from the top left.

    Args:
        images: (N, H, W, C), N at least 1 and C 1 or 3; uint8, or floats in [0, 1], which are cut
            to that range (NaN is shown black) and scaled to 0 to 255.
        columns: images in a row; 0 makes the grid as square as it can be.
        gap: black pixels between neighbours, none around the picture.

    Returns:
        uint8 (rows * (H + gap) - gap, columns * (W + gap) - gap), with a last axis of 3 when C is 3.
        Places that are left over in the last row are black. With ``columns`` above N there are N.

    Raises:
        ValueError: the shape, the type, or a number cannot be used.
    """
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or 0 in images.shape:
        raise ValueError(
            f"images must have shape (N, H, W, 1) or (N, H, W, 3). Got {images.shape}."
        )
    if columns < 0 or gap < 0:
        raise ValueError(f"columns and gap must be 0 or more. Got {columns} and {gap}.")
    if images.dtype != np.uint8:
        if not np.issubdtype(images.dtype, np.floating):
            raise ValueError(f"images must be uint8 or floats in [0, 1]. Got {images.dtype}.")
        images = np.rint(np.clip(np.nan_to_num(images), 0, 1) * 255).astype(np.uint8)
    count, height, width, channels = images.shape
    columns = min(columns or math.ceil(math.sqrt(count)), count)
    rows = math.ceil(count / columns)
    picture = np.zeros((rows, height + gap, columns, width + gap, channels), np.uint8)
    for i, image in enumerate(images):
        picture[i // columns, :height, i % columns, :width] = image
    flat = picture.reshape(rows * (height + gap), columns * (width + gap), channels)
    flat = flat[: flat.shape[0] - gap, : flat.shape[1] - gap]
    return flat[..., 0] if channels == 1 else flat
