"""The base of the scikit-learn estimators that learn from y: their arguments and ``fit``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import _check_sample_weight, validate_data

from headstart.errors import InputError, arg
from pretrain.engine.session import Session
from transfer.architecture import architecture_of
from transfer.config import SEARCH_SECONDS, TransferConfig
from transfer.encoder_source import EncoderSource
from transfer.estimators._base import (
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
from transfer.training.fit import FitPlan

if TYPE_CHECKING:
    from transfer.recipes import TransferRecipe
    from transfer.targets.base import Target


class BaseTransferEstimator(BaseEncoderEstimator):
    """An encoder and a head; the subclasses decide the kind of y."""

    recipe: str
    head: str
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
            config = self._config()
            recipe, file = self._recipe(config), self._begin()
            self._check_encoder(file, config)
            X, given = flat(X)
            y, checks = self._target(y)
            X, y = validate_data(self, X, y, dtype=self._dtype, **checks)
            weights, some = None, np.arange(len(X))
            if sample_weight is not None:
                if config.search:
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
            source, inputs = self._match(X, given, file, small_source)
            kept = None if file is None else config.kept_blocks
            above = config.above or usual_above(self.head, kept)
            plan = FitPlan(
                source=source,
                inputs=inputs,
                architecture=architecture_of(source, kept, above, self.head),
                recipe=recipe,
                target=target,
                seed=self._seed(),
            )
            self._check_target(target, config)
            plan.check(search=config.search)
            x = self.examples_(X)
            with engine():
                session = Session(reporter=self._reporter()).sharing(programs()).start()
                from transfer.selection.search import search
                from transfer.training.fit import fit

                found = None
                if config.search:
                    seconds = config.search_seconds or SEARCH_SECONDS
                    found = search(x, y, plan, session, seconds=seconds).to_json()
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

    def _recipe(self, config: TransferConfig) -> TransferRecipe:
        if not isinstance(self.recipe, str):
            raise InputError("must be the name of a recipe", argument="recipe", value=self.recipe)
        named = ["recipe"] if self.recipe != "default" else []
        head_of(self.head).check_options([*config.training, *named])
        return named_recipe(self.recipe, config.training)

    def _check_encoder(self, file: EncoderSource | None, config: TransferConfig) -> None:
        """Refuse, without an encoder, what one is needed for. Raises InputError."""
        needs = {
            "reuse": config.search and "searches how to reuse a pretrained encoder",
            "head": head_of(self.head).solved and "stands on features that were learnt before",
        }
        for name, rule in needs.items():
            if rule and file is None:
                hint = f"Give {arg.weights}."
                raise InputError(rule, argument=name, value=getattr(self, name), hint=hint)

    def _check_target(self, target: Target, config: TransferConfig) -> None:
        """Refuse what another kind of y would need. Raises InputError."""
        head_of(self.head).check_target(target.name, "y")
        if config.search and not target.exclusive:
            raise InputError(
                "works on one class an example only",
                argument="reuse",
                value=self.reuse,
                hint="Leave it out.",
            )
