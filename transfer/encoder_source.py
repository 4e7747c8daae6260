"""Where a transfer's encoder comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pretrain.weights.file import WeightsFile


@dataclass(frozen=True, kw_only=True)
class EncoderSource:
    """An encoder: a weights file's, or a fresh one.

    Attributes:
        encoder: its configuration.
        preprocessing: the way from raw examples to what it saw in pretraining.
        tensors: its weights by path; None for a fresh one.
        digest: of the weights file.
        weights: the file itself, in which a plan looks up whether the pretraining saw the test examples;
            None: nobody looks.
        name: the file's name, for messages and results.
    """

    encoder: dict[str, Any]
    preprocessing: dict[str, Any]
    tensors: Mapping[str, np.ndarray] | None = None
    digest: str | None = None
    weights: WeightsFile | None = field(default=None, repr=False, compare=False)
    name: str | None = field(default=None, compare=False)

    @classmethod
    def from_weights(
        cls, weights: WeightsFile, name: str | None = None, *, check_leakage: bool = True
    ) -> EncoderSource:
        """Take everything from a weights file that was read.

        check_leakage: False if the caller has kept the test examples out of the pretraining himself.
        """
        return cls(
            encoder=weights.encoder,
            preprocessing=weights.preprocessing,
            tensors=weights.tensors,
            digest=weights.digest,
            weights=weights if check_leakage else None,
            name=name,
        )

    def identity(self) -> dict[str, Any]:
        """Return what decides the source's bits."""
        return {
            "encoder": self.encoder,
            "preprocessing": self.preprocessing,
            "fresh": self.tensors is None,
            "digest": self.digest,
        }
