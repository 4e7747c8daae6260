"""The corpus, first part: files, containers, types, storage, links and names."""

from __future__ import annotations

import os
from typing import Any

import h5py
import malformed_foreign as foreign
import malformed_json
import malformed_pool
import numpy as np
from h5py import h5d, h5s, h5t
from malformed import Draft, flip, good_content, good_tensors, seal
from malformed_table import B1, CASES, K1, K2, case, draft, tree, typed

__all__ = [
    "CASES",
    "malformed_json",
    "malformed_pool",
]  # importing the other parts adds them to the table

# What is no weights file at all.
for _name, (_says, _image) in foreign.FILES.items():
    case(_name, _says, _image)
CASES["folder"] = ("it is a folder", lambda path: path.mkdir())
CASES["missing"] = ("no such file", lambda path: None)
CASES["pipe"] = ("not a regular file", lambda path: os.mkfifo(path))

# Damage.
GOOD = Draft().image()
AT = GOOD.index(good_tensors()[K2].tobytes())
case("truncated", r"truncated: 5,000 of its [\d,]+ bytes", GOOD[:5000])
case("truncated_in_first_block", "truncated: 300 bytes", GOOD[:300])
case("truncated_by_one", "truncated", GOOD[:-1])
case("appended", "3 bytes have been appended", GOOD + b"abc")
case("flipped_data_bit", "damaged", flip(GOOD, 8 * AT + 7))
case("flipped_data_bit_sealed", f"sha256 of {K2}", seal(flip(GOOD, 8 * AT + 7)))
case("flipped_padding", "damaged", flip(GOOD, 8 * 400))
case("only_the_first_block", "truncated", seal(GOOD[:512]))
case("no_hdf5_behind", "no HDF5 file behind", seal(GOOD[:512] + bytes(1000)))
case("broken_superblock", "damaged or truncated", seal(GOOD[:520] + b"\xff" * 80 + GOOD[600:]))
case("two_first_blocks", "no HDF5 file behind", seal(bytes(512) + GOOD))

# Version, format, attributes.
case("newer_version", "version 4, newer than 3; upgrade", seal(GOOD, version=4))
draft("newer_attribute", "version 4, newer than 3; upgrade", attributes={"version": np.int64(4)})
case(
    "table_version_without_table",
    "only 3 is for tables",
    lambda: seal(Draft(attributes={"version": np.int64(3)}).image(), version=3),
)
case("other_version", "block says version 2, its attribute version 1", seal(GOOD, version=2))
draft(
    "other_attribute",
    "block says version 1, its attribute version 2",
    attributes={"version": np.int64(2)},
)
draft("version_zero", "no version 0", attributes={"version": np.int64(0)})
draft("version_float", "'version' must be one", attributes={"version": 1.0})
draft("version_row", "'version' must be one", attributes={"version": np.ones(9, np.int64)})
draft("no_version", "attributes where exactly", attributes={"version": None})
draft(
    "wrong_format", "format is .*other-weights", attributes={"format": np.bytes_(b"other-weights")}
)
draft("long_format", "'format' must be one", attributes={"format": np.bytes_(b"x" * 60000)})
draft("text_format", "'format' must be one", attributes={"format": "headstart-weights"})
draft("attribute_bomb", "root has 2003 attributes", attributes={f"a{i}": i for i in range(2000)})
draft("wrong_digest", "digest does not match", digest="0" * 64)
tree("attribute_on_tensor", "unexpected attributes", lambda f: f["weights"][K1].attrs.update(a=1))
tree("attribute_on_group", "unexpected attributes", lambda f: f["weights"].attrs.update(a=1))

