"""The corpus, third part: the pool's fingerprints. Everything is signed again."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
from malformed import Draft, good_content, sha
from malformed_table import case, tree

from tasks.duplicates.fingerprints import Fingerprints

VECTORS = np.arange(20, dtype=np.uint8).reshape(4, 5)
EXACT = Fingerprints.of(VECTORS, (0, 255)).exact


def good_fingerprints(rows: np.ndarray = EXACT) -> dict[str, Any]:
    return {
        "examples": 4,
        "exact": {"kind": "blake2b-64", "rows": len(rows), "sha256": sha(rows.tobytes())},
        "near": None,
    }


def good_draft(rows: np.ndarray = EXACT, **more: Any) -> Draft:
    content = {**good_content(), "fingerprints": good_fingerprints(rows)}
    return Draft(content=content, fingerprints={"exact": rows}, **more)


def images(near: np.ndarray) -> Draft:
    """A file of 4x4 images, whose tensors do not matter: they are looked at later."""
    made = good_draft()
    made.content["encoder"]["input_shape"] = [5, 5, 1]
    kernel = np.ones((25, 5), "<f4")
    made.tensors = {**made.tensors, "block1/dense/kernel": kernel}
    made.fingerprints["near"] = near
    made.content["fingerprints"]["near"] = {
        "kind": "thumbnail-8x8",
        "rows": len(near),
        "sha256": sha(near.tobytes()),
    }
    return made


def signatures(rows: int = 4) -> np.ndarray:
    near = np.full((rows, 64), 128, np.uint8)
    near[:, 0] = 255
    return near


def about(name: str, says: str, part: str | None = None, **changes: Any) -> None:
    """Change what the JSON says; None in place of a part's description is JSON's null."""

    def image() -> bytes:
        made = good_draft()
        told = made.content["fingerprints"]
        (told if part is None else told[part]).update(changes)
        return made.image()

    case(name, says, image)


def rows(name: str, says: str, data: np.ndarray) -> None:
    case(name, says, lambda: good_draft(data).image())


def spoilt(name: str, says: str, change: Any) -> None:
    case(name, says, lambda: good_draft(after=[change]).image())


def put(data: Any, name: str = "exact", **how: Any) -> Any:
    def change(file: h5py.File) -> None:
        if f"fingerprints/{name}" in file:
            del file[f"fingerprints/{name}"]
        file.create_dataset(f"fingerprints/{name}", data=data, **how)

    return change


def declared(file: h5py.File) -> None:
    del file["fingerprints/exact"]
    kind, space = h5py.h5t.STD_U8LE, h5py.h5s.create_simple((1 << 30, 8))
    h5py.h5d.create(file.id, b"fingerprints/exact", kind, space)


def too_many() -> bytes:
    """A row more than any pool leaves, rising and signed."""
    numbers = np.arange(1_000_001, dtype=">u8").view(np.uint8).reshape(-1, 8)
    made = good_draft(numbers)
    made.content["fingerprints"]["examples"] = 2_000_000
    return made.image()


# Where they may be, and how they are stored.
tree("pool_in_version_1", "root has an unexpected 'fingerprints'", put(EXACT))
case(
    "pool_lacking",
    "root lacks 'fingerprints'",
    lambda: good_draft(after=[lambda f: f.__delitem__("fingerprints")]).image(),
)
spoilt("pool_extra", "at most near beside it. Got 'code'; 'exact'", put(EXACT, "code"))
spoilt(
    "pool_empty", "'fingerprints' must hold exact", lambda f: f.__delitem__("fingerprints/exact")
)
spoilt("pool_type", "exact' is of type big-endian 64-bit integer", put(EXACT.view(">u8")))
spoilt("pool_text", "exact' is of type string", put([b"abcdefgh"] * 4))
spoilt("pool_chunked", "exact' is chunked with 1 filter", put(EXACT, compression="gzip"))
spoilt("pool_width", r"rows of 8 bytes. Got \(8, 4\)", put(EXACT.reshape(8, 4)))
spoilt("pool_flat", r"rows of 8 bytes. Got \(32,\)", put(EXACT.ravel()))
spoilt("pool_no_rows", "scalar or empty", put(EXACT[:0]))
spoilt("pool_declares_8_gb", "declares 8,589,934,592 bytes", declared)
spoilt(
    "pool_hard_link",
    "same object",
    lambda f: f.__setitem__("fingerprints/near", f["fingerprints/exact"]),
)
spoilt(
    "pool_soft_link",
    "'near'.* is a soft link",
    lambda f: f.__setitem__("fingerprints/near", h5py.SoftLink("/fingerprints/exact")),
)
spoilt(
    "pool_attribute", "unexpected attributes", lambda f: f["fingerprints"].attrs.update(code="x")
)
spoilt(
    "pool_dataset",
    "'fingerprints' must be a group",
    lambda f: (f.__delitem__("fingerprints"), f.create_dataset("fingerprints", data=EXACT)),
)

# What the JSON says of them.
case(
    "pool_not_described",
    "must hold exactly encoder, preprocessing, metadata and fingerprints",
    lambda: Draft(fingerprints={"exact": EXACT}).image(),
)
case(
    "pool_only_described",
    "must hold exactly encoder, preprocessing and metadata",
    lambda: Draft(content=good_draft().content).image(),
)
about("pool_key", "exactly examples, exact and near", code="x")
about("pool_examples_text", "are of '4' examples", examples="4")
about("pool_examples_none", "are of 0 examples", examples=0)
about("pool_examples_bool", "are of True examples", examples=True)
about("pool_examples_huge", "are of 10+ examples", examples=10**30)
about("pool_fewer_examples", "'exact' has more than 3 rows", examples=3)
about("pool_null", "'exact' must hold exactly kind", exact=None)
about(
    "pool_near_missing",
    "'near' should have 4 rows and has none",
    near=good_fingerprints()["exact"] | {"kind": "thumbnail-8x8"},
)
about("pool_part_key", "'exact' must hold exactly kind", "exact", code="x")
about("pool_kind", "of the kind 'md5'", "exact", kind="md5")
about("pool_rows", "'exact' should have 5 rows and has 4", "exact", rows=5)
about("pool_rows_text", "should have '4' rows", "exact", rows="4")
about("pool_sha", "'exact' has no sha256", "exact", sha256="x")
about("pool_other_sha", "sha256 of its fingerprints' 'exact' is another", "exact", sha256="0" * 64)
case("pool_too_many", "'exact' has more than 1,000,000 rows", too_many)

# Their values.
rows("pool_falling", "do not rise", EXACT[::-1].copy())
rows("pool_twice", "do not rise", EXACT[[0, 0, 1, 2]])
case(
    "pool_edited",
    "digest does not match",
    lambda: good_draft(digest=Draft().digested()).image(),
)
case("pool_image_lacks_near", "'near' has None rows where 4 belong", lambda: _unseen().image())
case("pool_near_short", "'near' has 3 rows where 4 belong", lambda: images(signatures(3)).image())
case("pool_near_zero", "are no signatures", lambda: images(signatures() * 0).image())
case("pool_near_weak", "are no signatures", lambda: images(signatures() // 2 + 1).image())


def _unseen() -> Draft:
    made = images(signatures())
    del made.fingerprints["near"]
    made.content["fingerprints"]["near"] = None
    return made


def _vector_with_near() -> bytes:
    made = images(signatures())
    made.content["encoder"]["input_shape"] = [5]
    made.tensors = Draft().tensors
    return made.image()


case("pool_near_of_vectors", "'near' has 4 rows where None belong", _vector_with_near)
