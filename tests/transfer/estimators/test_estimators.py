"""The scikit-learn estimators: scikit-learn's own checks, and what they promise beyond these."""

import pickle
import subprocess
import sys
from dataclasses import replace
from threading import Thread
from types import SimpleNamespace

import numpy as np
import pytest
from commands import environment
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator
from transfers import QUICK, encoder_weights, source, task, transferred, weights

from pretrain.engine.stage import Batch
from pretrain.weights.file import WeightsFile
from tasks.loading.resolve import load_dataset
from transfer import EncoderTransformer, TransferClassifier, TransferRegressor
from transfer.config import TransferConfig
from transfer.plan import TransferPlan
from transfer.recipes import recipe
from transfer.targets import Regression

NAMES = np.array(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])
SHORT = {"epochs": 5, "freeze_epochs": 0, "learning_rate": 5e-2, "batch_size": 16}
QUICKLY = {
    "freeze_epochs": QUICK.freeze_epochs,
    "epochs": QUICK.epochs,
    "batch_size": QUICK.batch_size,
    "head_learning_rate": QUICK.head_learning_rate,
    "learning_rate": QUICK.learning_rate,
}
# Checks of scikit-learn that fail, by estimator and name, each with the reason.
WEIGHTED = {
    "check_sample_weight_equivalence_on_dense_data": "a weight scales an example's part of the batch that it "
    "falls into, and an example that is repeated falls into several batches"
}
EXPECTED_FAILED = {"TransferClassifier": WEIGHTED, "TransferRegressor": WEIGHTED}
# What the machine may lack, and what only a classifier without probabilities needs.
SKIPPED = (
    "SCIPY_ARRAY_API is not set",
    "pandas is not installed",
    "TransferClassifier does not have a decision_function method.",
)


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """A weights file of digits, pretrained without labels."""
    from pretraining import pretrained

    from pretrain.config import PretrainConfig

    path = tmp_path_factory.mktemp("pretrained") / "digits.h5"
    config = PretrainConfig(
        strategy="autoencoder",
        encoder="mlp",
        encoder_options={"units": [64, 32]},
        epochs=10,
    )
    pretrained(load_dataset("digits"), config, path, companions=False)
    return path


@pytest.fixture(scope="module")
def digits():
    """Hundred labelled digits and the rest: flat, 0 to 16, classes as words."""
    X, y = load_digits(return_X_y=True)
    return train_test_split(X, NAMES[y], train_size=100, random_state=0, stratify=y)


@pytest.mark.slow
@pytest.mark.parametrize(
    "estimator",
    [TransferClassifier(**SHORT), TransferRegressor(**SHORT), EncoderTransformer(epochs=1)],
    ids=lambda estimator: type(estimator).__name__,
)
def test_scikit_learns_own_checks_pass(estimator):
    expected = EXPECTED_FAILED.get(type(estimator).__name__, {})
    done = check_estimator(
        estimator, expected_failed_checks=expected, on_skip=None, on_fail="raise"
    )
    assert len(done) > 40
    left = [row for row in done if row["status"] != "passed"]
    assert {row["check_name"] for row in left if row["status"] == "xfail"} == set(expected)
    for row in left:
        assert row["status"] == "xfail" or str(row["exception"]).startswith(SKIPPED), row