# What Keras loads silently (pitfalls): another model's file, another activation, wrong values.
_swapped = {**good_tensors(), K1: good_tensors()[K2], K2: good_tensors()[K1]}
draft("swapped_names", f"sha256 of {K1}; {K2}", tensors=_swapped, manifest=Draft().listed())
draft(
    "other_activation",
    "digest does not match: its configuration",
    digest=Draft().digested(),
    content={
        **good_content(),
        "encoder": {
            **good_content()["encoder"],
            "options": {"units": [5, 5, 5], "activation": "relu"},
        },
    },
)
draft(
    "edited_metadata",
    "digest does not match",
    digest=Draft().digested(),
    content={**good_content(), "metadata": {**good_content()["metadata"], "seed": 2}},
)
draft(
    "autoencoder",
    "unexpected 'decode1/dense/kernel'.*unexpected 'decode3/dense/bias'",
    tensors={**good_tensors(), **good_tensors(prefix="decode")},
)
draft("three_layers_into_two", "unexpected 'block3/dense/kernel'", content=good_content((5, 5)))
draft("two_layers_into_three", "lacks block3/dense/kernel", tensors=good_tensors((5, 5)))
draft(
    "wrong_shape",
    rf"{K2} is \(5, 6\) in the file, the encoder needs \(5, 5\).*block3",
    tensors=good_tensors((5, 6, 5)),
)
draft(
    "nan",
    f"not finite.*5 in {K1}",
    tensors={**good_tensors(), K1: np.where(np.eye(5) == 1, np.nan, 0).astype("<f4")},
)
draft(
    "infinity", f"not finite.*5 in {B1}", tensors={**good_tensors(), B1: np.full(5, np.inf, "<f4")}
)
draft(
    "missing_tensor",
    f"the file lacks {B1}",
    manifest=Draft().listed(),
    tensors={n: t for n, t in good_tensors().items() if n != B1},
)
draft(
    "extra_tensor",
    "has an unexpected 'block9/dense/kernel'",
    manifest=Draft().listed(),
    tensors={**good_tensors(), "block9/dense/kernel": np.ones((5, 5), "<f4")},
)


# Types, storage and declared sizes.
def low(file: h5py.File, path: str, kind: Any, shape: tuple[int, ...], plist: Any = None) -> None:
    """Create a dataset without writing to it, through HDF5's own interface."""
    h5d.create(file.id, path.encode(), kind, h5s.create_simple(shape), plist)


def compact(file: h5py.File, path: str) -> None:
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_layout(h5d.COMPACT)
    low(file, path, h5t.IEEE_F32LE, (5, 5), plist)


def virtual(file: h5py.File, path: str) -> None:
    layout = h5py.VirtualLayout((5, 5), "<f4")
    layout[:] = h5py.VirtualSource("/etc/hostname", "x", (5, 5))
    file.create_virtual_dataset(path, layout)


def committed(file: h5py.File, path: str) -> None:
    file["weights/block1/dense/type"] = np.dtype("<f4")
    low(file, path, file["weights/block1/dense/type"].id, (5, 5))


E55 = np.ones((5, 5))
for _kind, _says in (
    ("<i4", "32-bit integer"),
    (">f4", "big-endian 32-bit float"),
    ("S4", "string"),
    ("<f8", "64-bit float"),
    ("<f2", "16-bit float"),
    ("bool", "enumeration"),
    ("V4", "opaque"),
    ([("a", "<f4")], "compound"),
    (h5py.string_dtype(), "string"),
    (h5py.ref_dtype, "reference"),
    (h5py.vlen_dtype("<f4"), "variable length"),
):
    typed(
        f"type_{_says.replace(' ', '_')}_{len(CASES)}",
        f"{K1}' is of type {_says}",
        lambda f, p, kind=_kind: f.create_dataset(p, (5, 5), kind),
    )
typed(
    "type_array",
    "is of type array",
    lambda f, p: low(f, p, h5t.array_create(h5t.IEEE_F32LE, (5,)), (5,)),
)
typed("type_committed", "named datatype", committed)
typed(
    "chunked_gzip",
    "chunked with 1 filter",
    lambda f, p: f.create_dataset(p, data=E55.astype("<f4"), compression="gzip"),
)
typed(
    "chunked", "is chunked", lambda f, p: f.create_dataset(p, data=E55.astype("<f4"), chunks=(1, 5))
)
typed(
    "gzip_bomb",
    "chunked with 1 filter",
    lambda f, p: f.create_dataset(p, (1 << 14, 1 << 14), "<f4", compression="gzip"),
)
typed("compact", "is compact", compact)
typed("virtual", "is virtual", virtual)
typed(
    "external_storage",
    "external storage",
    lambda f, p: f.create_dataset(p, (5, 5), "<f4", external=[("/etc/hostname", 0, 100)]),
)
typed("scalar", "scalar or empty", lambda f, p: f.create_dataset(p, data=np.float32(1)))
typed("no_dataspace", "scalar or empty", lambda f, p: f.create_dataset(p, data=h5py.Empty("<f4")))
typed("no_rows", "scalar or empty", lambda f, p: f.create_dataset(p, (0, 5), "<f4"))
typed(
    "declares_3_6_gb",
    "declares 3,600,000,000 bytes",
    lambda f, p: low(f, p, h5t.IEEE_F32LE, (30000, 30000)),
)
typed(
    "declares_16_eb",
    "declares [0-9,]{20,} bytes",
    lambda f, p: low(f, p, h5t.IEEE_F32LE, (1 << 31, 1 << 30)),
)


