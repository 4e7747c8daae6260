"""Files of other programs, as bytes, made without those programs."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable

import h5py
import numpy as np


def hdf5(make: Callable[[h5py.File], None], userblock: int = 0) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", userblock_size=userblock) as file:
        make(file)
    return buffer.getvalue()


def archive(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, data in members.items():
            file.writestr(name.replace("__", "."), data)
    return buffer.getvalue()


def keras_weights(file: h5py.File) -> None:
    for i in range(2):
        file.create_dataset(f"layers/dense_{i}/vars/0", data=np.ones((5, 5), "<f4"))
    file.create_group("vars")


def keras_legacy(file: h5py.File) -> None:
    file.attrs["layer_names"] = np.array([b"dense"])
    file.attrs["backend"] = "tensorflow"
    file.attrs["keras_version"] = "2.15.0"
    file.create_group("dense").attrs["weight_names"] = np.array([b"dense/kernel:0"])
    file.create_dataset("dense/dense/kernel:0", data=np.ones((5, 5), "<f4"))


def keras_model(file: h5py.File) -> None:
    file.attrs["model_config"] = json.dumps({"class_name": "Sequential"})
    keras_legacy(file.create_group("model_weights"))


def any_hdf5(file: h5py.File) -> None:
    file["x"] = np.arange(10)


def numpy_file() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.ones(10))
    return buffer.getvalue()


FILES: dict[str, tuple[str, bytes | Callable[[], bytes]]] = {
    "empty": ("it is empty", b""),
    "text": ("it is a text file", b"weights = 1, 2, 3\n"),
    "noise": ("not a Headstart weights file", bytes(range(128, 256)) * 40),
    "keras_weights": (r"a Keras weights file \(\.weights\.h5\)", lambda: hdf5(keras_weights)),
    "keras_legacy_weights": ("Keras weights file of the legacy", lambda: hdf5(keras_legacy)),
    "keras_legacy_model": ("whole Keras model in the legacy", lambda: hdf5(keras_model)),
    "keras_archive": (
        r"a Keras model archive \(\.keras\)",
        lambda: archive(config__json=b"{}", model__weights__h5=b"\x89HDF"),
    ),
    "numpy_archive": ("a numpy archive", lambda: archive(kernel__npy=b"x")),
    "zip": ("a zip archive", lambda: archive(readme=b"x")),
    "numpy": ("a numpy array", numpy_file),
    "other_hdf5": ("an HDF5 file that Headstart did not write", lambda: hdf5(any_hdf5)),
    "other_first_block": ("first block is not one of", lambda: hdf5(any_hdf5, userblock=512)),
    "safetensors": ("a safetensors file", (60).to_bytes(8, "little") + b'{"x":1}' * 9),
    "pickle": ("a Python pickle", b"\x80\x04\x95" + bytes(100)),
    "gzip": ("a gzip file", b"\x1f\x8b\x08" + bytes(100)),
    "lfs_pointer": ("run git lfs pull", b"version https://git-lfs.github.com/spec/v1\n"),
    "web_page": ("a web page", b"<!DOCTYPE html><html><body>404</body></html>"),
}