def test_importing_the_packages_is_light():
    code = (
        "import sys, transfer, pretrain\n"
        "heavy = {'tensorflow', 'keras', 'sklearn', 'scipy'}\n"
        "assert not heavy & set(sys.modules)\n"
        "for package in (transfer, pretrain):\n"
        "    assert not hasattr(package, 'nothing')\n"
        "from transfer import EncoderTransformer, TransferClassifier, TransferRegressor\n"
        "repr(TransferClassifier('weights.h5'))\n"
        "from pretrain import load_encoder\n"
        "assert 'sklearn' in sys.modules and not {'tensorflow', 'keras'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_from_a_weights_file_it_is_far_from_chance_with_words_as_classes(pretrained, digits):
    X, X_test, y, y_test = digits
    fitted = TransferClassifier(pretrained, epochs=20, freeze_epochs=20).fit(X, y)
    assert list(fitted.classes_) == sorted(NAMES)
    assert fitted.n_features_in_ == 64
    assert fitted.score(X_test, y_test) > 0.7
    chances = fitted.predict_proba(X_test)
    assert chances.shape == (1697, 10)
    assert np.allclose(chances.sum(axis=1), 1, atol=1e-6)
    assert np.array_equal(fitted.predict(X_test), fitted.classes_[chances.argmax(axis=1)])
    stages = [row["stage"] for row in fitted.history_]
    assert stages == ["head on frozen encoder"] * 20 + ["fine-tune"] * 20


@pytest.mark.parametrize(("classes", "name"), [(2, "convnet"), (3, "mlp")])
def test_it_is_the_commands_transfer_bit_by_bit(files, classes, name):
    config = TransferConfig(recipe=recipe("default", QUICKLY), labels=40, seed=4)
    on = task(classes=classes)
    rows = TransferPlan.make(on, source(name), config).rows
    model = transferred(on, source(name), config).model
    fitted = TransferClassifier(files / f"{name}.h5", random_state=4, **QUICKLY)
    fitted.fit(on.x[rows], np.array(["a", "b", "c"])[on.y[rows]])
    expected = [*encoder_weights(model), *(w.numpy() for w in model.get_layer("head").weights)]
    for tensor, weight in zip(fitted.network_.tensors.values(), expected, strict=True):
        assert np.array_equal(tensor, weight)
    chances = np.asarray(model(on.x_test))
    got = fitted.predict_proba(on.x_test)[:, -chances.shape[1] :]
    assert np.allclose(got, chances, atol=1e-6)


def test_the_seed_decides_and_other_fits_do_not_disturb(files):
    on = task()
    fitted = TransferClassifier(files / "mlp.h5", **QUICKLY).fit(on.x, on.y)
    before = fitted.predict_proba(on.x_test)
    other = clone(fitted).set_params(random_state=1).fit(on.x, on.y)
    assert not np.array_equal(other.predict_proba(on.x_test), before)
    assert np.array_equal(fitted.predict_proba(on.x_test), before)
    again = clone(fitted).fit(on.x, on.y)
    assert np.array_equal(again.predict_proba(on.x_test), before)
    generators = [np.random.RandomState(5) for _ in range(2)]
    drawn = [clone(fitted).set_params(random_state=g).fit(on.x, on.y) for g in generators]
    first, second = (d.predict_proba(on.x_test) for d in drawn)
    assert np.array_equal(first, second)


def test_fits_of_one_shape_share_compiled_steps_and_threads_wait_for_one_another(files):
    from transfer.estimators._base import programs

    on = task()
    programs.cache_clear()
    one = TransferClassifier(files / "mlp.h5", **QUICKLY).fit(on.x, on.y)
    expected = one.predict_proba(on.x_test)
    assert programs().traces == 2  # the head, the fine-tuning
    many = [clone(one) for _ in range(4)]
    threads = [Thread(target=each.fit, args=(on.x, on.y)) for each in many]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert np.array_equal(one.predict_proba(on.x_test), expected)
    for each in many:
        assert np.array_equal(each.predict_proba(on.x_test), expected)
    assert programs().traces == 2


@pytest.mark.parametrize("name", ["mlp", "convnet"])
def test_frozen_means_frozen_and_the_file_stays_as_it_is(files, name):
    path, on = files / f"{name}.h5", task()
    content, given = path.read_bytes(), weights(name).tensors
    still = TransferClassifier(path, **QUICKLY | {"epochs": 0}).fit(on.x, on.y).network_.tensors
    moved = TransferClassifier(path, **QUICKLY).fit(on.x, on.y).network_.tensors
    part = TransferClassifier(path, **QUICKLY | {"epochs": 0}, reuse=1).fit(on.x, on.y).network_
    for where, tensor in given.items():
        assert np.array_equal(still[where], tensor)
        assert not np.array_equal(moved[where], tensor)
        assert np.array_equal(part.tensors[where], tensor) == where.startswith("block1/")
    assert path.read_bytes() == content


def test_the_features_are_the_encoders(files):
    from pretrain.encoders.encoder import Encoder, Preprocessing, features
    from pretrain.weights.file import assign

    on = task()
    for name in ("mlp", "convnet"):
        file = WeightsFile.read(files / f"{name}.h5")
        encoder = Encoder(file.encoder, 0)
        assign(file.tensors, encoder.variables)
        expected = features(encoder, Preprocessing.from_json(file.preprocessing), on.x)
        fitted = EncoderTransformer(str(files / f"{name}.h5")).fit(on.x)
        got = fitted.transform(on.x)
        assert got.dtype == np.float32
        assert np.allclose(got, expected, atol=1e-6)
        assert list(fitted.get_feature_names_out()) == [
            f"encodertransformer{k}" for k in range(got.shape[1])
        ]
        low = EncoderTransformer(files / f"{name}.h5", reuse=1).fit(on.x)
        block = encoder.blocks[0][1](on.x.astype(np.float32) / 255).numpy()
        assert np.allclose(
            low.transform(on.x), block.reshape(len(on.x), -1, block.shape[-1]).mean(1), atol=1e-5
        )
        assert len(low.get_feature_names_out()) == block.shape[-1]


def test_numbers_are_predicted_in_their_own_units(pretrained, digits):
    X, X_test, *_ = digits
    y, y_test = (part[:, 20] * 2 + part[:, 30] for part in (X, X_test))
    fitted = TransferRegressor(pretrained, epochs=20, freeze_epochs=20).fit(X, y)
    assert fitted.score(X_test, y_test) > 0.6
    scaled = clone(fitted).fit(X, 1000 * y - 7)
    assert np.allclose(scaled.predict(X_test), 1000 * fitted.predict(X_test) - 7, rtol=1e-3, atol=9)
    assert set(fitted.history_[0]) == {"stage", "epoch", "loss"}


def test_the_loss_of_numbers_is_the_mean_squared_error():
    batch = Batch(arrays={"y": np.array([1.0, 0.0, 1.0])}, seed=None, training=True)
    loss = Regression().loss(np.array([[1.0], [2.0], [4.0]]), batch)["loss"]
    assert float(loss) == pytest.approx((0 + 4 + 9) / 3)


def test_pickles_hold_plain_arrays_and_work_in_a_fresh_process(pretrained, digits, tmp_path):
    X, X_test, y, _ = digits
    path = tmp_path / "weights.h5"
    path.write_bytes(pretrained.read_bytes())
    quick = {"epochs": 1, "freeze_epochs": 1}
    fitted = [
        TransferClassifier(path, **quick).fit(X, y),
        TransferRegressor(path, **quick).fit(X, X[:, 20]),
        EncoderTransformer(path).fit(X),
        TransferClassifier(**quick).fit(X, y),
    ]
    path.unlink()
    content = pickle.dumps(fitted)
    assert b"keras" not in content
    assert b"tensorflow" not in content
    (tmp_path / "fitted.pickle").write_bytes(content)
    np.save(tmp_path / "X.npy", X_test)
    code = (
        "import pickle, sys, numpy as np\n"
        "fitted = pickle.load(open('fitted.pickle', 'rb'))\n"
        "assert 'tensorflow' not in sys.modules\n"
        "X = np.load('X.npy')\n"
        "say = [getattr(f, 'transform', getattr(f, 'predict', None)) for f in fitted]\n"
        "np.savez('out.npz', *[each(X) for each in say])\n"
    )
    where = environment(PYTHONPATH=":".join(p for p in sys.path if p))
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=where, check=True)
    with np.load(tmp_path / "out.npz") as out:
        for each, got in zip(fitted, out.values(), strict=True):
            say = each.transform if hasattr(each, "transform") else each.predict
            assert np.array_equal(say(X_test), got)


