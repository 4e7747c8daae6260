"""The parts of a transferred network: the kept blocks, those above them, the head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headstart.errors import InputError, arg, check_known
from pretrain.encoders import block_names
from transfer.encoder_source import EncoderSource
from transfer.heads import head_of

ABOVE = {
    "reset": "the other blocks, drawn anew",
    "drop": "nothing",
    "add": "one fresh block in their place",
}


@dataclass(frozen=True, kw_only=True)
class TransferArchitecture:
    """The parts of a network, lowest first: kept blocks, what is above them, head.

    reuse: how many of the encoder's lowest blocks are kept.
    above: a name in ABOVE. With "drop" and "add", feature maps (H, W, C) are averaged down to at most
        4 by 4 positions and flattened for the head.
    head: a name in transfer.heads.HEADS.
    """

    reuse: int
    above: str = "reset"
    head: str = "linear"

    def check(self, encoder: Mapping[str, Any]) -> None:
        """Raise InputError when no network can be made so of an encoder with this configuration."""
        blocks = block_names(encoder)
        if not 0 <= self.reuse <= len(blocks):
            raise InputError(
                f"must be 'auto', 'all' or 0 to {len(blocks)}, the number of the encoder's blocks "
                f"({', '.join(blocks)})",
                argument="reuse",
                value=self.reuse,
            )
        check_known(self.above, ABOVE, "above")
        if head_of(self.head).solved and self.reuse == 0:
            raise InputError(
                f"stands on frozen features, and {arg.reuse:0} keeps no block that has learnt any",
                argument="head",
                value=self.head,
                hint=f"Give {arg.reuse:all} or 1 to {len(blocks)}.",
            )
        if head_of(self.head).solved and self.reuse < len(blocks) and self.above != "drop":
            rule = f"trains no block, so fresh ones above the {self.reuse} that are kept would stay random"
            raise InputError(rule, argument="head", value=self.head, hint=f"Give {arg.above:drop}.")
        if self.reuse == 0 and self.above != "reset":
            rule = f"needs at least one block to stand on, and {arg.reuse:0} keeps none"
            hint = f"Leave {arg.above} out to train the whole encoder from scratch."
            raise InputError(rule, argument="above", value=self.above, hint=hint)

    def fresh(self, blocks: int) -> bool:
        """Whether something below the last layer is new, of an encoder of ``blocks`` blocks."""
        reset = self.above == "reset" and self.reuse < blocks
        return reset or self.above == "add" or head_of(self.head).adds_layers

    def describe(self, blocks: int) -> str:
        """Return in words what is kept of an encoder of ``blocks`` blocks."""
        if self.reuse == 0:
            text = "from scratch"
        elif self.reuse == blocks and self.above != "add":
            text = f"all {blocks} blocks"
        else:
            text = f"lowest {self.reuse} of {blocks} blocks, "
            text += {"reset": "others reset", "drop": "others dropped", "add": "one added"}[
                self.above
            ]
        return text + head_of(self.head).words


def architecture_of(
    source: EncoderSource, reuse: int | None, above: str = "reset", head: str = "linear"
) -> TransferArchitecture:
    """Return the architecture; ``reuse`` None keeps all blocks that there are. Raises InputError."""
    if reuse is None:
        reuse = 0 if source.tensors is None else len(block_names(source.encoder))
    architecture = TransferArchitecture(reuse=reuse, above=above, head=head)
    architecture.check(source.encoder)
    return architecture
