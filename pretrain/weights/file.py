"""The weights file: the only bridge from pretraining to transfer.

docs/weights-file.md describes the format and what reading refuses. Neither writing nor reading
imports TensorFlow, and a tensor is read only after everything around it has been checked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from headstart.errors import HeadstartError, InputError
from headstart.files import atomic_write, check_output
from pretrain.encoders import expected_shapes, stored_config
from pretrain.weights.hdf5 import (
    DAMAGE,
    MAX_JSON_BYTES,
    POOL_VERSION,
    TABLE_VERSION,
    VERSIONS,
    Walk,
    build_image,
    check_envelope,
    read,
)
from pretrain.weights.validation import (
    COPY_AGAIN,
    WRITE_AGAIN,
    Fault,
    canonical,
    check_encoder,
    check_manifest,
    check_metadata,
    check_pool,
    check_preprocessing,
    describe_pool,
    differences,
    digest_of,
    example_shape,
    listing,
    parse_json,
    sha256,
    short,
)
from tasks.duplicates.fingerprints import Fingerprints


@dataclass(frozen=True, kw_only=True, eq=False)
class WeightsFile:
    """An encoder's weights with their preprocessing and the record of their training.

    Attributes:
        encoder: the checked configuration, ``{"architecture", "input_shape", "options"}``.
        preprocessing: ``{"input_dtype", "value_range", "scale", "offset"}``; the encoder sees
            ``x * scale + offset``, with scale and offset of length 1 or one a channel. Of a table also
            "table", its schema.
        tensors: ``"block/layer/variable"`` -> float32 array, in the encoder's order.
        metadata: JSON with at least ``strategy``, ``seed``, ``data`` and ``versions``.
        fingerprints: of the pool's examples; None when the file has none.
        digest: sha256 (hex) over all of these, filled by write and read.

    Example:
        >>> weights = WeightsFile.read(Path("weights.h5"))
        >>> weights.receipt()
        '10/10 tensors, 100 % of parameters (275,000)'
    """

    encoder: dict[str, Any]
    preprocessing: dict[str, Any]
    tensors: dict[str, np.ndarray]
    metadata: dict[str, Any]
    fingerprints: Fingerprints | None = None
    digest: str = ""

    @property
    def version(self) -> int:
        """The oldest version of the file format that can hold these weights."""
        if "table" in self.preprocessing:
            return TABLE_VERSION
        return VERSIONS[0] if self.fingerprints is None else POOL_VERSION

    @property
    def n_parameters(self) -> int:
        """The number of values in all tensors."""
        return sum(tensor.size for tensor in self.tensors.values())

    def receipt(self) -> str:
        """Return the part of the encoder that is here: ``12/12 tensors, 100 % of parameters (275,000)``."""
        needed = expected_shapes(self.encoder)
        here = [n for n, shape in needed.items() if n in self.tensors]
        values = sum(math.prod(needed[n]) for n in here)
        total = sum(math.prod(shape) for shape in needed.values())
        percent = "100" if values == total else f"{math.floor(1000 * values / total) / 10:.1f}"
        return f"{len(here)}/{len(needed)} tensors, {percent} % of parameters ({values:,})"

    def write(self, path: Path, *, force: bool = False) -> WeightsFile:
        """Write the file whole or not at all; an old file stays when anything fails.

        Args:
            path: of the file.
            force: replace a file that exists.

        Returns:
            The weights as they were read back, with their digest.

        Raises:
            InputError: ``path`` exists without ``force`` or cannot be written to; a tensor is not finite or
                not float32; the tensors are not those of the encoder; the metadata is not JSON.
            HeadstartError: the disk refuses.
        """
        try:
            parts = self._parts()
            image = build_image(*parts, self.version)
        except Fault as fault:
            raise InputError(f"{path} was not written: {fault}.") from None
        check_output(path, force)
        read_back: list[WeightsFile] = []
        atomic_write(
            path,
            lambda temp: _save(temp, image),
            verify=lambda temp: read_back.append(_verified(temp, parts[-1])),
        )
        return read_back[0]

    def sealed(self) -> WeightsFile:
        """Return the same weights with their digest, after the checks of ``write``, without a file.

        Raises:
            InputError: as ``write``.
        """
        try:
            *_, digest = self._parts()
        except Fault as fault:
            raise InputError(f"The weights cannot be used: {fault}.") from None
        return replace(self, digest=digest)

    @classmethod
    def read(cls, path: Path) -> WeightsFile:
        """Read a file that may have been written, changed or damaged by anyone.

        Nothing is allocated for a tensor before everything else was checked.

        Raises:
            InputError: "NAME is not usable: fault; way out", of any file that ``write`` would not write.
        """
        path = Path(path)
        try:
            return cls._open(path)
        except Fault as fault:
            what = str(fault)
        except PermissionError:
            what = "you may not read it; ask its owner"
        except DAMAGE as error:
            what = f"it is damaged or truncated ({short(str(error))}); {COPY_AGAIN}"
        where = "" if path.parent == Path() else f" (The file is {path}.)"
        raise InputError(f"{path.name} is not usable: {what}.{where}")

    @classmethod
    def _open(cls, path: Path) -> WeightsFile:
        size, version, unsealed = check_envelope(path)
        try:
            # Locking would fail in folders that one may only read.
            with h5py.File(path, "r", locking=False) as file:
                weights = cls._read(Walk(file, size, version))
        except Fault as fault:
            if unsealed is None:
                raise
            raise Fault(f"it is damaged or was edited: {fault.what}", COPY_AGAIN) from None
        except DAMAGE:
            raise unsealed or Fault("it is damaged or truncated", COPY_AGAIN) from None
        if unsealed:
            raise unsealed
        return weights

    @classmethod
    def _read(cls, found: Walk) -> WeightsFile:
        content = parse_json(read(found.metadata, "u1").tobytes(), "metadata")
        parts = ["encoder", "preprocessing", "metadata"]
        parts += ["fingerprints"] if found.fingerprints else []
        if not isinstance(content, dict) or set(content) != set(parts):
            raise Fault(f"its metadata must hold exactly {', '.join(parts[:-1])} and {parts[-1]}")
        manifest = parse_json(read(found.manifest, "u1").tobytes(), "manifest")
        entries = check_manifest(manifest)
        listed = {name: tuple(entry["shape"]) for name, entry in entries.items()}
        encoder, needed = check_encoder(content["encoder"], listed)
        preprocessing = check_preprocessing(content["preprocessing"], encoder["input_shape"])
        if ("table" in preprocessing) != (found.version == TABLE_VERSION):
            raise Fault(f"its version is {found.version}, and only {TABLE_VERSION} is for tables")
        check_metadata(content["metadata"])
        if found.fingerprints:
            check_pool(content["fingerprints"], encoder, found.fingerprints)
        stored = {name: dataset.shape for name, dataset in found.tensors.items()}
        problems = differences(needed, stored, "the file")
        problems += differences(needed, listed, "its manifest")
        if not problems and list(listed) != list(needed):
            problems = ["its manifest is not in the encoder's order"]
        if problems:
            what = f"its tensors are not those of its encoder {encoder['architecture']!r}"
            raise Fault(f"{what}: {listing(problems)}", WRITE_AGAIN)
        tensors = {name: read(found.tensors[name], "<f4") for name in needed}
        changed = [n for n, tensor in tensors.items() if sha256(tensor) != entries[n]["sha256"]]
        if changed:
            raise Fault(
                f"the sha256 of {listing(changed)} is not the one in its manifest (the contents "
                "were changed or swapped)",
                COPY_AGAIN,
            )
        fingerprints = _read_pool(content, found.fingerprints) if found.fingerprints else None
        if digest_of(content, manifest) != found.digest:
            raise Fault(
                "its digest does not match: its configuration, metadata or manifest was edited",
                WRITE_AGAIN,
            )
        _check_finite(tensors)
        return cls(
            encoder=encoder,
            preprocessing=content["preprocessing"],
            tensors=tensors,
            metadata=content["metadata"],
            fingerprints=fingerprints,
            digest=found.digest,
        )

    def _parts(
        self,
    ) -> tuple[dict[str, bytes], dict[str, np.ndarray], dict[str, np.ndarray], str]:
        """Check everything and return JSON, tensors, fingerprints and digest. Raises Fault."""
        encoder, needed = check_encoder(self.encoder)
        for name, tensor in self.tensors.items():
            if not isinstance(tensor, np.ndarray) or tensor.dtype.newbyteorder("<") != "<f4":
                kind = getattr(tensor, "dtype", type(tensor).__name__)
                raise Fault(f"{name} must be a float32 array. Got {kind}", "convert it first")
        found = {name: tensor.shape for name, tensor in self.tensors.items()}
        if problems := differences(needed, found, "what is to be written"):
            raise Fault("the tensors do not fit the encoder: " + listing(problems), WRITE_AGAIN)
        tensors = {n: np.ascontiguousarray(self.tensors[n], "<f4") for n in needed}
        _check_finite(tensors)
        content = {
            "encoder": stored_config(encoder),
            "preprocessing": check_preprocessing(self.preprocessing, encoder["input_shape"]),
            "metadata": check_metadata(self.metadata),
        }
        prints: dict[str, np.ndarray] = {}
        if self.fingerprints is not None:
            content["fingerprints"], prints = describe_pool(self.fingerprints, content)
        manifest = [
            {"name": n, "shape": list(tensor.shape), "dtype": "<f4", "sha256": sha256(tensor)}
            for n, tensor in tensors.items()
        ]
        try:
            parts = {"metadata": canonical(content), "manifest": canonical(manifest)}
        except (ValueError, TypeError, RecursionError) as error:
            raise Fault(f"its metadata is not JSON: {short(str(error))}", "mend it") from None
        for name, part in parts.items():
            if len(part) > MAX_JSON_BYTES:
                raise Fault(f"its {name} is larger than {MAX_JSON_BYTES:,} bytes", "shorten it")
            parse_json(part, name)
        return parts, tensors, prints, digest_of(content, manifest)


def assign(tensors: Mapping[str, np.ndarray], variables: Mapping[str, Any]) -> None:
    """Assign every tensor to the variable of the same path, or none at all.

    If an assignment itself fails, those before it are undone.

    Args:
        tensors: path -> float32 array.
        variables: path -> object with ``.shape`` and ``.assign``, such as a Keras variable.

    Raises:
        InputError: lists every missing and unexpected path and every differing shape; nothing was changed.
    """
    needed = {name: tuple(int(n) for n in v.shape) for name, v in variables.items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if problems := differences(needed, found, "the file"):
        raise InputError(
            f"The weights do not fit the encoder, and nothing was changed: {listing(problems)}.",
            hint="Build the encoder from the file's own configuration.",
        )
    before: list[tuple[Any, np.ndarray]] = []
    try:
        for name, variable in variables.items():
            if hasattr(variable, "numpy"):
                before.append((variable, np.array(variable.numpy())))
            variable.assign(tensors[name])
    except BaseException:
        for variable, value in before:
            variable.assign(value)
        raise


def _read_pool(content: Mapping[str, Any], stored: Mapping[str, Any]) -> Fingerprints:
    """Read the arrays, whose description and storage have been checked. Raises Fault."""
    about = content["fingerprints"]
    arrays = {}
    for name, dataset in stored.items():
        arrays[name] = read(dataset, "u1")
        if sha256(arrays[name]) != about[name]["sha256"]:
            raise Fault(f"the sha256 of its fingerprints' {name!r} is another", COPY_AGAIN)
    exact = arrays["exact"].view(">u8")[:, 0]
    if not (exact[1:] > exact[:-1]).all():
        raise Fault("its fingerprints' 'exact' do not rise")
    near = arrays.get("near")
    if near is not None:
        largest = np.abs(near.astype(np.int16) - 128).max(axis=1)
        if not ((near > 0).all() and np.isin(largest, (0, 127)).all()):
            raise Fault("its fingerprints' 'near' has rows that are no signatures")
    return Fingerprints(
        examples=about["examples"],
        dtype=content["preprocessing"]["input_dtype"],
        shape=example_shape(content["encoder"], content["preprocessing"]),
        exact=arrays["exact"],
        near=near,
    )


def _verified(path: Path, digest: str) -> WeightsFile:
    """Read back what was just written. Raises HeadstartError: the fault is the disk's or ours."""
    try:
        weights = WeightsFile.read(path)
    except InputError as error:
        raise HeadstartError(
            f"What was written cannot be read back, so it was removed: {error}"
        ) from None
    if weights.digest != digest:
        raise HeadstartError(
            "What was read back has another digest than was written; it was removed."
        )
    return weights


def _save(path: Path, image: memoryview) -> None:
    with path.open("wb") as file:
        file.write(image)


def _check_finite(tensors: Mapping[str, np.ndarray]) -> None:
    """Raises Fault that lists every tensor with NaN or infinite values."""
    counts = {n: t.size - int(np.isfinite(t).sum()) for n, t in tensors.items()}
    if bad := [f"{count:,} in {name}" for name, count in counts.items() if count]:
        raise Fault(f"values are not finite (NaN or infinite): {listing(bad)}", "train it again")
