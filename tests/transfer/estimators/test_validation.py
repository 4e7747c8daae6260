"""What the estimators take and what they refuse."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from toys import StopAt
from transfers import task

from headstart.errors import NonFiniteError
from transfer import EncoderTransformer, TransferClassifier, TransferRegressor

QUICKLY = {"freeze_epochs": 1, "epochs": 1}


def test_flat_images_and_arrays_are_the_same_examples(files):
    on = task()
    fitted = EncoderTransformer(files / "convnet.h5").fit(on.x)
    expected = fitted.transform(on.x)
    flat = on.x.reshape(len(on.x), -1)
    for X in (flat, flat.astype(float), on.x[..., 0], on.x.astype(np.float32)):
        assert np.array_equal(fitted.transform(X), expected)
        assert np.array_equal(clone(fitted).fit_transform(X), expected)
    halved = clone(fitted).set_params(value_range=(0, 127.5)).fit_transform(flat / 2)
    assert np.allclose(halved, expected, atol=1e-5)
    with pytest.raises(ValueError, match=r"shape \(1, 8, 8\), and those of fit had \(8, 8, 1\)"):
        fitted.transform(on.x.reshape(-1, 1, 8, 8))
    with pytest.raises(ValueError, match="X has 63 features, but"):
        fitted.transform(flat[:, 1:])


def test_images_of_another_size_and_colour_are_resized_as_the_command_does(files):
    on = task(size=10, channels=3)
    fitted = TransferClassifier(files / "convnet.h5", **QUICKLY).fit(on.x, on.y)
    assert fitted.n_features_in_ == 300
    assert fitted.network_.inputs.changes[1] == "resized from 10x10 to 8x8"
    assert fitted.predict(on.x_test).shape == (30,)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"weights": "nowhere.h5"}, "nowhere.h5"),
        ({"weights": 3}, "weights must be an encoder, the path of a weights file"),
        ({"reuse": 4}, "^reuse must be 'auto', 'all' or 0 to 3"),
        ({"reuse": "most"}, "reuse must be 'auto', 'all' or a number of blocks. Got 'most'"),
        ({"epochs": -1}, "epochs must be 0 or more. Got -1"),
        ({"epochs": 0, "freeze_epochs": 0}, "at least one epoch"),
        ({"batch_size": 0}, "batch_size must be 1 or more"),
        ({"learning_rate": float("nan")}, "learning_rate must be above 0"),
        ({"recipe": "notebok"}, "Did you mean .notebook."),
        ({"recipe": None}, "recipe must be"),
        ({"weights": None, "epochs": 0, "freeze_epochs": 0}, "at least one epoch"),
        ({"value_range": (1, 0)}, r"value_range must be two rising numbers.* Got \(1, 0\)"),
    ],
)
def test_a_wrong_argument_is_a_value_error(files, changes, says):
    on = task()
    fitted = TransferClassifier(**{"weights": files / "mlp.h5"} | changes)
    with pytest.raises(ValueError, match=says):
        fitted.fit(on.x, on.y)
    with pytest.raises(NotFittedError):
        fitted.predict(on.x)


def test_a_transformer_needs_a_block_and_an_epoch_and_a_classifier_two_classes(files):
    on = task()
    with pytest.raises(ValueError, match="reuse must be None, 'all' or 1 to 3"):
        EncoderTransformer(files / "mlp.h5", reuse=0).fit(on.x)
    with pytest.raises(ValueError, match="epochs must be 1 or more"):
        EncoderTransformer(epochs=0).fit(on.x)
    fitted = TransferClassifier(**QUICKLY).fit(on.x, on.y)
    with pytest.raises(
        ValueError, match=r"y must hold two classes or more, and has one class, 'a'"
    ):
        fitted.fit(on.x, ["a"] * len(on.x))
    with pytest.raises(NotFittedError):  # rather than a mixture of two fits
        fitted.predict(on.x)


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        ((63,), r"63 features, and .* images of shape \(8, 8, 1\), which are 64 values"),
        ((1, 8, 8), "Only grey"),
        ((2, 8, 8, 1), "cannot be given to an encoder of images"),
    ],
)
def test_examples_that_do_not_fit_are_a_value_error(files, shape, says):
    X = np.random.default_rng(0).integers(0, 256, (20, *shape))
    for estimator in (TransferClassifier, TransferRegressor, EncoderTransformer):
        with pytest.raises(ValueError, match=says):
            estimator(files / "convnet.h5").fit(X, np.arange(20) % 2)


def test_values_of_another_range_are_noticed(files):
    on = task()
    fitted = EncoderTransformer(files / "mlp.h5")
    for X in (on.x / 255, on.x * 255.0):
        with pytest.warns(UserWarning, match="values from 0 to 255 were expected") as caught:
            fitted.fit(X)
        assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted.set_params(value_range=(0, 1)).fit(on.x / 255)


def test_ctrl_c_and_a_training_that_diverges_are_what_python_expects(files, monkeypatch):
    on = task()
    fitted = TransferRegressor(files / "mlp.h5", recipe="notebook", learning_rate=100)
    with pytest.raises(NonFiniteError, match="Use a smaller learning_rate"):
        fitted.fit(on.x, on.y)
    monkeypatch.setattr(TransferRegressor, "_reporter", lambda self: StopAt(2))
    with pytest.raises(KeyboardInterrupt, match="Interrupted in epoch 1"):
        fitted.set_params(learning_rate=None).fit(on.x, on.y)
