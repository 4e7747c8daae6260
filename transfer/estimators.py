"""scikit-learn estimators over a weights file. Importing this imports scikit-learn, not TensorFlow.

Of what was trained they keep NumPy arrays and plain configuration (``network_``), so pickles hold no
Keras objects. ``from transfer import TransferClassifier`` finds them without this module's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import (
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    RegressorMixin,
    TransformerMixin,
)
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from pretrain.encoders import block_names
from pretrain.runtime import start
from tasks.errors import InputError
from transfer.arrangement import Arrangement
from transfer.encoding import RULES, Encoding, as_python, programs
from transfer.examples import flat
from transfer.inputs import Inputs
from transfer.network import ENGINE, Network
from transfer.recipes import recipe as named_recipe
from transfer.run import Plan, Source, arranged
from transfer.scratch import bottleneck_source, reconstruct, small_source


class EncoderTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Encoding):
    """Examples to the features of a weights file's encoder, which ``fit`` does not change.

    Args:
        weights: the path of a weights file. None trains a small dense autoencoder on standardised X.
        reuse: the features are the output of the lowest K blocks; None or "all" takes every block.
            Of an output that is a map (height, width, channels), the mean over height and width is
            taken. Counts with a weights file only.
        epochs: of the small autoencoder, so without a weights file only. None takes 60, or as many as
            make 600 updates.
        value_range: (low, high), the lowest and the highest value that X can have, which are mapped to
            those of the weights file. None: X is in the weights file's own range. Counts with a
            weights file only.
        random_state: an int, a RandomState or None, for the small autoencoder. The same int gives the
            same numbers.
        verbose: print a line an epoch to stderr.

    Attributes:
        n_features_in_: the number of values of one example.
        network_: the encoder, as plain arrays and configuration.

    X and the errors are those of ``TransferClassifier``.
    """

    def __init__(
        self,
        weights: str | Path | None = None,
        *,
        reuse: int | str | None = None,
        epochs: int | None = None,
        value_range: tuple[float, float] | None = None,
        random_state: Any = 0,
        verbose: bool = False,
    ) -> None:
        self.weights = weights
        self.reuse = reuse
        self.epochs = epochs
        self.value_range = value_range
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> EncoderTransformer:
        """Read the weights file and match X (N, ...) to it; ``y`` is ignored. Returns self."""
        with as_python():
            settings, reuse, file = self._settings("epochs"), self._reuse(), self._begin()
            X, given = flat(X)
            X = validate_data(self, X, dtype=self._dtype)
            source, inputs = self._match(X, given, file, bottleneck_source)
            if source.tensors is None:
                self.network_ = self._autoencoder(self.examples_(X), source, inputs, settings)
            else:
                self.network_ = _lowest(source, inputs, arranged(source, reuse).reuse)
            self._n_features_out = self.network_(self.examples_(X[:1])).shape[1]
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the features (N, D) float32 of X (N, ...)."""
        return self._outputs(X)

    def _autoencoder(
        self, x: np.ndarray, source: Source, inputs: Inputs, settings: dict[str, Any]
    ) -> Network:
        if settings.get("epochs") == 0:
            raise InputError("epochs must be 1 or more, or None. Got 0.")
        if settings:
            settings = {**settings, "freeze_epochs": 0}
        recipe = named_recipe("default", settings).for_budget(len(x))
        with ENGINE:
            start()
            from pretrain.engine.train import Run

            run = Run(
                seed=self._seed(),
                key=f"reconstruct {source.encoder}",
                programs=programs(),
                reporter=self._reporter(),
            )
            encoder = reconstruct(x, source, recipe, run)
            return Network(
                encoder=encoder.config,
                inputs=inputs,
                arrangement=arranged(source, len(encoder.blocks)),
                tensors=encoder.tensors(),
            )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # always float32
        return tags


class _Transfer(Encoding):
    """An encoder and a linear head; the subclasses say what y is."""

    # For scikit-learn's check of y.
    _y_checks: Mapping[str, Any] = {}

    def __init__(
        self,
        weights: str | Path | None = None,
        *,
        recipe: str = "default",
        reuse: int | str | None = None,
        epochs: int | None = None,
        freeze_epochs: int | None = None,
        learning_rate: float | None = None,
        head_learning_rate: float | None = None,
        batch_size: int | None = None,
        value_range: tuple[float, float] | None = None,
        random_state: Any = 0,
        verbose: bool = False,
    ) -> None:
        self.weights = weights
        self.recipe = recipe
        self.reuse = reuse
        self.epochs = epochs
        self.freeze_epochs = freeze_epochs
        self.learning_rate = learning_rate
        self.head_learning_rate = head_learning_rate
        self.batch_size = batch_size
        self.value_range = value_range
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any) -> Any:
        """Train on X (N, ...) and y (N,). Returns self."""
        with as_python():
            if not isinstance(self.recipe, str):
                raise InputError(f"recipe must be a recipe's name. Got {self.recipe!r}.")
            recipe = named_recipe(self.recipe, self._settings(*RULES))
            reuse, file = self._reuse(), self._begin()
            X, given = flat(X)
            X, y = validate_data(self, X, y, dtype=self._dtype, **self._y_checks)
            y, target, outputs = self._encode(y)
            source, inputs = self._match(X, given, file, small_source)
            plan = Plan(
                inputs=inputs,
                arrangement=arranged(source, None if file is None else reuse),
                rows=np.arange(len(X)),
                recipe=recipe.for_budget(len(X)),
            )
            with ENGINE:
                start()
                from transfer.fit import fit

                fitted = fit(
                    self.examples_(X),
                    y,
                    source,
                    plan,
                    outputs=outputs,
                    seed=self._seed(),
                    target=target,
                    reporter=self._reporter(),
                    programs=programs(),
                )
                self.network_ = Network.of(inputs, fitted.encoder)
            self.history_ = fitted.run.history
        return self

    def _encode(self, y: np.ndarray) -> tuple[np.ndarray, str, int]:
        """Return y for the engine, what it is (transfer.heads.TARGETS), and the head's outputs."""
        raise NotImplementedError


