"""The candidates of a reuse search: depths, what comes above them, what moves, rates and lengths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pretrain.encoders import block_names, expected_shapes
from transfer.architecture import TransferArchitecture
from transfer.recipes import TransferRecipe

# Of the L2 penalty of a solved head: from strong to weak.
STRENGTHS = (1e-2, 1e-1, 1.0)
RATES = (1 / 3, 3.0)
# How far from the frozen encoder to the fine-tuned one.
SHARES = (0.25, 0.5, 0.75)
# Depths that are tried of an encoder with more blocks than this.
DEPTHS = 5


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One way to reuse the encoder.

    moves: how many weights below the head are trained.
    blocks: how many the encoder has; labels: the budget. Both for the name only.
    """

    architecture: TransferArchitecture
    recipe: TransferRecipe
    moves: int
    blocks: int
    labels: int

    @property
    def cheap(self) -> bool:
        """Say whether the encoder stays as it is, so that its features are computed once."""
        return self.moves == 0 and self.recipe.epochs == 0

    @property
    def line(self) -> Candidate:
        """The candidate at the end of the line on which this one lies: both come of the same training."""
        return replace(self, recipe=replace(self.recipe, interpolate=1.0))

    @property
    def whole(self) -> bool:
        """Say whether it is the whole pretrained encoder, and nothing more."""
        return self.architecture.reuse == self.blocks and self.architecture.above != "add"

    @property
    def name(self) -> str:
        """Architecture and training, in words."""
        return f"{self.architecture.describe(self.blocks)}; {self.summary}"

    @property
    def summary(self) -> str:
        """How it is trained, in words."""
        recipe = self.recipe.for_budget(self.labels)
        if self.architecture.reuse == 0:
            return f"{recipe.scratch_epochs} epochs at {recipe.scratch_learning_rate:.2g}"
        if recipe.solve is not None and not recipe.epochs:
            return f"head only, solved, C {recipe.solve:g}"
        first = f"{recipe.freeze_epochs} frozen epochs"
        if recipe.solve is not None:
            first = f"head solved, C {recipe.solve:g}"
        elif not recipe.freeze_epochs:
            first = "never frozen"
        if not recipe.epochs or recipe.unfreeze == 0:
            return f"head only, {recipe.freeze_epochs} epochs at {recipe.head_learning_rate:.2g}"
        moved = recipe.unfreeze
        what = "all" if moved is None or moved >= self.architecture.reuse else f"top {moved}"
        decay = f", layer decay {recipe.layer_decay:g}" if recipe.layer_decay != 1 else ""
        way = f", {recipe.interpolate:g} of the way" if recipe.interpolate < 1 else ""
        rate = "the rate found" if recipe.find else f"{recipe.learning_rate:.2g}"
        return f"{first}, then {what} {recipe.epochs} epochs at {rate}{decay}{way}"


def candidates(encoder: Mapping[str, Any], recipe: TransferRecipe, labels: int) -> list[Candidate]:
    """Return the candidates for an encoder's configuration and a budget, the plain transfer first.

    recipe: the plain transfer's; it is a candidate itself, and the others change it.
    """
    blocks = block_names(encoder)
    count = len(blocks)
    depths = list(range(1, count + 1))
    if count > DEPTHS:
        depths = sorted({int(k) for k in np.linspace(1, count, DEPTHS).round()})
    sizes = _sizes(encoder)

    def made(reuse: int, above: str = "reset", **changes: Any) -> Candidate:
        own = replace(recipe, validation=0.0, **changes)
        moving = reuse if own.unfreeze is None else min(own.unfreeze, reuse)
        moved = sum(sizes[reuse - moving : reuse]) if own.epochs else 0
        if above == "reset":
            moved += sum(sizes[reuse:])
        elif above == "add":
            moved += sizes[min(reuse, count - 1)]
        architecture = TransferArchitecture(reuse=reuse, above=above)
        if architecture.fresh(count):  # below a head there is nothing to solve it on yet
            own = replace(own, solve=None, interpolate=1.0)
        return Candidate(
            architecture=architecture, recipe=own, moves=moved, blocks=count, labels=labels
        )

    frozen: dict[str, Any] = {"epochs": 0, "interpolate": 1.0}
    frozen["freeze_epochs"] = max(1, recipe.freeze_epochs + recipe.epochs)
    found = [made(count), made(count, **frozen)]
    for depth in depths:
        above = "drop" if depth < count else "reset"
        found += [made(depth, above, solve=c, **frozen) for c in STRENGTHS]
    if recipe.epochs and recipe.unfreeze != 0:
        rate = recipe.learning_rate
        if not recipe.find:
            found += [made(count, learning_rate=r * rate) for r in RATES]
        found += [made(count, interpolate=share) for share in (*SHARES, 1.0)]
        found += [made(count, solve=0.1), made(count, freeze_epochs=0)]
        found += [made(count, unfreeze=n) for n in (1, 2) if n < count]
        found += [made(count, layer_decay=0.5)]
        if count > 1:
            found += [made(count - 1, above) for above in ("drop", "reset", "add")]
        if count > 2:
            found += [made(count - 2, "drop")]
        found += [made(0)]
    # Of a recipe that trains no encoder, the plain transfer is the frozen candidate.
    return list(dict.fromkeys(found))


def fresh_candidates(
    encoder: Mapping[str, Any], recipe: TransferRecipe, labels: int
) -> list[Candidate]:
    """Return the candidates of a network from scratch: rates and lengths, the recipe's own first."""
    plain = Candidate(
        architecture=TransferArchitecture(reuse=0),
        recipe=replace(recipe, validation=0.0),
        moves=sum(_sizes(encoder)),
        blocks=len(block_names(encoder)),
        labels=labels,
    )
    rates = [times * recipe.scratch_learning_rate for times in (1.0, *RATES)]
    lengths = (recipe.scratch_epochs, 2 * recipe.for_budget(labels).scratch_epochs)
    return [
        replace(plain, recipe=replace(plain.recipe, scratch_epochs=n, scratch_learning_rate=rate))
        for n in lengths
        for rate in rates
    ]


def _sizes(encoder: Mapping[str, Any]) -> list[int]:
    """Return the number of weights of each block, lowest first."""
    sizes: dict[str, int] = {}
    for path, shape in expected_shapes(encoder).items():
        block = path.split("/")[0]
        sizes[block] = sizes.get(block, 0) + int(np.prod(shape))
    return list(sizes.values())
