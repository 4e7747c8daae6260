"""The interface of a head: what stands between an encoder's features and the target's last layer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from headstart.errors import InputError, arg
from headstart.lazy import keras
from tasks.splits import generator

if TYPE_CHECKING:
    from transfer.targets.base import Target

Said = Mapping[float, np.ndarray]
"""A value of the head's parameter -> ``Target.probabilities`` (M, K) of M examples."""
# More labels than this do not change the choice of a parameter, and are left out of it.
MAX_LABELS = 5000
# Fewer than this cannot be divided.
MIN_LABELS = 4


class Head:
    """A head that is trained by gradient steps; a row of the table. Subclass ``SolvedHead`` for the others.

    Class attributes:
        name: as in ``head="linear"`` and in files.
        summary: the head in a few words, for lists.
        words: what follows in the description of a network: ", hidden layer".
        solved: whether it is solved on frozen features, so that nothing below it moves.
        adds_layers: whether ``blocks`` has any, so that something below the last layer is new.
        logits: whether its outputs are logits; False: probabilities, or numbers.
        targets: names of the targets that it can learn; empty: all.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    words: ClassVar[str] = ""
    solved: ClassVar[bool] = False
    adds_layers: ClassVar[bool] = False
    logits: ClassVar[bool] = True
    targets: ClassVar[tuple[str, ...]] = ()

    def blocks(self, shape: tuple[int, ...]) -> list[tuple[str, Any]]:
        """Return [(name, keras.Model)] that are trained with the head, below it.

        shape: of the features of one example.
        """
        return []

    def build(self, features: int, outputs: int, **config: Any) -> Any:
        """Return a Keras layer or model called "head": features (B, D) to outputs (B, outputs).

        config: of a solved head, what ``Solution.config`` says.
        """
        layer = keras.layers.Dense(outputs, name="head")
        layer.build((None, features))
        return layer

    def check_target(self, target: str, data: str) -> None:
        """Raise InputError when this head cannot learn a target; data: the name of the data set."""
        if self.targets and target not in self.targets:
            rule = f"learns {' or '.join(self.targets)}, and y of {data!r} is {target}"
            hint = f"Give {arg.head:linear}."
            raise InputError(rule, argument="head", value=self.name, hint=hint)

    def check_options(self, names: Iterable[str]) -> None:
        """Raise InputError when fields of a recipe are given that change nothing for this head."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Labelled:
    """The labelled examples that a head is solved on.

    features: float32 (N, D).
    y: as ``target`` encodes it.
    weights: float32 (N,), how much each example counts, or None.
    """

    features: np.ndarray
    y: np.ndarray
    target: Target
    weights: np.ndarray | None = None

    def take(self, rows: np.ndarray) -> Labelled:
        """Return some of the examples, int (M,)."""
        weights = None if self.weights is None else self.weights[rows]
        return replace(self, features=self.features[rows], y=self.y[rows], weights=weights)


@dataclass(frozen=True, kw_only=True)
class Solution:
    """A solved head.

    weights: of the model that ``build`` returns, in its order.
    config: the keywords of ``build`` that the examples decided.
    choice: the parameter's value and the table it was chosen from, as JSON; None of a head without one.
    """

    weights: Sequence[np.ndarray]
    config: Mapping[str, Any] = field(default_factory=dict)
    choice: dict[str, Any] | None = None


class SolvedHead(Head):
    """A head that is solved on frozen features; its one parameter is chosen by cross-validation.

    Class attributes:
        parameter: what the parameter is called in results; "" for a head without one.
        values: of the parameter, those that are tried.
        unchosen: its value where the labels are too few to divide.
        about: further entries of the choice's JSON.
        heeds: fields of a recipe that it follows; all others are about training, and refused.
    """

    solved = True
    parameter: ClassVar[str] = ""
    values: ClassVar[Sequence[float]] = ()
    unchosen: ClassVar[float] = 1.0
    about: ClassVar[Mapping[str, Any]] = {}
    heeds: ClassVar[frozenset[str]] = frozenset()

    def solution(self, labelled: Labelled, value: float) -> Solution:
        """Return the head for these examples, at a value of the parameter."""
        raise NotImplementedError

    def trial(self, labelled: Labelled, new: np.ndarray) -> Said:
        """Return, for every value of the parameter, what the head then says of new features (M, D).

        Here the head is kernel and bias; one of another form overrides this.
        """
        said = {}
        for value in self.values:
            kernel, bias = self.solution(labelled, value).weights
            said[value] = labelled.target.probabilities(new @ kernel + bias)
        return said

    def rank(self, means: Mapping[str, float]) -> tuple[float, ...]:
        """Return what is lowest for the best value, of the means of ``Target.judge``."""
        return (means["loss"] if "loss" in means else means["mean_squared_error"],)

    def solve(self, labelled: Labelled, seed: int) -> Solution:
        """Return the head for these examples, its parameter chosen on folds that are drawn by ``seed``."""
        if not self.parameter:
            return self.solution(labelled, self.unchosen)
        choice = self._choose(labelled, seed)
        return replace(self.solution(labelled, choice[self.parameter]), choice=choice)

    def _choose(self, labelled: Labelled, seed: int) -> dict[str, Any]:
        """Return as JSON the value that validates best, and the table of all that were tried."""
        name, target = self.parameter, labelled.target
        unchosen = {name: self.unchosen, "folds": 0, "examples": 0, "tried": [], **self.about}
        count = len(labelled.y)
        if count < MIN_LABELS:
            return unchosen
        rows = np.sort(generator(seed).permutation(count)[:MAX_LABELS])
        labelled = labelled.take(rows)
        y, parts = labelled.y, target.folds(labelled.y, seed)
        # The only example of a class is trained on, and not judged.
        judged = np.sort(np.concatenate([held for _, held in parts])) if parts else rows[:0]
        if len(judged) < MIN_LABELS:
            return unchosen
        seen: dict[float, dict[str, np.ndarray]] = {}
        for train, held in parts:
            trial = self.trial(labelled.take(train), labelled.features[held])
            for value, said in trial.items():
                for measure, each in target.judge(said, y[held]).items():
                    kept = seen.setdefault(value, {}).setdefault(measure, np.full(len(y), np.nan))
                    kept[held] = each
        weights = None if labelled.weights is None else labelled.weights[judged]
        # A k that the smallest fold did not have was not tried on all.
        means = {
            value: {m: float(np.average(e[judged], weights=weights)) for m, e in measures.items()}
            for value, measures in seen.items()
            if not any(np.isnan(e[judged]).any() for e in measures.values())
        }
        return {
            name: min(means, key=lambda value: self.rank(means[value])),
            "folds": len(parts),
            "examples": len(judged),
            "tried": [{name: value, **measures} for value, measures in means.items()],
            **self.about,
        }

    def check_options(self, names: Iterable[str]) -> None:
        """Refuse fields of a recipe that are about training."""
        unused = [name for name in names if name not in self.heeds]
        if unused:
            rest = ", ".join(str(arg[name]) for name in unused[1:])
            raise InputError(
                f"changes nothing{f' (nor does {rest})' if rest else ''}: "
                f"{format(arg.head, self.name)} is solved on frozen features and trains nothing",
                argument=unused[0],
                hint=f"Leave {'it' if not rest else 'them'} out, or give {arg.head:linear}.",
            )
