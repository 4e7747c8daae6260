"""Layout of the weights file in HDF5: build it, and walk it before anything is read.

Links, types, storage and declared sizes are all checked through HDF5's own headers. No tensor is read and
nothing is allocated until every part has proved to be plain and really there.
"""

from __future__ import annotations

import hashlib
import io
import math
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5g, h5l, h5o, h5s, h5t

from pretrain.weights.sniff import identify
from pretrain.weights.validation import COPY_AGAIN, Fault, listing, sha256, short
from tasks.duplicates.fingerprints import WIDTH as SIGNATURE_BYTES

FORMAT = b"headstart-weights"
VERSIONS = (1, 2, 3)
POOL_VERSION = 2
"""The first version with fingerprints of the pool."""
TABLE_VERSION = 3
"""The first version with the schema of a table, which may have fingerprints or not."""
USER_BLOCK = 512
MAX_JSON_BYTES = 16 << 20
MAX_MEMBERS = 4096
MAX_TENSORS = 16384

TITLE = b"headstart weights file, version "
SIGNATURE = b"\x89HDF\r\n\x1a\n"
NAME = re.compile(rb"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
# What h5py raises on files that are damaged inside; all mean the same to the reader.
DAMAGE = (OSError, KeyError, ValueError, RuntimeError, TypeError, ArithmeticError, MemoryError)
NAMED = ("integer", "float", "string", "bitfield", "opaque", "compound", "reference", "array")
TYPES = {getattr(h5t, name.upper()): name for name in NAMED}
TYPES |= {h5t.ENUM: "enumeration", h5t.VLEN: "variable length"}


def attribute(root: Any, name: str, *, integer: bool = False) -> Any:
    """Read one small scalar attribute after looking at its declared type and size."""
    attribute = h5a.open(root, name.encode())
    kind, space = attribute.get_type(), attribute.get_space()
    is_text = isinstance(kind, h5t.TypeStringID) and not kind.is_variable_str()
    good = kind.equal(h5t.STD_I64LE) if integer else is_text
    if space.get_simple_extent_type() != h5s.SCALAR or not good or kind.get_size() > 64:
        what = "little-endian 64-bit integer" if integer else "short text of fixed length"
        raise Fault(f"its attribute {name!r} must be one {what}")
    value = np.empty((), "<i8" if integer else f"S{kind.get_size()}")
    attribute.read(value)
    return value[()]


def type_name(kind: Any) -> str:
    """Return an HDF5 type in words."""
    name = TYPES.get(kind.get_class(), "unknown")
    if name not in ("integer", "float"):
        return name
    order = "big-endian " if kind.get_order() == h5t.ORDER_BE else ""
    return f"{order}{8 * kind.get_size()}-bit {name}"


def read(dataset: Any, dtype: str) -> np.ndarray:
    """Read a dataset whose storage has been checked, as it is stored: "u1" or "<f4"."""
    data = np.empty(dataset.shape, dtype)
    dataset.read(h5s.ALL, h5s.ALL, data)
    return data


def links(group: Any) -> Iterator[tuple[bytes, int]]:
    """Yield the names and kinds of a group's links, without following them."""
    names: list[bytes] = []
    group.links.iterate(names.append)
    for name in names:
        yield name, group.links.get_info(name).type


def declared_bytes(dataset: Any) -> int:
    """Return the bytes that a dataset's shape and type need; of Python integers, so it cannot wrap."""
    return math.prod((dataset.get_type().get_size(), *map(int, dataset.shape)))


def user_block(seal: str, version: int) -> bytes:
    """Return the file's first 512 bytes: a line for people and the seal of all bytes after it."""
    lines = b"%s%d\nsha256 of all bytes after this block: %s\n" % (TITLE, version, seal.encode())
    return lines.ljust(USER_BLOCK - 1) + b"\n"


def check_version(version: int) -> None:
    """Raises Fault for a version that this Headstart does not know."""
    if version > VERSIONS[-1]:
        raise Fault(
            f"it is of version {version}, newer than {VERSIONS[-1]}", "upgrade headstart to read it"
        )
    if version not in VERSIONS:
        raise Fault(f"there is no version {version} of the weights file")


def check_envelope(path: Path) -> tuple[int, int, Fault | None]:
    """Check kind, first block and seal without handing a byte to HDF5.

    Returns the file's size, the version in its first block, and the fault of a seal that does not match: such
    a file is refused in any case, but looking inside may name what was changed.
    Raises Fault for a file of another program, and for one that is not whole.
    """
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise Fault("there is no such file", "check the path") from None
    if stat.S_ISDIR(status.st_mode):
        raise Fault("it is a folder", "give the weights file in it")
    if not stat.S_ISREG(status.st_mode):
        raise Fault("it is not a regular file", "give a file that the pretrain command wrote")
    if status.st_size == 0:
        raise Fault("it is empty", COPY_AGAIN)
    with path.open("rb") as file:
        head = file.read(1 << 20)
        if not head.startswith(TITLE):
            raise Fault(*identify(head))
        found = re.match(rb"(\d{1,9})\n", head[len(TITLE) :])
        version = int(found[1]) if found else 0
        if found:
            check_version(version)
        file.seek(USER_BLOCK)
        seal = hashlib.file_digest(file, "sha256").hexdigest()
        size = file.seek(0, 2)
    if size < USER_BLOCK + 96:  # with HDF5's superblock
        raise Fault(f"it is truncated: {size} bytes are less than any weights file has", COPY_AGAIN)
    if head[:USER_BLOCK] == user_block(seal, version):
        if head[USER_BLOCK : USER_BLOCK + 8] != SIGNATURE:
            raise Fault("there is no HDF5 file behind its first block", COPY_AGAIN)
        return size, version, None
    if head[USER_BLOCK : USER_BLOCK + 9] == SIGNATURE + b"\0":
        length = int.from_bytes(head[USER_BLOCK + 40 : USER_BLOCK + 48], "little")
        if size < length < 1 << 48:
            raise Fault(f"it is truncated: {size:,} of its {length:,} bytes are there", COPY_AGAIN)
        if USER_BLOCK < length < size:
            raise Fault(f"{size - length:,} bytes have been appended to it", COPY_AGAIN)
    damaged = "it is damaged: its bytes are not those that were sealed when it was written"
    return size, version, Fault(damaged, COPY_AGAIN)


class Walk:
    """One walk over a file's tree, which checks everything that can be checked before reading.

    digest: of the file. metadata, manifest, tensors, fingerprints: the datasets that were found to be plain,
    the last two by name; still unread. Raises Fault.
    """

    def __init__(self, file: h5py.File, size: int, version: int) -> None:
        self.size, self.version = size, version
        self.seen: dict[tuple[int, int], str] = {}
        self.stretches: list[tuple[int, int, str]] = []
        self.tensors: dict[str, Any] = {}
        self.fingerprints: dict[str, Any] = {}
        if file.userblock_size != USER_BLOCK:
            raise Fault(f"its HDF5 part does not start at byte {USER_BLOCK}")
        self.digest = self._root_attributes(file.id)
        members = self._members(file.id, "/", attributes=3)
        needed = {"metadata", "manifest", "weights"}
        needed |= {"fingerprints"} if self.version == POOL_VERSION else set()
        allowed = needed | ({"fingerprints"} if self.version > POOL_VERSION else set())
        faults = [f"has an unexpected {short(repr(n))}" for n in sorted(set(members) - allowed)]
        if faults := faults + [f"lacks {n!r}" for n in sorted(needed - set(members))]:
            raise Fault(f"its root {listing(faults)}")
        self.metadata = self._dataset(members["metadata"], "metadata", h5t.STD_U8LE)
        self.manifest = self._dataset(members["manifest"], "manifest", h5t.STD_U8LE)
        for part in (self.metadata, self.manifest):
            if len(part.shape) != 1 or part.shape[0] > MAX_JSON_BYTES:
                raise Fault(
                    f"its JSON must be one row of at most {MAX_JSON_BYTES:,} bytes. "
                    f"Got {part.shape}"
                )
        if "fingerprints" in members:
            self._find_fingerprints(members["fingerprints"])
        self._find_tensors(members["weights"], "weights", 3)
        end, before = USER_BLOCK, "the first block"
        for start, stop, where in sorted(self.stretches):
            if start < end:
                raise Fault(f"{where!r} and {before!r} share the same bytes (overlap)")
            end, before = stop, where

    def _root_attributes(self, root: Any) -> str:
        number = h5a.get_num_attrs(root)
        names = {h5a.open(root, index=i).name for i in range(min(number, 16))}
        expected = {b"format", b"version", b"digest"}
        if number != 3 or names != expected:
            shown = [short(repr(n)) for n in sorted(names ^ expected)]
            raise Fault(
                f"its root has {number} attributes where exactly format, version and digest "
                f"belong: {listing(shown)}"
            )
        kind = attribute(root, "format")
        if kind != FORMAT:
            raise Fault(f"its format is {short(repr(kind))}, not {FORMAT.decode()!r}")
        version = int(attribute(root, "version", integer=True))
        check_version(version)
        if version != self.version:
            raise Fault(
                f"its first block says version {self.version}, its attribute version {version}"
            )
        digest: bytes = attribute(root, "digest")
        return digest.decode("ascii", "replace")

    def _meet(self, obj: Any, where: str, attributes: int) -> None:
        info = h5o.get_info(obj)
        before = self.seen.setdefault((info.fileno, info.addr), where)
        if before != where:
            raise Fault(f"{where!r} and {before!r} are the same object (a hard link)")
        if h5a.get_num_attrs(obj) != attributes:
            raise Fault(f"{where!r} has unexpected attributes")

    def _members(self, group: Any, where: str, attributes: int = 0) -> dict[str, Any]:
        if not isinstance(group, h5g.GroupID):
            raise Fault(f"{where!r} must be a group")
        self._meet(group, where, attributes)
        number = group.get_num_objs()
        if number > MAX_MEMBERS:
            raise Fault(f"{where!r} holds {number:,} members, more than {MAX_MEMBERS:,}")
        found = list(links(group))
        for name, kind in found:
            if kind != h5l.TYPE_HARD:
                word = {h5l.TYPE_SOFT: "a soft link", h5l.TYPE_EXTERNAL: "an external link"}
                raise Fault(f"{short(repr(name))} in {where!r} is {word.get(kind, 'a user link')}")
            if not NAME.fullmatch(name):
                raise Fault(f"{where!r} holds the odd name {short(repr(name))}")
        return {name.decode(): h5o.open(group, name) for name, _ in found}

    def _find_fingerprints(self, group: Any) -> None:
        members = self._members(group, "fingerprints")
        if not {"exact"} <= set(members) <= {"exact", "near"}:
            raise Fault(
                f"'fingerprints' must hold exact, and at most near beside it. "
                f"Got {listing(short(repr(name)) for name in sorted(members))}"
            )
        for name, width in (("exact", 8), ("near", SIGNATURE_BYTES)):
            if name not in members:
                continue
            part = self._dataset(members[name], f"fingerprints/{name}", h5t.STD_U8LE)
            if len(part.shape) != 2 or part.shape[1] != width:
                raise Fault(
                    f"'fingerprints/{name}' must have rows of {width} bytes. Got {part.shape}"
                )
            self.fingerprints[name] = part

    def _find_tensors(self, group: Any, where: str, depth: int) -> None:
        members = self._members(group, where)
        if not members:
            raise Fault(f"the group {where!r} is empty")
        for name, member in members.items():
            below = f"{where}/{name}"
            if depth > 1:
                self._find_tensors(member, below, depth - 1)
                continue
            if isinstance(member, h5g.GroupID):
                raise Fault(f"{below!r} is nested too deep: a group where a tensor belongs")
            if len(self.tensors) >= MAX_TENSORS:
                raise Fault(f"it holds more than {MAX_TENSORS:,} tensors")
            tensor = self._dataset(member, below, h5t.IEEE_F32LE)
            self.tensors[below.removeprefix("weights/")] = tensor

    def _dataset(self, dataset: Any, where: str, wanted: Any) -> Any:
        if not isinstance(dataset, h5d.DatasetID):
            what = "a named datatype" if isinstance(dataset, h5t.TypeID) else "a group"
            raise Fault(f"{where!r} is {what}, not a dataset")
        self._meet(dataset, where, attributes=0)
        kind, plist, space = dataset.get_type(), dataset.get_create_plist(), dataset.get_space()
        if not kind.equal(wanted) or kind.committed():
            name = "a named datatype" if kind.committed() else type_name(kind)
            right = "float32" if wanted is h5t.IEEE_F32LE else "uint8"
            raise Fault(f"{where!r} is of type {name}, not little-endian {right}")
        if plist.get_external_count():
            raise Fault(f"{where!r} keeps its data in external storage, another file")
        layout = plist.get_layout()
        if layout != h5d.CONTIGUOUS:
            names = {h5d.CHUNKED: "chunked", h5d.COMPACT: "compact", h5d.VIRTUAL: "virtual"}
            filters = f" with {plist.get_nfilters()} filter(s)" if plist.get_nfilters() else ""
            raise Fault(f"{where!r} is {names.get(layout, 'odd')}{filters}, not contiguous")
        if space.get_simple_extent_type() != h5s.SIMPLE or not all(dataset.shape):
            raise Fault(f"{where!r} is a scalar or empty")
        declared = declared_bytes(dataset)
        offset, stored = dataset.get_offset(), dataset.get_storage_size()
        if offset is None or stored != declared or offset + declared > self.size:
            raise Fault(
                f"{where!r} declares {declared:,} bytes that are not in the file "
                f"({self.size:,} bytes)"
            )
        self.stretches.append((offset, offset + declared, where))
        return dataset


def build_image(
    parts: Mapping[str, bytes],
    tensors: Mapping[str, np.ndarray],
    fingerprints: Mapping[str, np.ndarray],
    digest: str,
    version: int,
) -> memoryview:
    """Return a whole sealed file's bytes; equal content gives equal bytes.

    It is built in memory, because HDF5 keeps a file open, and its space taken, when a disk is full.
    """
    buffer = io.BytesIO()
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