class TransferClassifier(ClassifierMixin, _Transfer):
    """A pretrained encoder and a linear head: the head is trained first, then both.

    Args:
        weights: the path of a weights file. None trains a small dense net from scratch, on
            standardised X.
        recipe: "default", "linear-probe" or "seed", as of the command ``transfer``. The numbers below
            change it.
        reuse: keep the lowest K blocks and draw the others anew; None or "all" keeps every one. Counts
            with a weights file only.
        epochs, learning_rate: of the fine-tuning; 0 epochs leave the encoder as it is.
        freeze_epochs, head_learning_rate: of the head alone, before that. Without a weights file, or
            with ``reuse=0``, there is one stage, of both epochs together and with ``learning_rate``.
        batch_size: examples in a step.
        value_range: (low, high), the lowest and the highest value that X can have, which are mapped to
            those of the weights file. None: X is in the weights file's own range. Counts with a
            weights file only.
        random_state: an int, a RandomState or None. The same int gives the same numbers.
        verbose: print a line an epoch to stderr.

    Attributes:
        classes_: the labels, sorted; any kind that scikit-learn takes, text too.
        history_: one dict an epoch: stage, epoch, loss, accuracy.
        n_features_in_: the number of values of one example.
        network_: what was trained, as plain arrays and configuration.

    X is a table (N, features), flattened images (N, height * width * channels), which get the encoder's
    shape, or an array (N, height, width[, channels]), which is resized if need be. It is uint8 or
    float; nothing is guessed from its dtype.

    Raises:
        ValueError: the arguments, the weights file or the data cannot be used, or do not fit.
        tasks.errors.NonFiniteError: the training became infinite or not-a-number.
        KeyboardInterrupt: Ctrl-C, when the step is finished.
    """

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each of ``classes_``, (N, K) float32."""
        from transfer.export import from_logits

        return from_logits(self._outputs(X))

    def predict(self, X: Any) -> np.ndarray:
        """Return the likeliest class of each example, (N,)."""
        likeliest = self.predict_proba(X).argmax(axis=1)
        labels: np.ndarray = self.classes_[likeliest]
        return labels

    def _encode(self, y: np.ndarray) -> tuple[np.ndarray, str, int]:
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        count = len(self.classes_)
        if count < 2:
            raise InputError(
                f"y must hold two classes or more. Got one class, {str(self.classes_[0])!r}: there is "
                f"nothing to tell apart."
            )
        return codes.astype(np.int32), "classes", 1 if count == 2 else count


class TransferRegressor(RegressorMixin, _Transfer):
    """A pretrained encoder and one linear output, trained on the mean squared error.

    Arguments, X and errors are those of ``TransferClassifier``; y is numbers (N,), and standardised
    inside. ``score`` is R squared.

    Attributes:
        target_mean_, target_spread_: what y was standardised with.
        history_: one dict an epoch: stage, epoch, loss (of the standardised y).
        n_features_in_, network_: as in ``TransferClassifier``.
    """

    _y_checks: Mapping[str, Any] = {"y_numeric": True}

    def predict(self, X: Any) -> np.ndarray:
        """Return the predicted numbers, (N,) float64."""
        outputs = self._outputs(X)[:, 0].astype(np.float64)
        return outputs * self.target_spread_ + self.target_mean_

    def _encode(self, y: np.ndarray) -> tuple[np.ndarray, str, int]:
        y = y.astype(np.float64)
        self.target_mean_, self.target_spread_ = float(y.mean()), float(y.std()) or 1.0
        return ((y - self.target_mean_) / self.target_spread_).astype(np.float32), "numbers", 1


def _lowest(source: Source, inputs: Inputs, blocks: int) -> Network:
    """Return the network of a weights file's lowest blocks. Raises InputError for none of them."""
    assert source.tensors is not None
    names = block_names(source.encoder)
    if blocks == 0:
        raise InputError(
            f"reuse must be None, 'all' or 1 to {len(names)}, the number of the encoder's blocks. "
            f"Got 0."
        )
    kept = names[:blocks]
    tensors = {path: t for path, t in source.tensors.items() if path.split("/")[0] in kept}
    arrangement = Arrangement(reuse=blocks, above="reset" if blocks == len(names) else "drop")
    return Network(encoder=source.encoder, inputs=inputs, arrangement=arrangement, tensors=tensors)
