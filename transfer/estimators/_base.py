"""The base of the scikit-learn estimators: arguments, examples, the seed, errors."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from headstart.errors import InputError, Interrupted, worded
from pretrain.keras_import.source import read_source
from pretrain.weights.file import WeightsFile
from transfer.config import MAX_SEED, TransferConfig
from transfer.data.input_adapter import InputAdapter
from transfer.encoder_source import EncoderSource
from transfer.estimators._network import FrozenNetwork
from transfer.estimators._validation import Examples, check_range, flat, warn_of_range

if TYPE_CHECKING:
    from pretrain.engine.program import Programs
    from pretrain.engine.progress import Reporter

# A program keeps the data that it was compiled with, so not as many as a benchmark keeps.
MAX_PROGRAMS = 16


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
            raise InputError(
                "must be an encoder, the path of a weights file or of a .keras model, or None",
                argument="weights",
                value=self.weights,
            )
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
        self,
        X: np.ndarray,
        given: tuple[int, ...] | None,
        source: EncoderSource | None,
        fresh: Callable[[int], EncoderSource],
    ) -> tuple[EncoderSource, InputAdapter]:
        """Decide how X becomes examples; return the encoder and the adapter of the examples.

        Args:
            X: checked, (N, features).
            given: the shape of one example; None when it was flat.
            source: the pretrained encoder; None without one.
            fresh: makes an encoder for a number of features, in place of a pretrained one.
        """
        value_range = (0.0, 1.0)
        if source is None:
            self.examples_ = Examples.standardised(X)
            source = fresh(X.shape[1])
        else:
            known = source.preprocessing["value_range"]
            value_range = check_range(known if self.value_range is None else self.value_range)
            shape = tuple(source.encoder["input_shape"])
            self.examples_ = Examples.fitting(given, X.shape[1], shape)
            warn_of_range(X, value_range)
        inputs = InputAdapter.match(
            self.examples_.shape,
            "float32",
            value_range,
            tuple(source.encoder["input_shape"]),
            source.preprocessing,
        )
        return source, inputs

    def _seed(self) -> int:
        """Return ``random_state`` itself, as the commands take it, or a number drawn from a generator."""
        state = _plain(self.random_state)
        if type(state) is int and 0 <= state <= MAX_SEED:
            return state
        return int(check_random_state(state).randint(MAX_SEED))

    def _reporter(self) -> Reporter:
        from pretrain.engine.progress import LineReporter, Reporter

        return LineReporter() if self.verbose else Reporter()

    def _outputs(self, X: Any) -> np.ndarray:
        """Return the network's outputs (N, K) float32 for X."""
        check_is_fitted(self, "network_")
        X, given = flat(X)
        with as_python():
            self.examples_.check(given)
            X = validate_data(self, X, reset=False, dtype=self.examples_.dtype)
            return self.network_(self.examples_(X))


@contextmanager
def as_python() -> Iterator[None]:
    """Raise the kinds of errors that scikit-learn's users expect."""
    try:
        yield
    except InputError as error:
        raise ArgumentError(
            error.marked_rule,
            argument=error.argument,
            value=error.value,
            hint=error.marked_hint,
        ) from None
    except Interrupted as error:
        # Not an Exception: a grid search would count it as a failed fit and go on.
        raise KeyboardInterrupt(str(error)) from None


@cache
def programs() -> Programs:
    """Return the compiled steps that all fits of the process share."""
    from pretrain.engine.program import Programs

    return Programs(MAX_PROGRAMS)


def set_arguments(estimator: BaseEstimator, given: dict[str, Any]) -> None:
    """Keep the arguments of ``__init__`` as attributes; ``given`` is its ``locals()``."""
    vars(estimator).update((n, v) for n, v in given.items() if n not in ("self", "__class__"))


def _plain(value: Any) -> Any:
    """Return a number of NumPy, as grids of parameters hold them, as Python's."""
    return value.item() if isinstance(value, np.generic) else value
