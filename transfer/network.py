"""A trained network as plain data: what is pickled, and from which Keras models are built again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from transfer.inputs import Inputs

if TYPE_CHECKING:
    from pretrain.encoder import Encoder

# Held while Keras computes: fits of one shape share compiled steps, and thereby their variables.
ENGINE = threading.RLock()
# Every batch has this size, the last one filled up with zeros: then an example's outputs do not
# depend, by a last bit, on what else is in the batch.
BATCH = 64


@dataclass(frozen=True, kw_only=True, eq=False)
class Network:
    """Raw examples (N, *inputs.shape) to outputs (N, K): configuration and NumPy arrays alone.

    encoder: the configuration; ``blocks`` says how many of its lowest blocks are used.
    tensors: "block/layer/variable" -> float32 array of these, and those of a linear head, if there
        is one, as "head/kernel" (D, K) and "head/bias" (K,).
    """

    encoder: dict[str, Any]
    inputs: Inputs
    blocks: int
    tensors: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, inputs: Inputs, encoder: Encoder, head: Any = None) -> Network:
        """Take a copy of a trained encoder and head (Keras), and keep these for the first use."""
        tensors = encoder.tensors()
        if head is not None:
            tensors |= {
                f"head/{weight.name}": np.array(weight.numpy(), np.float32)
                for weight in head.weights
            }
        blocks = [block for _, block in encoder.blocks]
        network = cls(encoder=encoder.config, inputs=inputs, blocks=len(blocks), tensors=tensors)
        _BUILT[network] = _forward(inputs.model(), blocks, head)
        return network

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return the outputs of ``x`` (N, ...), N >= 1, as (N, K) float32.

        K: the head's outputs, or without one the features; where these are a map (N, H, W, K), their
        mean over H and W.
        """
        parts = []
        with ENGINE:
            forward = _BUILT.get(self)
            if forward is None:
                forward = _BUILT[self] = self._build()
            for i in range(0, len(x), BATCH):
                here = x[i : i + BATCH]
                batch = np.zeros((BATCH, *x.shape[1:]), np.float32)
                batch[: len(here)] = here
                parts.append(np.asarray(forward(batch))[: len(here)])
        outputs = np.concatenate(parts)
        return outputs.mean(axis=tuple(range(1, outputs.ndim - 1))) if outputs.ndim > 2 else outputs

    def _build(self) -> Callable[[np.ndarray], Any]:
        from pretrain.runtime import start

        start()
        import keras

        from pretrain.encoder import Encoder
        from pretrain.weights import assign
        from transfer.fit import assign_lowest

        encoder = Encoder(self.encoder, seed=None)
        assign_lowest(encoder, self.tensors, self.blocks)
        head = None
        if "head/kernel" in self.tensors:
            inner, outputs = self.tensors["head/kernel"].shape
            head = keras.layers.Dense(outputs, name="head")
            head.build((None, inner))
            given = {f"head/{weight.name}": weight for weight in head.weights}
            assign({name: self.tensors[name] for name in given}, given)
        blocks = [block for _, block in encoder.blocks[: self.blocks]]
        return _forward(self.inputs.model(), blocks, head)


_BUILT: WeakKeyDictionary[Network, Callable[[np.ndarray], Any]] = WeakKeyDictionary()


def _forward(front: Any, blocks: list[Any], head: Any) -> Callable[[np.ndarray], Any]:
    def forward(batch: np.ndarray) -> Any:
        hidden = front(batch, training=False)
        for block in blocks:
            hidden = block(hidden, training=False)
        return hidden if head is None else head(hidden)

    return forward
