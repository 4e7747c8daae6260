"""What a transferred network is made of: which blocks are kept, what comes above them, which head."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from headstart.errors import InputError, suggest
from pretrain.encoders import block_names

ABOVE = {
    "reset": "the other blocks, drawn anew",
    "drop": "nothing",
    "add": "one fresh block in their place",
}
HEADS = {
    "linear": "one layer",
    "hidden": "a hidden layer of 128 ReLUs, then one layer",
    "logistic": "a logistic regression (of numbers, a ridge regression) on frozen features",
    "knn": "the nearest neighbours on frozen features",
}
# Solved, not trained: nothing below them moves.
FROZEN_HEADS = ("logistic", "knn")


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
        if self.head in FROZEN_HEADS and self.reuse == 0:
            raise InputError(
                f"--head {self.head} stands on frozen features, and --reuse 0 keeps no block that has "
                f"learnt any. Give --reuse all or 1 to {len(blocks)}."
            )
        if self.head in FROZEN_HEADS and self.reuse < len(blocks) and self.above != "drop":
            raise InputError(
                f"--head {self.head} trains no block, so fresh ones above the kept would stay random: "
                f"with --reuse {self.reuse} give --above drop."
            )
        if self.reuse == 0 and self.above != "reset":
            raise InputError(
                f"--above {self.above} needs at least one block to stand on, and --reuse 0 keeps "
                f"none. Leave --above out to train the whole encoder from scratch."
            )

    def fresh(self, blocks: int) -> bool:
        """Whether something below the last layer is new, of an encoder of ``blocks`` blocks."""
        reset = self.above == "reset" and self.reuse < blocks
        return reset or self.above == "add" or self.head == "hidden"

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
        heads = {
            "hidden": ", hidden layer",
            "logistic": ", logistic regression",
            "knn": ", nearest neighbours",
        }
        return text + heads.get(self.head, "")


def check_unused(head: str, options: Iterable[str]) -> None:
    """Raise InputError when ``head`` trains nothing, and ``options`` (a recipe's fields) are given."""
    kept = {"balance"} if head == "logistic" else set()
    unused = [f"--{name.replace('_', '-')}" for name in options if name not in kept]
    if head in FROZEN_HEADS and unused:
        one = len(unused) == 1
        raise InputError(
            f"--head {head} is solved on frozen features and trains nothing, so {', '.join(unused)} "
            f"{'changes' if one else 'change'} nothing: leave {'it' if one else 'them'} out, or take "
            f"--head linear."
        )
