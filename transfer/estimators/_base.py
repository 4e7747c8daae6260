"""What the scikit-learn estimators have in common: arguments, examples, the seed, errors."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from headstart.errors import HeadstartError, InputError, Interrupted
from pretrain.encoders.base import integer, number
from pretrain.keras_import.source import read_source
from transfer.data.input_adapter import InputAdapter
from transfer.encoder_source import EncoderSource
from transfer.estimators._network import FrozenNetwork
from transfer.estimators._validation import Examples, check_range, flat, warn_of_range

if TYPE_CHECKING:
    from pretrain.engine.program import Programs
    from pretrain.engine.progress import Reporter

MOST = 2**31 - 1


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be True or False")
    return value


def _blocks(value: Any) -> int | str:
    if isinstance(value, str):
        if value != "all":
            raise ValueError("must be 'all' or a number of blocks")
        return value
    return integer(0, MOST)(value)


RULES: Mapping[str, Callable[[Any], Any]] = {
    "epochs": integer(0, MOST),
    "freeze_epochs": integer(0, MOST),
    "batch_size": integer(1, MOST),
    "learning_rate": number(1e-30, 100),
    "head_learning_rate": number(1e-30, 100),
    "unfreeze": _blocks,
    "layer_decay": number(1e-6, 1),
    "gradual": _flag,
    "solve": number(1e-9, 1e9),
    "interpolate": number(0, 1),
    "balance": _flag,
    "search_seconds": number(1e-9, 1e9),
}
# A program keeps the data that it was compiled with, so not as many as a benchmark keeps.
MOST_PROGRAMS = 16


class BaseEncoderEstimator(BaseEstimator):
    """An estimator on an encoder; ``network_`` is what a ``fit`` sets last."""

    weights: str | Path | None
    reuse: int | str | None
    value_range: tuple[float, float] | None
    random_state: Any
    verbose: bool
    examples_: Examples
    network_: FrozenNetwork

    def _settings(self, *names: str) -> dict[str, Any]:
        """Return the named arguments that are set, each checked by its rule."""
        settings = {}
        for name in names:
            value = _plain(getattr(self, name))
            try:
                if value is not None:
                    settings[name] = RULES[name](value)
            except ValueError as error:
                raise InputError(f"{name} {error}, or None. Got {value!r}.") from None
        return settings

    def _reuse(self) -> int | None:
        """Return the number of blocks to keep, None for all."""
        reuse = _plain(self.reuse)
        if reuse is None or reuse == "all":
            return None
        if type(reuse) is not int:
            raise InputError(f"reuse must be None, 'all' or a number of blocks. Got {reuse!r}.")
        return reuse

    def _begin(self) -> EncoderSource | None:
        """Forget an earlier fit; return the weights file, read and checked, or None without one."""
        # A fit that fails from here on is to leave no mixture of the two.
        self.__dict__.pop("network_", None)
        if self.weights is None:
            return None
        if not isinstance(self.weights, str | Path):
            raise InputError(
                f"weights must be the path of a weights file, which `pretrain` writes, or of a .keras "
                f"model, or None. Got {self.weights!r}."
            )
        said: list[str] = []
        file = read_source(str(self.weights), say=said.append)
        if said:  # what an import took for granted
            warnings.warn("; ".join(said), UserWarning, stacklevel=3)
        return EncoderSource.from_weights(file)

    @property
    def _dtype(self) -> type:
        """What X is checked as: small differences between large numbers outlive standardising."""
        return np.float64 if self.weights is None else np.float32

    def _match(
        self,
        X: np.ndarray,
        given: tuple[int, ...] | None,
        source: EncoderSource | None,
        fresh: Callable[[int], EncoderSource],
    ) -> tuple[EncoderSource, InputAdapter]:
        """Decide how X becomes examples; return where the encoder comes from, and the way to it.

        X: checked, (N, features); given: the shape of one example, None when it was flat.
        fresh: from the number of features to what stands in for a weights file.
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
        """Return the number itself, as the commands take it, or one drawn from a generator."""
        state = _plain(self.random_state)
        if type(state) is int and 0 <= state <= MOST:
            return state
        return int(check_random_state(state).randint(MOST))

    def _reporter(self) -> Reporter:
        from pretrain.engine.progress import LineReporter, Reporter

        return LineReporter() if self.verbose else Reporter()

    def _outputs(self, X: Any) -> np.ndarray:
        """Return what the network makes of X, (N, K) float32."""
        check_is_fitted(self, "network_")
        X, given = flat(X)
        with as_python():
            self.examples_.check(given)
            X = validate_data(self, X, reset=False, dtype=self.examples_.dtype)
            return self.network_(self.examples_(X))


@contextmanager
def as_python() -> Iterator[None]:
    """Raise what Python's users expect, and speak of arguments where the texts name options."""
    try:
        yield
    except InputError as error:
        raise ValueError(_arguments(error)) from None
    except Interrupted as error:
        # Not an Exception: a grid search would count it as a failed fit and go on.
        raise KeyboardInterrupt(_arguments(error)) from None
    except HeadstartError as error:
        raise type(error)(_arguments(error)) from None


@cache
def programs() -> Programs:
    """Return the compiled steps that all fits of this process share."""
    from pretrain.engine.program import Programs

    return Programs(MOST_PROGRAMS)


def _arguments(error: Exception) -> str:
    return re.sub(r"--([a-z][a-z-]*)", lambda found: found[1].replace("-", "_"), str(error))


def _plain(value: Any) -> Any:
    """Return NumPy's numbers, as grids of parameters hold them, as Python's."""
    return value.item() if isinstance(value, np.generic) else value
