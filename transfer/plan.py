"""What is transferred, how, and onto which labels: checked before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from headstart.errors import InputError
from pretrain.encoders import block_names
from pretrain.weights.file import WeightsFile
from tasks.targets import KINDS
from tasks.task import TargetTask
from transfer.architecture import Arrangement
from transfer.data.input_adapter import InputAdapter
from transfer.heads import head_of
from transfer.recipes import TransferRecipe
from transfer.targets import TARGETS


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where the encoder comes from: a weights file, or a fresh one (``tensors`` is None).

    weights: the file itself, which tells what was in the pool (transfer.data.leakage).
    """

    encoder: dict[str, Any]
    preprocessing: dict[str, Any]
    tensors: Mapping[str, np.ndarray] | None = None
    digest: str | None = None
    weights: WeightsFile | None = field(default=None, repr=False, compare=False)

    @classmethod
    def from_weights(cls, weights: WeightsFile) -> Source:
        """Take everything from a weights file that was read."""
        return cls(
            encoder=weights.encoder,
            preprocessing=weights.preprocessing,
            tensors=weights.tensors,
            digest=weights.digest,
            weights=weights,
        )

    def identity(self) -> dict[str, Any]:
        """Return what decides the source's bits."""
        return {
            "encoder": self.encoder,
            "preprocessing": self.preprocessing,
            "fresh": self.tensors is None,
            "digest": self.digest,
        }


@dataclass(frozen=True, kw_only=True)
class TransferConfig:
    """All that decides a transfer, but for the source and the data.

    labels: the label budget; None takes every training example.
    rows: exactly these rows of the training part, in place of a budget that is drawn.
    reuse: how many of the lowest blocks to keep; None keeps all, 0 none (from scratch).
    above, head: what comes above them (transfer.architecture).
    search: choose reuse, above and schedule on validation inside the budget (transfer.selection.search),
        for at most so many seconds; None takes them as they are given.
    """

    recipe: TransferRecipe
    labels: int | None = None
    reuse: int | None = None
    seed: int = 0
    rows: tuple[int, ...] | None = None
    above: str = "reset"
    head: str = "linear"
    search: float | None = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A transfer checked: nothing in it can be refused any more."""

    inputs: InputAdapter
    arrangement: Arrangement
    rows: np.ndarray
    recipe: TransferRecipe

    @classmethod
    def make(cls, task: TargetTask, source: Source, config: TransferConfig) -> Plan:
        """Check everything that can be, without TensorFlow. Raises InputError."""
        arrangement = arranged(source, config.reuse, config.above, config.head)
        search = config.search is not None
        check_trained(arrangement, config.recipe, len(block_names(source.encoder)), search=search)
        _check_target(task, config)
        inputs = InputAdapter.of(task, source.encoder["input_shape"], source.preprocessing)
        labels = len(task.x) if config.labels is None else config.labels
        rows = task.labels(labels, config.seed) if config.rows is None else np.array(config.rows)
        return cls(
            inputs=inputs,
            arrangement=arrangement,
            rows=rows,
            recipe=config.recipe.for_budget(len(rows)),
        )

    def taking(self, found: Mapping[str, Any]) -> Plan:
        """Return the plan with what a search chose, as its JSON says."""
        return replace(
            self,
            arrangement=Arrangement(**found["arrangement"]),
            recipe=TransferRecipe.from_json(found["recipe"]).for_budget(len(self.rows)),
        )


def check_trained(
    arrangement: Arrangement, recipe: TransferRecipe, blocks: int, *, search: bool = False
) -> None:
    """Refuse what would train nothing, or would be passed over. Raises InputError.

    blocks: how many the encoder has. search: arrangement and recipe are where a reuse search begins.
    """
    if search and recipe.validation:
        raise InputError(
            "--reuse auto validates on folds of the labels, and trains its choice on all of them: leave "
            "--validation out."
        )
    if arrangement.reuse == 0 and not recipe.scratch_epochs:
        raise InputError("Nothing would be trained: from scratch, at least one epoch is needed.")
    if arrangement.reuse:
        _check_tuning(arrangement.reuse, recipe, search=search)
    solving = {"--solve": recipe.solve is not None, "--interpolate": recipe.interpolate < 1}
    for option, given in solving.items():
        if given and arrangement.fresh(blocks):
            raise InputError(
                f"{option} finds a last layer on blocks that have learnt already, and with "
                f"{arrangement.told(blocks)} there is something new below it: leave {option} out, or give "
                f"--above drop and --head linear."
            )


def _check_tuning(reuse: int, recipe: TransferRecipe, *, search: bool) -> None:
    """Refuse options of fine-tuning that could not act. Raises InputError."""
    if recipe.unfreeze and recipe.unfreeze > reuse and not search:
        raise InputError(
            f"--unfreeze says how many of the kept blocks are fine-tuned, and {reuse} "
            f"{'is' if reuse == 1 else 'are'} kept. Got {recipe.unfreeze}: give 'all' or at most {reuse}."
        )
    if recipe.epochs and recipe.unfreeze != 0:
        return
    zero = "--unfreeze 0 moves no block" if recipe.epochs else "fine-tuning has no epochs"
    options = {
        "--gradual": recipe.gradual,
        "--lr find": recipe.find,
        "--layer-decay": recipe.layer_decay != 1,
    }
    for option, given in options.items():
        if given:
            raise InputError(
                f"{option} is about fine-tuning, and nothing would be fine-tuned: {zero}. Leave {option} "
                f"out, or give --epochs (and no --unfreeze 0)."
            )


def _check_target(task: TargetTask, config: TransferConfig) -> None:
    """Refuse what only classes have. Raises InputError."""
    target = TARGETS[task.target]
    head_of(config.head).check_target(target.name, task.name)
    if target.exclusive:
        return
    for option, given in (("--reuse auto", config.search), ("--balance", config.recipe.balance)):
        if given:
            raise InputError(
                f"{option} works on classes, and y of {task.name!r} is {KINDS[task.target]}: leave it "
                f"out."
            )


def arranged(
    source: Source, reuse: int | None, above: str = "reset", head: str = "linear"
) -> Arrangement:
    """Return the arrangement; ``reuse`` None keeps all blocks that there are. Raises InputError."""
    if reuse is None:
        reuse = 0 if source.tensors is None else len(block_names(source.encoder))
    arrangement = Arrangement(reuse=reuse, above=above, head=head)
    arrangement.check(source.encoder)
    return arrangement
