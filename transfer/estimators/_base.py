"""The bases of the scikit-learn estimators: arguments, examples, the seed, errors, and training from y."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from headstart.errors import InputError, Interrupted, arg, worded
from pretrain.encoders import encoder_config
from pretrain.engine.program import Programs
from pretrain.engine.progress import LineReporter, Reporter
from pretrain.engine.session import Session
from pretrain.keras_import.source import read_source
from pretrain.weights.file import WeightsFile
from transfer.config import MAX_SEED, SEARCH_SECONDS, TransferConfig
from transfer.data.input_adapter import InputAdapter
from transfer.encoder_source import EncoderSource
from transfer.estimators._network import FrozenNetwork, engine
from transfer.heads import head_of
from transfer.numerics import mean_and_spread
from transfer.training.fit import FitPlan

if TYPE_CHECKING:
    from transfer.targets.base import Target

# A program keeps the data that it was compiled with, so not as many as a benchmark keeps.
MAX_PROGRAMS = 16
# Images whose values span a smaller part of the expected range than this were scaled differently.
MIN_SPAN = 0.02
# Of the encoder of an estimator without a pretrained one: examples are standardised before it.
PREPROCESSING = {"input_dtype": "float32", "value_range": [0, 1], "scale": [1], "offset": [0]}


def flat(X: Any) -> tuple[Any, tuple[int, ...] | None]:
    """Return an array X (N, H, W[, C]) as (N, features), and the shape of one example.

    Anything else, such as a table, is returned as it is, with None.
    """
    if getattr(X, "ndim", 2) <= 2:
        return X, None
    X = np.asarray(X)
    shape = X.shape[1:]
    return X.reshape(len(X), math.prod(shape)), shape


@dataclass(frozen=True, kw_only=True, eq=False)
class Examples:
    """The way of a checked X (N, features) to raw examples (N, *shape) float32.

    Attributes:
        shape: of one raw example.
        center, spread: float64 (features,), mean and standard deviation; None with a pretrained encoder,
            whose own preprocessing comes later.
    """

    shape: tuple[int, ...]
    center: np.ndarray | None = None
    spread: np.ndarray | None = None

    @classmethod
    def standardised(cls, X: np.ndarray) -> Examples:
        """Learn mean and standard deviation of every feature of X (N, features) float64."""
        # A constant feature, but for the rounding of its mean, stays as it is.
        center, spread = mean_and_spread(X, tolerance=1e-12, relative_to="values", constant=1.0)
        return cls(shape=X.shape[1:], center=center, spread=spread)

    @classmethod
    def fitting(
        cls, given: tuple[int, ...] | None, features: int, encoder_shape: tuple[int, ...]
    ) -> Examples:
        """Choose the raw shape for examples of shape ``given``, None if flat. Raises InputError."""
        if given is None:
            if features == math.prod(encoder_shape):
                return cls(shape=encoder_shape)
            if len(encoder_shape) > 1:
                raise InputError(
                    f"has {features} features, and the encoder takes images of shape {encoder_shape}, which "
                    f"are {math.prod(encoder_shape)} values when flattened",
                    argument="X",
                    hint="Give images of that size, or an array (N, height, width, channels), which is "
                    "resized.",
                )
            rule = f"has {features} features, and the encoder takes {encoder_shape[0]}"
            raise InputError(rule, argument="X", hint="Give the columns that it was pretrained on.")
        # A grey image may come without its channel.
        return cls(shape=(*given, 1) if len(given) == 2 and len(encoder_shape) == 3 else given)

    @property
    def dtype(self) -> type:
        """The dtype of a checked X."""
        return np.float32 if self.center is None else np.float64

    def check(self, given: tuple[int, ...] | None) -> None:
        """Raise InputError when examples of X had another shape in ``fit``; None is a flat one."""
        if given is not None and given not in (self.shape, self.shape[:-1]):
            # The values of a network without a weights file were always flat.
            if self.center is not None and math.prod(given) == self.shape[0]:
                return
            rule = f"has examples of shape {given}, and those of fit had {self.shape}"
            raise InputError(rule, argument="X", hint="Give examples of that shape.")

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Return the raw examples (N, *shape) float32 of a checked X (N, features)."""
        if self.center is not None:
            X = (X - self.center) / self.spread
        return X.reshape(len(X), *self.shape).astype(np.float32, copy=False)


