"""Identify a file that is not a Headstart weights file by its first bytes, without parsing it."""

from __future__ import annotations

GIVE_OURS = "give a file that the pretrain command wrote"
KERAS = (
    "Keras matches such weights by position and can load wrong ones silently, so they are not "
    "read; " + GIVE_OURS
)
IMPORT = "make a weights file of it with `pretrain import`, under a name that ends in .keras"
HDF5 = b"\x89HDF\r\n\x1a\n"


def identify(head: bytes) -> tuple[str, str]:
    """Return (what the file is, the way out) from its first bytes, at most 1 MiB of them."""
    if head.startswith(HDF5):
        return _hdf5(head)
    if any(head[at : at + 8] == HDF5 for at in (512, 1024, 2048, 4096)):
        return "it is an HDF5 file whose first block is not one of Headstart", GIVE_OURS
    if head.startswith(b"PK\x03\x04"):
        return _zip(head)
    if head.startswith(b"version https://git-lfs"):
        return "it is a Git LFS pointer, not the file itself", "run git lfs pull"
    if head[8:10] == b'{"':
        return "it is a safetensors file, not a weights file", GIVE_OURS
    for start, what in (
        (b"\x93NUMPY", "a numpy array (.npy)"),
        (b"\x1f\x8b", "a gzip file"),
        (b"\x80\x02", "a Python pickle"),
        (b"\x80\x04", "a Python pickle"),
        (b"\x80\x05", "a Python pickle"),
        (b"<", "a web page or XML"),
    ):
        if head.startswith(start):
            return f"it is {what}, not a weights file", GIVE_OURS
    text = head[:512].decode("utf-8", "ignore")
    if text and all(c.isprintable() or c.isspace() for c in text) and b"\0" not in head[:512]:
        return "it is a text file, not a weights file", GIVE_OURS
    return "it is not a Headstart weights file", GIVE_OURS


def _hdf5(head: bytes) -> tuple[str, str]:
    if b"model_config" in head:
        return "it is a whole Keras model in the legacy HDF5 format", KERAS
    if b"layer_names" in head or b"weight_names" in head or b"keras_version" in head:
        return "it is a Keras weights file of the legacy HDF5 format", KERAS
    if b"_layer_checkpoint_dependencies" in head or (b"layers\0" in head and b"vars\0" in head):
        return "it is a Keras weights file (.weights.h5)", KERAS
    return "it is an HDF5 file that Headstart did not write", GIVE_OURS


def _zip(head: bytes) -> tuple[str, str]:
    if b"model.weights.h5" in head or b"config.json" in head:
        return "it is a Keras model archive (.keras), not a weights file", IMPORT
    if b".npy" in head:
        return "it is a numpy archive (.npz), not a weights file", GIVE_OURS
    if b"data.pkl" in head:
        return "it is a PyTorch file, not a weights file", GIVE_OURS
    return "it is a zip archive, not a weights file", GIVE_OURS
