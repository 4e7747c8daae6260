"""A trained network as plain data, which can be pickled and rebuilt as Keras models."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from pretrain.engine.runtime import keras_defaults
from pretrain.weights.file import assign
from transfer.architecture import TransferArchitecture
from transfer.data.input_adapter import InputAdapter
from transfer.heads import HEADS
from transfer.model.network import TransferNetwork

_LOCK = threading.RLock()
# Every batch has this size, the last one filled up with zeros, so that an example's outputs do not depend, in
# the last bit, on the rest of the batch.
BATCH = 64


@contextmanager
def engine() -> Iterator[None]:
    """Hold Keras for one thread: fits of one shape share compiled steps and their variables."""
    with _LOCK, keras_defaults():
        yield


@dataclass(frozen=True, kw_only=True, eq=False)
class FrozenNetwork:
    """A network from raw examples (N, *inputs.shape) to outputs (N, K), as configuration and NumPy arrays.

    Attributes:
        encoder: its configuration.
        inputs: the adapter of raw examples.
        architecture: the blocks that are used, what stands above them, and the head.
        tensors: float32 arrays by "block/layer/variable"; those of a head by "head/...".
        outputs: K of the head; None without one.
        head_config: of a solved head, the keywords with which it is built.
    """

    encoder: dict[str, Any]
    inputs: InputAdapter
    architecture: TransferArchitecture
    tensors: Mapping[str, np.ndarray]
    outputs: int | None = None
    head_config: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, inputs: InputAdapter, body: TransferNetwork) -> FrozenNetwork:
        """Copy a trained Keras network, and keep that one for the first use."""
        network = cls(
            encoder=body.config,
            inputs=inputs,
            architecture=body.architecture,
            tensors=body.tensors(),
            outputs=body.outputs,
            head_config=body.head_config,
        )
        _BUILT[network] = _forward(inputs.model(), body)
        return network

    @property
    def logits(self) -> bool:
        """Whether the outputs are logits."""
        return HEADS[self.architecture.head].logits

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return the outputs of ``x`` (N, ...), N >= 1, as (N, K) float32.

        K: the head's outputs, or without one the features; where these are a map (N, H, W, K), their
        mean over H and W.
        """
        parts = []
        with engine():
            forward = _BUILT.get(self)
            if forward is None:
                forward = _BUILT[self] = self._build()
            for i in range(0, len(x), BATCH):
                part = x[i : i + BATCH]
                batch = np.zeros((BATCH, *x.shape[1:]), np.float32)
                batch[: len(part)] = part
                parts.append(np.asarray(forward(batch))[: len(part)])
        outputs = np.concatenate(parts)
        return outputs.mean(axis=tuple(range(1, outputs.ndim - 1))) if outputs.ndim > 2 else outputs

    def _build(self) -> Callable[[np.ndarray], Any]:
        # All that are in use are assigned: those that were kept, and those that were fresh.
        body = TransferNetwork(self.encoder, self.architecture, outputs=self.outputs, seed=None)
        if body.head_row.solved and self.outputs is not None:
            body.put_head(self.head_config)
        assign(self.tensors, body.variables)
        return _forward(self.inputs.model(), body)


_BUILT: WeakKeyDictionary[FrozenNetwork, Callable[[np.ndarray], Any]] = WeakKeyDictionary()


def _forward(front: Any, body: TransferNetwork) -> Callable[[np.ndarray], Any]:
    def forward(batch: np.ndarray) -> Any:
        hidden = front(batch, training=False)
        for _, block in body.blocks:
            hidden = block(hidden, training=False)
        return hidden if body.head is None else body.head(hidden)

    return forward