def test_an_encoder_in_memory_is_as_good_as_its_path(files):
    on, path = task(), files / "mlp.h5"
    file = WeightsFile.read(path)
    expected = TransferClassifier(path, **QUICKLY).fit(on.x, on.y).predict_proba(on.x_test)
    # An encoder of the facade holds its file; one that was never written has no digest yet.
    for encoder in (file, SimpleNamespace(weights_file=replace(file, digest=""))):
        fitted = TransferClassifier(encoder, **QUICKLY)
        again = clone(pickle.loads(pickle.dumps(fitted)))  # noqa: S301
        assert repr(again) == repr(fitted)
        assert np.array_equal(again.fit(on.x, on.y).predict_proba(on.x_test), expected)
    features = EncoderTransformer(file).fit_transform(on.x)
    assert np.array_equal(features, EncoderTransformer(path).fit_transform(on.x))


def test_a_pipeline_in_a_grid_search(pretrained, digits):
    from sklearn.linear_model import LogisticRegression

    X, X_test, y, y_test = digits
    pipeline = make_pipeline(EncoderTransformer(pretrained), LogisticRegression(max_iter=2000))
    grid = {"encodertransformer__reuse": [1, 2], "logisticregression__C": np.array([0.1, 1.0])}
    search = GridSearchCV(pipeline, grid, cv=2).fit(X, y)
    assert search.score(X_test, y_test) > 0.7
    tuned = TransferClassifier(pretrained, epochs=0)
    search = GridSearchCV(tuned, {"freeze_epochs": np.array([1, 10])}, cv=2, error_score="raise")
    assert search.fit(X, y).best_params_ == {"freeze_epochs": 10}