class ArgumentError(InputError, ValueError):
    """Arguments or data that cannot be used: the ValueError that scikit-learn's users expect."""


class BaseEncoderEstimator(BaseEstimator):
    """An estimator on an encoder. Each ``fit`` sets ``network_`` last."""

    weights: Any
    reuse: int | str | None
    value_range: tuple[float, float] | None
    random_state: Any
    verbose: bool
    examples_: Examples
    network_: FrozenNetwork

    def _config(self) -> TransferConfig:
        """Return the arguments that a transfer has too, checked by its rules. Raises InputError."""
        known = {row.name for row in fields(TransferConfig)}
        given = {n: _plain(v) for n, v in self.get_params(deep=False).items() if n in known}
        if given.get("head") == "linear":
            given["head"] = None  # the default, which may be left to a search
        if not isinstance(given.get("recipe", ""), str):
            raise InputError("must be the name of a recipe", argument="recipe", value=self.recipe)
        return TransferConfig(**given)

    def _begin(self) -> EncoderSource | None:
        """Forget an earlier fit; return the pretrained encoder, read and checked, or None without one."""
        # A fit that fails from here on must leave no mixture of the two.
        self.__dict__.pop("network_", None)
        weights = getattr(self.weights, "weights_file", self.weights)
        if weights is None:
            return None
        if isinstance(weights, WeightsFile):
            return EncoderSource.from_weights(weights if weights.digest else weights.sealed())
        if not isinstance(weights, str | Path):
            rule = "must be an encoder, the path of a weights file or of a .keras model, or None"
            raise InputError(rule, argument="weights", value=self.weights)
        assumed: list[str] = []
        file = read_source(str(weights), say=assumed.append)
        if assumed:  # by an import
            warnings.warn(worded("; ".join(assumed)), UserWarning, stacklevel=3)
        return EncoderSource.from_weights(file)

    @property
    def _dtype(self) -> type:
        """The dtype of a checked X; float64 where small differences of large numbers are standardised."""
        return np.float64 if self.weights is None else np.float32

    def _match(
        self, X: np.ndarray, given: tuple[int, ...] | None, source: EncoderSource | None, last: int
    ) -> tuple[EncoderSource, InputAdapter]:
        """Match X (N, features), flat or of shape ``given``, to the encoder, or to a fresh one."""
        value_range = (0.0, 1.0)
        if source is None:
            self.examples_ = Examples.standardised(X)
            features = X.shape[1]
            units = [max(32, min(2 * features, 128)), last]
            config = encoder_config("mlp", (features,), {"units": units})
            source = EncoderSource(encoder=config, preprocessing=PREPROCESSING)
        else:
            known = source.preprocessing["value_range"]
            value_range = check_range(known if self.value_range is None else self.value_range)
            shape = tuple(source.encoder["input_shape"])
            self.examples_ = Examples.fitting(given, X.shape[1], shape)
            warn_of_range(X, value_range)
        shape = tuple(source.encoder["input_shape"])
        inputs = InputAdapter.match(
            self.examples_.shape, "float32", value_range, shape, source.preprocessing
        )
        return source, inputs

    def _seed(self) -> int:
        """Return ``random_state`` itself, as the commands take it, or a number drawn from a generator."""
        state = _plain(self.random_state)
        if type(state) is int and 0 <= state <= MAX_SEED:
            return state
        return int(check_random_state(state).randint(MAX_SEED))

    def _reporter(self) -> Reporter:
        return LineReporter() if self.verbose else Reporter()

    def _outputs(self, X: Any) -> np.ndarray:
        """Return the network's outputs (N, K) float32 for X."""
        check_is_fitted(self, "network_")
        X, given = flat(X)
        with as_python():
            self.examples_.check(given)
            X = validate_data(self, X, reset=False, dtype=self.examples_.dtype)
            return self.network_(self.examples_(X))


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
            config, file = self._config(), self._begin()
            if file is None:
                needs = {
                    "reuse": config.search and "searches how to reuse a pretrained encoder",
                    "head": head_of(self.head).solved
                    and "stands on features that were learnt before",
                }
                for name, rule in needs.items():
                    if rule:
                        value, hint = getattr(self, name), f"Give {arg.weights}."
                        raise InputError(rule, argument=name, value=value, hint=hint)
                config = replace(config, reuse=None)
            X, given = flat(X)
            y, checks = self._target(y)
            X, y = validate_data(self, X, y, dtype=self._dtype, **checks)
            weights, some = None, np.arange(len(X))
            if sample_weight is not None:
                if config.search:
                    rule = f"is not used by {arg.reuse:auto}"
                    raise InputError(rule, argument="sample_weight", hint="Leave one of them out.")
                weights = _check_sample_weight(
                    sample_weight, X, dtype=np.float64, ensure_non_negative=True
                )
                # An example without weight is left out.
                some = np.flatnonzero(weights)
                X, weights = X[some], weights[some]
            y, target = self._encode(y, some)
            source, inputs = self._match(X, given, file, max(16, min(X.shape[1], 64)))
            if config.search and not target.exclusive:
                rule = "works on one class an example only"
                raise InputError(rule, argument="reuse", value=self.reuse, hint="Leave it out.")
            config = replace(config, seed=self._seed())
            plan = FitPlan.make(config, source, inputs, target, data="y")
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


