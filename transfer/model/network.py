"""A transferred network in Keras: kept blocks, fresh blocks and the head, built by an architecture."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from headstart.lazy import keras
from pretrain.encoders.base import by_path
from pretrain.encoders.encoder import Encoder, copies, seeded, stream
from pretrain.weights.file import assign
from transfer.architecture import TransferArchitecture
from transfer.heads import HEADS
from transfer.heads.hidden import dense_block

HEAD_STREAM = 1
# Side of the largest map that a head is given: more positions are more weights than few labels can fit.
NECK = 4


class TransferNetwork:
    """Everything between the prepared examples and the head's last layer, and that layer.

    Attributes:
        kept, fresh: [(name, keras.Model)], lowest first; ``blocks`` is both.
        model: the blocks in a row, examples (B, ...) float32 to features (B, D).
        head: a Keras layer or model, features to outputs (B, K); a solved one is None before ``put_head``.
            None when ``outputs`` is None, and feature maps are then left as they are.
        outputs: K, or None.
        head_config: what ``Head.build`` needs beside the sizes; of a solved head once there is one.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        architecture: TransferArchitecture,
        *,
        outputs: int | None,
        seed: int | None,
        tensors: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        """Build with initial weights that are a function of ``seed``, and the kept ones of ``tensors``."""
        encoder = Encoder(config, seed)
        self.config, self.row, self.architecture = encoder.config, encoder.row, architecture
        self.outputs, self.head_row = outputs, HEADS[architecture.head]
        self.head_config: dict[str, Any] = {}
        count = architecture.reuse
        if tensors is not None:
            names = {name for name, _ in encoder.blocks[:count]}
            known = {p: t for p, t in tensors.items() if p.split("/")[0] in names}
            assign(known, {p: v for p, v in encoder.variables.items() if p.split("/")[0] in names})
        self.kept, self.fresh = encoder.blocks[:count], encoder.blocks[count:]
        # Not the seed itself: the new head is to be independent of the one that a supervised pretraining
        # with the same seed drew from the same place of the same stream.
        drawn = stream(seed or 0, HEAD_STREAM)
        with seeded(drawn):
            if architecture.above != "reset":
                self.fresh = _fresh(self.kept[-1][1].output_shape[1:], architecture, outputs)
            shape = self.blocks[-1][1].output_shape[1:]
            if outputs is not None:
                self.fresh = [*self.fresh, *self.head_row.blocks(shape)]
            inputs = hidden = keras.Input(tuple(config["input_shape"]), name="examples")
            for _, block in self.blocks:
                hidden = block(hidden)
            self.model = keras.Model(inputs, hidden, name="encoder")
        self.head: Any = None
        if outputs is not None and not self.head_row.solved:
            with seeded(drawn):
                self.head = self.head_row.build(self.feature_size, outputs)
        self._initial = self.values()

    def restore(self) -> None:
        """Put every weight back to what it was when this was built."""
        if self.head_row.solved:
            self.head, self.head_config = None, {}
        self.put(self._initial)

    def values(self) -> list[np.ndarray]:
        """Return a copy of every weight and of all other state, in one order."""
        return [variable.numpy() for variable in self._all()]

    def put(self, values: Sequence[np.ndarray]) -> None:
        """Take what ``values`` returned, or others of the same shapes."""
        for variable, value in zip(self._all(), values, strict=True):
            variable.assign(value)

    def put_head(
        self, config: Mapping[str, Any], weights: Sequence[np.ndarray] | None = None
    ) -> None:
        """Make a solved head (transfer.heads.base.Solution); None leaves its weights to be set."""
        assert self.outputs is not None
        self.head_config = dict(config)
        self.head = self.head_row.build(self.feature_size, self.outputs, **config)
        if weights is not None:
            self.head.set_weights(list(weights))

    def _all(self) -> list[Any]:
        return [*self.model.variables, *([] if self.head is None else self.head.variables)]

    @property
    def blocks(self) -> list[tuple[str, Any]]:
        """All blocks, lowest first."""
        return [*self.kept, *self.fresh]

    @property
    def feature_size(self) -> int:
        """D, what the head is given."""
        return int(self.model.output_shape[-1])

    @property
    def variables(self) -> dict[str, Any]:
        """Every weight by its "block/layer/variable" path, the head's as "head/kernel"."""
        found = by_path(self.blocks)
        if self.head is not None:
            found |= {f"head/{weight.name}": weight for weight in self.head.weights}
        return found

    def tensors(self) -> dict[str, np.ndarray]:
        """Return a copy of every weight as float32, by path."""
        return copies(self.variables)

    def digest(self) -> str:
        """Return the sha256 (hex) over names, shapes and bytes of all float32 weights."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.tensors().items()):
            digest.update(json.dumps([name, list(tensor.shape)]).encode())
            digest.update(np.ascontiguousarray(tensor, "<f4").tobytes())
        return digest.hexdigest()


def _fresh(
    shape: tuple[int, ...], architecture: TransferArchitecture, outputs: int | None
) -> list[tuple[str, Any]]:
    """Return what is above kept blocks of output ``shape``, in place of the encoder's own blocks."""
    blocks = []
    if architecture.above == "add" and len(shape) == 3:
        inputs = keras.Input(shape)
        how = {"padding": "same", "activation": "relu", "kernel_initializer": "he_normal"}
        conv = keras.layers.Conv2D(shape[-1], 3, **how, name="conv")
        blocks.append(("added", keras.Model(inputs, conv(inputs), name="added")))
    elif architecture.above == "add":
        blocks.append(dense_block("added", shape, int(shape[-1])))
    if len(shape) == 3 and outputs is not None:
        inputs = hidden = keras.Input(shape)
        pool = tuple(math.ceil(side / NECK) for side in shape[:2])
        if pool != (1, 1):
            hidden = keras.layers.AveragePooling2D(pool, padding="same", name="pool")(hidden)
        hidden = keras.layers.Flatten(name="flatten")(hidden)
        blocks.append(("neck", keras.Model(inputs, hidden, name="neck")))
    return blocks
