"""Keras' own HDF5 weights: looked at through their headers, and read by name where they have names.

A file may declare gigabytes that it does not hold, or reach outside itself; such a file is refused before
Keras or anything else reads a value of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5d, h5g, h5l, h5o, h5s, h5t

from pretrain.keras_import import COPY_AGAIN, Refusal
from pretrain.weights.hdf5 import DAMAGE, declared_bytes, links
from pretrain.weights.validation import listing, short

MAX_OBJECTS = 20_000
MAX_DEPTH = 32
Tensors = dict[str, list[np.ndarray]]


def check_hdf5(path: Path, what: str) -> None:
    """Check every object of a file without reading a value. Raises Refusal.

    what: what the file is called in messages.
    """
    try:
        with h5py.File(path, "r", locking=False) as file:
            _Walk(path.stat().st_size, what).group(file.id, "/", 0)
    except DAMAGE as error:
        raise Refusal(f"{what} is damaged ({short(str(error))})", COPY_AGAIN) from None


class _Walk:
    def __init__(self, size: int, what: str) -> None:
        self.size, self.what = size, what
        self.seen: set[tuple[int, int]] = set()
        self.declared = 0

    def group(self, group: Any, where: str, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise Refusal(f"{self.what} is nested deeper than {MAX_DEPTH} groups")
        self._meet(group, where)
        for name, kind in links(group):
            below = f"{where.rstrip('/')}/{name.decode(errors='replace')}"
            if kind != h5l.TYPE_HARD:
                raise Refusal(f"{self.what} has a link that can lead outside it ({short(below)})")
            member = h5o.open(group, name)
            if isinstance(member, h5g.GroupID):
                self.group(member, below, depth + 1)
            elif isinstance(member, h5d.DatasetID):
                self._dataset(member, below)
            else:
                raise Refusal(f"{self.what} has a named datatype ({short(below)})")

    def _meet(self, obj: Any, where: str) -> None:
        info = h5o.get_info(obj)
        place = (info.fileno, info.addr)
        if place in self.seen or len(self.seen) >= MAX_OBJECTS:
            raise Refusal(f"{self.what} is linked to itself, or endless ({short(where)})")
        self.seen.add(place)

    def _dataset(self, dataset: Any, where: str) -> None:
        self._meet(dataset, where)
        kind, plist = dataset.get_type(), dataset.get_create_plist()
        numbers = isinstance(kind, h5t.TypeFloatID | h5t.TypeIntegerID | h5t.TypeBitfieldID)
        text = isinstance(kind, h5t.TypeStringID) and not kind.is_variable_str()
        enum = isinstance(kind, h5t.TypeEnumID)  # how h5py writes booleans
        if not (numbers or text or enum):
            raise Refusal(f"{self.what} holds other things than numbers ({short(where)})")
        if plist.get_external_count() or plist.get_layout() == h5d.VIRTUAL:
            raise Refusal(f"{self.what} keeps {short(where)} in another file")
        if plist.get_nfilters():
            raise Refusal(f"{self.what} holds compressed data ({short(where)})")
        if dataset.get_space().get_simple_extent_type() == h5s.NULL:
            return
        declared = declared_bytes(dataset)
        self.declared += declared
        compact = plist.get_layout() == h5d.COMPACT
        if (not compact and dataset.get_storage_size() < declared) or self.declared > self.size:
            raise Refusal(
                f"{self.what} declares {declared:,} bytes in {short(where)} that are not in its "
                f"{self.size:,} bytes"
            )


def read_legacy(path: Path) -> Tensors:
    """Return the weights of a legacy Keras ``.h5`` weights file by layer, in each layer's order.

    That is the format of the files that keras.applications downloads. Raises Refusal for anything else.
    """
    check_hdf5(path, path.name)
    try:
        with h5py.File(path, "r", locking=False) as file:
            if "layer_names" not in file.attrs and "model_weights" in file:
                raise Refusal(
                    "it is a whole model in the legacy HDF5 format, which is not read",
                    "load it in Keras, save it as .keras, and import that",
                )
            if "layer_names" not in file.attrs:
                raise Refusal(
                    "it is not a weights file of keras.applications (.h5, with the names of its layers)",
                    "load it in Keras, save the model as .keras, and give that instead",
                )
            found: Tensors = {}
            for name in map(_text, file.attrs["layer_names"]):
                group = file[name]
                names = [_text(one) for one in group.attrs.get("weight_names", ())]
                if names:
                    found[name] = [np.asarray(group[one][()]) for one in names]
            return found
    except DAMAGE as error:
        raise Refusal(f"it is damaged ({short(str(error))})", COPY_AGAIN) from None


def _text(raw: Any) -> str:
    return raw.decode() if isinstance(raw, bytes) else str(raw)


def fit_by_name(found: Tensors, layers: list[Any], where: str) -> list[str]:
    """Assign the file's weights to Keras ``layers`` of the same names; return names that are left over.

    Everything is compared before anything is assigned. Raises Refusal that lists every difference.
    """
    layers, problems = [layer for layer in layers if layer.weights], []
    for layer in layers:
        needed = [tuple(int(n) for n in weight.shape) for weight in layer.weights]
        if layer.name not in found:
            problems.append(f"it lacks the layer {layer.name}")
            continue
        here = [tuple(tensor.shape) for tensor in found[layer.name]]
        if here != needed:
            problems.append(f"{layer.name} has {here}, the model needs {needed}")
        elif not all(np.isfinite(tensor).all() for tensor in found[layer.name]):
            problems.append(f"{layer.name} has values that are not finite")
    if problems:
        raise Refusal(f"its weights are not those of {where}: {listing(problems, most=8)}")
    for layer in layers:
        layer.set_weights([np.asarray(t, np.float32) for t in found[layer.name]])
    return [name for name in found if name not in {layer.name for layer in layers}]