@contextmanager
def as_python() -> Iterator[None]:
    """Raise the kinds of errors that scikit-learn's users expect."""
    try:
        yield
    except InputError as error:
        raise ArgumentError(
            error.marked_rule, argument=error.argument, value=error.value, hint=error.marked_hint
        ) from None
    except Interrupted as error:
        # Not an Exception: a grid search would count it as a failed fit and go on.
        raise KeyboardInterrupt(str(error)) from None


@cache
def programs() -> Programs:
    """Return the compiled steps that all fits of the process share."""
    return Programs(MAX_PROGRAMS)


def set_arguments(estimator: BaseEstimator, given: dict[str, Any]) -> None:
    """Keep the arguments of ``__init__`` as attributes; ``given`` is its ``locals()``."""
    vars(estimator).update((n, v) for n, v in given.items() if n not in ("self", "__class__"))


def _plain(value: Any) -> Any:
    """Return a number of NumPy, as grids of parameters hold them, as Python's."""
    return value.item() if isinstance(value, np.generic) else value


def check_range(value: Any) -> tuple[float, float]:
    """Return the argument ``value_range`` as (low, high). Raises InputError."""
    try:
        low, high = (float(number) for number in value)
        good = math.isfinite(low) and math.isfinite(high) and low < high
    except (TypeError, ValueError):
        good = False
    if not good:
        raise InputError(
            "must be two rising numbers, the lowest and the highest value that X can have, or None for the "
            "encoder's",
            argument="value_range",
            value=value,
        )
    return low, high


def warn_of_range(X: np.ndarray, value_range: tuple[float, float]) -> None:
    """Warn when X (N, features) was plainly scaled otherwise than ``value_range`` says."""
    low, high = value_range
    least, most = float(X.min()), float(X.max())
    width = high - low
    if least < low - width or most > high + width or most - least < MIN_SPAN * width:
        warnings.warn(
            f"X holds values from {least:g} to {most:g}, and values from {low:g} to {high:g} were "
            f"expected, so the features will mean little. Give value_range=(low, high), the range "
            f"of X, or X as the pretraining had it.",
            UserWarning,
            stacklevel=4,
        )
