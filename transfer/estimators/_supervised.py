"""The base of the scikit-learn estimators that learn from y: their arguments and ``fit``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import _check_sample_weight, validate_data

from headstart.errors import InputError, arg
from pretrain.engine.session import Session
from transfer.architecture import architecture_of
from transfer.config import SEARCH_SECONDS
from transfer.encoder_source import EncoderSource
from transfer.estimators._base import (
    RULES,
    BaseEncoderEstimator,
    as_python,
    programs,
    set_arguments,
)
from transfer.estimators._network import FrozenNetwork, engine
from transfer.estimators._scratch import small_source
from transfer.estimators._validation import flat
from transfer.heads import head_of, usual_above
from transfer.recipes import recipe as named_recipe
from transfer.training.fit_plan import FitPlan

if TYPE_CHECKING:
    from transfer.recipes import TransferRecipe
    from transfer.targets.base import Target

# Arguments that the search chooses itself.
SEARCHED = {"above": None, "head": "linear"}


class BaseTransferEstimator(BaseEncoderEstimator):
    """An encoder and a head; the subclasses decide the kind of y."""

    recipe: str
    above: str | None
    head: str
    balance: bool
    search_seconds: float | None
    _fitted_target: Target

    def __init__(
        self,
        weights: Any = None,
        *,
        recipe: str = "default",
        reuse: int | str | None = None,
        above: str | None = None,
        head: str = "linear",
        epochs: int | None = None,
        freeze_epochs: int | None = None,
        learning_rate: float | None = None,
        head_learning_rate: float | None = None,
        batch_size: int | None = None,
        unfreeze: int | str | None = None,
        layer_decay: float | None = None,
        gradual: bool = False,
        solve: float | None = None,
        interpolate: float | None = None,
        balance: bool = False,
        search_seconds: float | None = None,
        value_range: tuple[float, float] | None = None,
        random_state: Any = 0,
        verbose: bool = False,
    ) -> None:
        set_arguments(self, locals())

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Train on X (N, ...) and y (N,), each example counting by its weight (N,). Returns self."""
        with as_python():
            recipe, auto = self._recipe(), isinstance(self.reuse, str) and self.reuse == "auto"
            seconds = self._settings("search_seconds")
            reuse, file = None if auto else self._reuse(), self._begin()
            self._check_fits(file, auto)
            X, given = flat(X)
            y, checks = self._target(y)
            X, y = validate_data(self, X, y, dtype=self._dtype, **checks)
            weights, some = None, np.arange(len(X))
            if sample_weight is not None:
                if auto:
                    raise InputError(
                        f"is not used by {arg.reuse:auto}",
                        argument="sample_weight",
                        hint="Leave one of them out.",
                    )
                weights = _check_sample_weight(
                    sample_weight, X, dtype=np.float64, ensure_non_negative=True
                )
                # An example without weight is left out.
                some = np.flatnonzero(weights)
                X, weights = X[some], weights[some]
            y, target = self._encode(y, some)
            self._check_kind(target, auto)
            source, inputs = self._match(X, given, file, small_source)
            x = self.examples_(X)
            kept = None if file is None else reuse
            plan = FitPlan(
                source=source,
                inputs=inputs,
                architecture=architecture_of(source, kept, self._above(kept), self.head),
                recipe=recipe,
                target=target,
                seed=self._seed(),
            )
            plan.check(search=auto)
            with engine():
                session = Session(reporter=self._reporter()).sharing(programs()).start()
                from transfer.training.fit import fit

                found = None
                if auto:
                    found = self._search(x, y, plan, session, **seconds)
                    plan = plan.with_search_result(found)
                fitted = fit(x, y, plan, session, weights=weights)
                network = FrozenNetwork.of(inputs, fitted.network)
            self.history_, self.search_ = fitted.run.history, found
            self.head_choice_, self._fitted_target = fitted.choice, target
            self.network_ = network
        return self

    def _target(self, y: Any) -> tuple[Any, Mapping[str, Any]]:
        """Return y, and the keywords with which scikit-learn checks it."""
        raise NotImplementedError

    def _encode(self, y: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, Target]:
        """Return y at ``rows``, encoded for training, and the target learnt from these alone."""
        raise NotImplementedError

    def _recipe(self) -> TransferRecipe:
        if not isinstance(self.recipe, str):
            raise InputError("must be the name of a recipe", argument="recipe", value=self.recipe)
        names = [name for name in RULES if name != "search_seconds"]
        # Flags that are off, and "all", change nothing in a recipe.
        given = {n: v for n, v in self._settings(*names).items() if v is not False and v != "all"}
        head_of(self.head).check_options(
            [*given, *(["recipe"] if self.recipe != "default" else [])]
        )
        return named_recipe(self.recipe, given)

    def _above(self, reuse: int | None) -> str:
        if self.above is not None:
            return self.above
        return usual_above(self.head, reuse)

    def _check_fits(self, file: EncoderSource | None, auto: bool) -> None:
        """Refuse arguments that contradict each other. Raises InputError."""
        if not auto and self.search_seconds is not None:
            raise InputError(
                f"bounds the search of {arg.reuse:auto}",
                argument="search_seconds",
                value=self.search_seconds,
                hint="Add that.",
            )
        if file is None and auto:
            raise InputError(
                "searches how to reuse a pretrained encoder, and there is none",
                argument="reuse",
                value="auto",
                hint=f"Give {arg.weights}.",
            )
        if file is None and head_of(self.head).solved:
            raise InputError(
                "stands on features that were learnt before",
                argument="head",
                value=self.head,
                hint=f"Give {arg.weights}.",
            )
        for name, usual in SEARCHED.items() if auto else ():
            if getattr(self, name) != usual:
                raise InputError(
                    f"is what {arg.reuse:auto} chooses",
                    argument=name,
                    value=getattr(self, name),
                    hint="Leave one of them out.",
                )

    def _check_kind(self, target: Target, auto: bool) -> None:
        head_of(self.head).check_target(target.name, "y")
        for name, given in (("reuse", auto), ("balance", self.balance)):
            if given and not target.exclusive:
                raise InputError(
                    "works on one class an example only",
                    argument=name,
                    value=getattr(self, name),
                    hint="Leave it out.",
                )

    def _search(
        self,
        x: np.ndarray,
        y: np.ndarray,
        plan: FitPlan,
        session: Session,
        *,
        search_seconds: float = SEARCH_SECONDS,
    ) -> dict[str, Any]:
        from transfer.selection.search import search

        return search(x, y, plan, session, seconds=search_seconds).to_json()
