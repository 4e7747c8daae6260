"""What a transferred network is made of: which blocks are kept, what comes above them, which head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pretrain.encoders import block_names
from tasks.errors import InputError, suggest

ABOVE = {
    "reset": "the other blocks, drawn anew",
    "drop": "nothing",
    "add": "one fresh block in their place",
}
HEADS = {
    "linear": "one layer",
    "hidden": "a hidden layer of 128 ReLUs, then one layer",
}


@dataclass(frozen=True, kw_only=True)
class Arrangement:
    """The parts of a network, lowest first: kept blocks, what is above them, head.

    reuse: how many of the encoder's lowest blocks are kept.
    above: a name in ABOVE. With "drop" and "add", feature maps (H, W, C) are averaged down to at most
        4 by 4 positions and flattened for the head.
    head: a name in HEADS.
    """

    reuse: int
    above: str = "reset"
    head: str = "linear"

    def check(self, encoder: Mapping[str, Any]) -> None:
        """Raise InputError when no network can be made so of an encoder with this configuration."""
        blocks = block_names(encoder)
        if not 0 <= self.reuse <= len(blocks):
            raise InputError(
                f"--reuse must be 'auto', 'all' or 0 to {len(blocks)}, the number of the encoder's "
                f"blocks ({', '.join(blocks)}). Got {self.reuse}."
            )
        for option, value, table in (("above", self.above, ABOVE), ("head", self.head, HEADS)):
            if value not in table:
                raise InputError(
                    f"--{option} must be one of {', '.join(table)}. "
                    f"Got {value!r}.{suggest(value, table)}"
                )
        if self.reuse == 0 and self.above != "reset":
            raise InputError(
                f"--above {self.above} needs at least one block to stand on, and --reuse 0 keeps "
                f"none. Leave --above out to train the whole encoder from scratch."
            )

    def told(self, blocks: int) -> str:
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
        return text + (", hidden layer" if self.head == "hidden" else "")
