"""Builds the corpus of files that must be refused: what each is, and what its refusal must say.

A ``Draft`` is a good file to be spoilt. Unless a case says otherwise its manifest, digest and seal
are computed afterwards, so that a reader stops at the fault that was meant, not at the seal.
Two tensors swapped *with* everything computed again are a valid file by definition: nothing in any
file could tell.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Tree = Callable[[h5py.File], None]


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def sha(data: Any) -> str:
    return hashlib.sha256(data).hexdigest()


def good_content(units: tuple[int, ...] = (5, 5, 5)) -> dict[str, Any]:
    return {
        "encoder": {
            "architecture": "mlp",
            "input_shape": [5],
            "options": {"units": list(units), "activation": "selu"},
        },
        "preprocessing": {
            "input_dtype": "uint8",
            "value_range": [0.0, 255.0],
            "scale": [1 / 255],
            "offset": [0.0],
        },
        "metadata": {
            "strategy": "autoencoder",
            "seed": 1,
            "data": {"name": "toy", "fingerprint": "abc"},
            "versions": {"headstart": "0.1.0"},
        },
    }


def good_tensors(units: tuple[int, ...] = (5, 5, 5), prefix: str = "block") -> dict[str, Any]:
    """Tensors of an mlp on 5 inputs; every one differs, though many have the same shape."""
    random = np.random.default_rng(len(units))
    tensors, below = {}, 5
    for i, n in enumerate(units, start=1):
        tensors[f"{prefix}{i}/dense/kernel"] = random.normal(size=(below, n)).astype("<f4")
        tensors[f"{prefix}{i}/dense/bias"] = random.normal(size=n).astype("<f4")
        below = n
    return tensors


@dataclass
class Draft:
    content: Any = field(default_factory=good_content)
    tensors: dict[str, Any] = field(default_factory=good_tensors)
    fingerprints: dict[str, Any] = field(default_factory=dict)  # with any, version 2
    manifest: Any = None  # computed from the tensors unless given
    digest: str | None = None  # computed unless given
    attributes: dict[str, Any] = field(default_factory=dict)
    metadata_bytes: bytes | None = None
    manifest_bytes: bytes | None = None
    before: list[Tree] = field(default_factory=list)
    after: list[Tree] = field(default_factory=list)

    def listed(self) -> Any:
        if self.manifest is not None:
            return self.manifest
        return [
            {"name": n, "shape": list(t.shape), "dtype": "<f4", "sha256": sha(t.tobytes())}
            for n, t in self.tensors.items()
        ]

    def digested(self) -> str:
        if self.digest is not None or not isinstance(self.content, dict):
            return self.digest or "0" * 64
        return sha(canonical({**self.content, "manifest": self.listed()}))

    def image(self) -> bytes:
        """The file's bytes, sealed."""
        buffer = io.BytesIO()
        with h5py.File(buffer, "w", userblock_size=512) as file:
            for change in self.before:
                change(file)
            given = {
                "format": np.bytes_(b"headstart-weights"),
                "version": np.int64(2 if self.fingerprints else 1),
                "digest": np.bytes_(self.digested()),
            }
            for name, value in {**given, **self.attributes}.items():
                if value is not None:
                    file.attrs[name] = value
            for name, data in (
                ("metadata", self.metadata_bytes or canonical(self.content)),
                ("manifest", self.manifest_bytes or canonical(self.listed())),
            ):
                if name not in file:
                    file.create_dataset(name, data=np.frombuffer(data, np.uint8))
            for name, rows in self.fingerprints.items():
                file.create_dataset(f"fingerprints/{name}", data=rows)
            for name, tensor in self.tensors.items():
                if f"weights/{name}" not in file:
                    file.create_dataset(f"weights/{name}", data=tensor)
            for change in self.after:
                change(file)
        return seal(buffer.getvalue(), version=2 if self.fingerprints else 1)


def seal(image: bytes, version: int = 1) -> bytes:
    text = f"headstart weights file, version {version}\n"
    text += f"sha256 of all bytes after this block: {sha(image[512:])}\n"
    return text.encode().ljust(511) + b"\n" + image[512:]


def flip(image: bytes, bit: int) -> bytes:
    changed = bytearray(image)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def instead(name: str, make: Callable[[h5py.File, str], Any]) -> Tree:
    """Replace the tensor ``name`` by what ``make(file, path)`` puts there."""

    def change(file: h5py.File) -> None:
        del file[f"weights/{name}"]
        make(file, f"weights/{name}")

    return change


def reference_set(folder: Path) -> None:
    """Write the whole corpus and one good file, ``good.h5``, into ``folder``."""
    from malformed_cases import CASES

    for name, (_, build) in CASES.items():
        build(folder / f"{name}.h5")
    (folder / "good.h5").write_bytes(Draft().image())
