"""scikit-learn estimators on a pretrained encoder. Importing them imports scikit-learn, not TensorFlow.

They keep trained networks as NumPy arrays and plain configuration (``network_``), so pickles hold no
Keras objects. ``from transfer import TransferClassifier`` works too.
"""

from __future__ import annotations

from collections.abc import Mapping
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

from headstart.errors import InputError
from headstart.lazy import tf
from pretrain.encoders import block_names
from transfer.architecture import TransferArchitecture, architecture_of
from transfer.data.input_adapter import InputAdapter
from transfer.encoder_source import EncoderSource
from transfer.estimators._base import (
    BaseEncoderEstimator,
    BaseTransferEstimator,
    as_python,
    flat,
    programs,
    set_arguments,
)
from transfer.estimators._network import FrozenNetwork, engine
from transfer.recipes import recipe as named_recipe
from transfer.targets import Classification, MultiLabel, Regression, Target

DECODER_STREAM = 1


class EncoderTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEncoderEstimator):
    """Transform examples to the features of a pretrained encoder, which ``fit`` does not change.

    Args:
        weights, value_range, verbose: as of ``TransferClassifier``; weights None trains a small dense
            autoencoder on standardised X.
        reuse: use the output of the lowest K blocks; None or "all" takes every block. Maps (height, width,
            channels) are averaged over height and width. Needs weights.
        epochs: of the small autoencoder, so without weights only. None takes 60, or as many as make 600
            updates.
        random_state: an int, a RandomState or None, for the small autoencoder. The same int gives the
            same numbers.

    Attributes:
        n_features_in_: the number of values of one example.
        network_: the encoder, as plain arrays and configuration.

    X and the errors are those of ``TransferClassifier``.

    Example:
        >>> features = EncoderTransformer("weights.h5").fit_transform(X)
    """

    def __init__(
        self,
        weights: Any = None,
        *,
        reuse: int | str | None = None,
        epochs: int | None = None,
        value_range: tuple[float, float] | None = None,
        random_state: Any = 0,
        verbose: bool = False,
    ) -> None:
        set_arguments(self, locals())

    def fit(self, X: Any, y: Any = None) -> EncoderTransformer:
        """Read the encoder and match X (N, ...) to it; ``y`` is ignored. Returns self."""
        with as_python():
            config, file = self._config(), self._begin()
            if config.search:
                rule = "must be None, 'all' or a number of blocks"
                raise InputError(rule, argument="reuse", value="auto")
            X, given = flat(X)
            X = validate_data(self, X, dtype=self._dtype)
            source, inputs = self._match(X, given, file, max(2, min(X.shape[1] // 2, 64)))
            if source.tensors is None:
                self.network_ = self._autoencoder(self.examples_(X), source, inputs, config.epochs)
            else:
                self.network_ = self._lowest(source, inputs, config.kept_blocks)
            self._n_features_out = self.network_(self.examples_(X[:1])).shape[1]
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the features (N, D) float32 of X (N, ...)."""
        return self._outputs(X)

    def _lowest(
        self, source: EncoderSource, inputs: InputAdapter, kept: int | None
    ) -> FrozenNetwork:
        """Return the network of a pretrained encoder's lowest blocks. Raises InputError for none of them."""
        names, blocks = block_names(source.encoder), architecture_of(source, kept).reuse
        if blocks == 0:
            rule = f"must be None, 'all' or 1 to {len(names)}, the number of the encoder's blocks"
            raise InputError(rule, argument="reuse", value=0)
        return FrozenNetwork(
            encoder=source.encoder,
            inputs=inputs,
            architecture=TransferArchitecture(
                reuse=blocks, above="reset" if blocks == len(names) else "drop"
            ),
            tensors={
                path: tensor
                for path, tensor in (source.tensors or {}).items()
                if path.split("/")[0] in names[:blocks]
            },
        )

    def _autoencoder(
        self, x: np.ndarray, source: EncoderSource, inputs: InputAdapter, epochs: int | None
    ) -> FrozenNetwork:
        """Train a fresh encoder e as an autoencoder, on standardised examples (N, D) float32."""
        if epochs == 0:
            raise InputError("must be 1 or more, or None", argument="epochs", value=0)
        changes = {} if epochs is None else {"epochs": epochs, "freeze_epochs": 0}
        recipe = named_recipe("default", changes).for_budget(len(x))
        with engine():
            from pretrain.encoders.encoder import Encoder, seeded, stream
            from pretrain.engine.session import Session
            from pretrain.engine.stage import Batch, Objective, Stage
            from pretrain.engine.train import Run, train

            run = Run(
                seed=self._seed(),
                key=f"reconstruct {source.encoder}",
                session=Session(reporter=self._reporter()).sharing(programs()),
            )
            encoder = Encoder(source.encoder, run.seed)
            with seeded(stream(run.seed, DECODER_STREAM)):
                decoder = encoder.row.decode(x.shape[1:], encoder.config["options"])

            # The mean of (x - d(e(x)))^2, where d is e's mirror image, thrown away afterwards.
            def loss(batch: Batch) -> Mapping[str, Any]:
                features = encoder(batch.x, batch.training)
                error = decoder(features, training=batch.training) - batch.x
                return {"loss": tf.reduce_mean(tf.square(error))}

            objective = Objective(
                name="reconstruct",
                loss=loss,
                variables=[*encoder.trainable, *decoder.trainable_weights],
                state=[*encoder.state, *decoder.non_trainable_weights],
                optimizer=recipe.optimizer,
            )
            stage = Stage(
                name="reconstruct",
                objectives=[objective],
                arrays={"x": x},
                epochs=recipe.scratch_epochs,
                batch_size=recipe.batch_size,
                learning_rate=recipe.scratch_learning_rate,
                schedule=recipe.schedule,
            )
            train([stage], run)
            return FrozenNetwork(
                encoder=encoder.config,
                inputs=inputs,
                architecture=architecture_of(source, len(encoder.blocks)),
                tensors=encoder.tensors(),
            )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # always float32
        return tags


class TransferClassifier(ClassifierMixin, BaseTransferEstimator):
    """Classify examples by a pretrained encoder and a new head: the head is trained first, then both.

    Args:
        weights: an encoder; or the path of a weights file, or of a ``.keras`` model, which is imported as by
            default. None trains a small dense net from scratch, on standardised X.
        recipe: "default", "linear-probe" or "notebook", as of the command ``transfer``. The numbers below
            change it.
        reuse: keep the lowest K blocks; None or "all" keeps every one. "auto" chooses how many, and how
            they are trained, by cross-validation on X and y (``TransferClassifier`` only). Needs weights.
        above: what comes above the kept blocks: "reset" (the others, drawn anew), "drop" (nothing) or
            "add" (one fresh block). None: "drop" for a head that trains nothing, else "reset".
        head: "linear" or "hidden" (with one hidden layer); or, on frozen features, "logistic" (a logistic
            regression; of numbers, a ridge regression) or "knn" (the nearest neighbours), whose C or
            k is chosen by cross-validation. Arguments of training are then refused.
        epochs, learning_rate: of the fine-tuning; 0 epochs leave the encoder as it is.
        freeze_epochs, head_learning_rate: of the head alone, before that. Without weights, or with
            ``reuse=0``, there is one stage, of both epochs together and with ``learning_rate``.
        batch_size: examples in a step.
        unfreeze: fine-tune the highest K kept blocks only; None or "all" every one.
        layer_decay: multiply the learning rate by this, 0 to 1, for each kept block down; None: 1.
        gradual: unfreeze block by block, from the top.
        solve: solve the head's own stage as a logistic (ridge) regression with this C; None trains it.
        interpolate: end this share of the way from the frozen encoder, under a solved head, to the fine-tuned
            weights, 0 to 1; None: 1.
        balance: weigh all classes alike, however many examples they have (not with several labels).
        search_seconds: with ``reuse="auto"``: begin no training after this many seconds; None: 120.
        value_range: (low, high), the lowest and the highest value that X can have, which are mapped to the
            encoder's range. None: X is in the encoder's range. Needs weights.
        random_state: an int, a RandomState or None. The same int gives the same numbers.
        verbose: print a line an epoch to stderr.

    Attributes:
        classes_: the labels, sorted; any kind that scikit-learn takes, text too. Of several labels an
            example, their numbers 0 to K-1.
        history_: one dict an epoch: stage, epoch, loss, accuracy.
        head_choice_: C or k of a head that is solved, and the values tried; else None.
        search_: the candidates of ``reuse="auto"`` and the choice; None without.
        n_features_in_: the number of values of one example.
        network_: the trained network, as plain arrays and configuration.

    y is (N,), one class an example, or (N, K) of 0 and 1, of several labels an example. An example of
    weight 0 in ``fit`` is left out; the head "knn" and ``reuse="auto"`` take no weights.

    X is a table (N, features), flattened images (N, height * width * channels), which get the encoder's
    shape, or an array (N, height, width[, channels]), which is resized if need be. It is uint8 or
    float; nothing is guessed from its dtype.

    Raises:
        ValueError: the arguments, the encoder or the data cannot be used, or do not fit. It is a
            headstart.errors.InputError too, with the argument, the rule, the value and a hint.
        headstart.errors.NonFiniteError: the training became infinite or not-a-number.
        KeyboardInterrupt: Ctrl-C, when the step is finished.

    Example:
        >>> classifier = TransferClassifier("weights.h5", head="logistic").fit(X, y)
        >>> classifier.predict_proba(X).shape
        (200, 10)
    """

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each of ``classes_``, (N, K) float32; of several labels, of each."""
        outputs = self._outputs(X)
        return self._fitted_target.predictions(outputs, logits=self.network_.logits)

    def predict(self, X: Any) -> np.ndarray:
        """Return the likeliest class of each example, (N,); of several labels 0 or 1 for each, (N, K)."""
        probabilities = self.predict_proba(X)
        labels: np.ndarray
        if self._fitted_target.exclusive:
            labels = self.classes_[probabilities.argmax(axis=1)]
        else:
            labels = (probabilities > 0.5).astype(np.int64)
        return labels

    def _target(self, y: Any) -> tuple[Any, Mapping[str, Any]]:
        if not hasattr(y, "ndim"):
            y = np.asarray(y)
        # A column is one label an example, and scikit-learn warns of it.
        return y, {"multi_output": True} if y.ndim == 2 and y.shape[1] > 1 else {}

    def _encode(self, y: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, Target]:
        check_classification_targets(y)
        if y.ndim == 2:
            y = y.toarray() if hasattr(y, "toarray") else y
            if not np.isin(y, (0, 1)).all():
                raise InputError(
                    f"of shape {y.shape} must hold 0 and 1 only, a column a label: 1 where the example has "
                    f"it",
                    argument="y",
                )
            self.classes_ = np.arange(y.shape[1])
            labels = MultiLabel(names=tuple(map(str, self.classes_)))
            return labels.encode(y[rows]), labels
        self.classes_, codes = np.unique(y, return_inverse=True)
        present = np.unique(y[rows])
        if len(present) < 2:
            raise InputError(
                f"must hold two classes or more, and has one class, {str(present[0])!r}",
                argument="y",
            )
        target = Classification(names=tuple(map(str, self.classes_)))
        return target.encode(codes[rows]), target

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class TransferRegressor(RegressorMixin, BaseTransferEstimator):
    """Predict numbers by a pretrained encoder and a head of one output, trained on the mean squared error.

    Arguments, X and errors are those of ``TransferClassifier``; y is numbers (N,), and standardised
    inside. ``score`` is R squared.

    Attributes:
        target_mean_, target_spread_: mean and standard deviation of y.
        history_: one dict an epoch: stage, epoch, loss (of the standardised y).
        head_choice_, n_features_in_, network_: as in ``TransferClassifier``.

    Example:
        >>> TransferRegressor("weights.h5").fit(X, y).predict(X).shape
        (200,)
    """

    def predict(self, X: Any) -> np.ndarray:
        """Return the predicted numbers, (N,) float64."""
        outputs = self._outputs(X)
        return self._fitted_target.predictions(outputs, logits=self.network_.logits)

    def _target(self, y: Any) -> tuple[Any, Mapping[str, Any]]:
        return y, {"y_numeric": True}

    def _encode(self, y: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, Target]:
        y = y[rows]
        target = Regression.of(y)
        self.target_mean_, self.target_spread_ = target.center, target.spread
        return target.encode(y), target
