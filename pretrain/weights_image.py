"""A weights file's bytes, built from what was checked."""

from __future__ import annotations

import io
from collections.abc import Mapping

import h5py
import numpy as np

from pretrain.weights_checks import sha256
from pretrain.weights_layout import FORMAT, POOL_VERSION, USER_BLOCK, VERSIONS, user_block


def build_image(
    parts: Mapping[str, bytes],
    tensors: Mapping[str, np.ndarray],
    fingerprints: Mapping[str, np.ndarray],
    digest: str,
) -> memoryview:
    """Return a whole sealed file's bytes; equal content gives equal bytes.

    It is built in memory, because HDF5 keeps a file open, and its space taken, when a disk is full.
    """
    buffer = io.BytesIO()
    version = POOL_VERSION if fingerprints else VERSIONS[0]
    with h5py.File(buffer, "w", userblock_size=USER_BLOCK) as file:
        file.attrs["format"] = np.bytes_(FORMAT)
        file.attrs["version"] = np.int64(version)
        file.attrs["digest"] = np.bytes_(digest)
        for name, part in parts.items():
            file.create_dataset(name, data=np.frombuffer(part, np.uint8))
        for name, array in fingerprints.items():
            file.create_dataset(f"fingerprints/{name}", data=array)
        for name, tensor in tensors.items():
            file.create_dataset(f"weights/{name}", data=tensor)
    image = buffer.getbuffer()
    image[:USER_BLOCK] = user_block(sha256(image[USER_BLOCK:]), version)
    return image