def promised() -> bytes:
    """A configuration of 2 GB that is allowed, in a file that holds none of it."""
    made = Draft(content=good_content((20000, 20000)), tensors={}, manifest=[])
    for name, shape in (
        (K1, (5, 20000)),
        (B1, (20000,)),
        (K2, (20000, 20000)),
        ("block2/dense/bias", (20000,)),
    ):
        made.manifest.append(
            {"name": name, "shape": list(shape), "dtype": "<f4", "sha256": "0" * 64}
        )
        made.after.append(
            lambda f, n=name, s=shape: f.require_group(f"weights/{n}").parent.id.unlink(
                n.split("/")[2].encode()
            )
        )
        made.after.append(lambda f, n=name, s=shape: low(f, f"weights/{n}", h5t.IEEE_F32LE, s))
    return made.image()


def overlapping() -> bytes:
    """Two tensors whose headers point to the same bytes: a hard link in disguise."""
    image = Draft().image()
    first, second = (image.index(good_tensors()[n].tobytes()) - 512 for n in (K1, K2))
    assert image.count(second.to_bytes(8, "little")) == 1
    return seal(image.replace(second.to_bytes(8, "little"), first.to_bytes(8, "little")))


case("promised_2_gb", "declares [0-9,]+ bytes that are not in the file", promised)
case("overlapping", "share the same bytes", overlapping)

# Links, groups, names.
typed("hard_link", "same object.*hard link", lambda f, p: f.__setitem__(p, f[f"weights/{K2}"]))
tree(
    "hard_linked_group",
    "same object",
    lambda f: f["weights"].__setitem__("block4", f["weights/block1"]),
)
tree("group_cycle", "same object", lambda f: f["weights/block1"].__setitem__("up", f["weights"]))
typed(
    "soft_link",
    "'kernel'.* is a soft link",
    lambda f, p: f.__setitem__(p, h5py.SoftLink(f"/weights/{K2}")),
)
typed("dangling_link", "is a soft link", lambda f, p: f.__setitem__(p, h5py.SoftLink("/nowhere")))
typed(
    "external_link",
    "is an external link",
    lambda f, p: f.__setitem__(p, h5py.ExternalLink("/etc/hostname", "/x")),
)
tree("root_group", "root has an unexpected 'optimizer'", lambda f: f.create_group("optimizer"))
tree("root_lacks_weights", "root lacks 'weights'", lambda f: f.__delitem__("weights"))
tree("empty_group", "'weights/block9' is empty", lambda f: f.create_group("weights/block9"))
tree("too_deep", "nested too deep", lambda f: f.create_group("weights/block1/dense/more"))
tree(
    "tensor_too_high",
    "'weights/kernel' must be a group",
    lambda f: f.create_dataset("weights/kernel", data=E55),
)
tree(
    "many_members",
    "5,003 members",
    lambda f: [f.create_group(f"weights/g{i}") for i in range(5000)],
)
tree(
    "odd_name_dots",
    "odd name",
    lambda f: f["weights"].create_group("..x").parent.move("..x", "a b"),
)
tree(
    "odd_name_up",
    r"odd name b'\.\.'",
    lambda f: f.id.links.create_hard(b"weights/..", f.id, b"weights/block1/dense"),
)
tree("odd_name_control", r"odd name b'\\x1b\[31m", lambda f: f.create_group("weights/\x1b[31mred"))
tree("odd_name_bytes", r"odd name b'\\xff", lambda f: h5py.h5g.create(f["weights"].id, b"\xff\xfe"))
tree("odd_name_long", "odd name", lambda f: f.create_group("weights/" + "a" * 3000))
tree(
    "named_type",
    "'weights/block1/dense/t' is a named datatype",
    lambda f: f.__setitem__("weights/block1/dense/t", np.dtype("<f4")),
)
draft("metadata_group", "'metadata' is a group", before=[lambda f: f.create_group("metadata")])
draft(
    "metadata_square",
    "JSON must be one row",
    before=[lambda f: f.create_dataset("metadata", data=np.ones((2, 2), "u1"))],
)
draft(
    "metadata_text",
    "'metadata' is of type string",
    before=[lambda f: f.create_dataset("metadata", data=b"{}")],
)
