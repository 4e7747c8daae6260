"""The estimators' heads, schedules, weights and search, which are those of the command."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import f1_score
from sklearn.model_selection import GridSearchCV
from toys import patterns
from transfers import QUICK, encoder_weights, source, task, transferred

from headstart.errors import InputError
from tasks.task import TargetTask
from transfer import TransferClassifier, TransferRegressor
from transfer.config import TransferConfig
from transfer.plan import TransferPlan
from transfer.recipes import recipe

QUICKLY = {
    "freeze_epochs": QUICK.freeze_epochs,
    "epochs": QUICK.epochs,
    "batch_size": QUICK.batch_size,
    "head_learning_rate": QUICK.head_learning_rate,
    "learning_rate": QUICK.learning_rate,
}


def both(files, name="mlp", *, on=None, config=(), **arguments):
    """The command's transfer, and the estimator's, of the same 40 labels."""
    on = on or task()
    training = {k: v for k, v in arguments.items() if k not in ("head", "above", "reuse")}
    arranged = {k: v for k, v in arguments.items() if k not in training}
    how = TransferConfig(recipe=recipe("default", training), labels=40, **arranged, **dict(config))
    rows = TransferPlan.make(on, source(name), how).rows
    done = transferred(on, source(name), how)
    fitted = TransferClassifier(files / f"{name}.h5", **arguments).fit(on.x[rows], on.y[rows])
    return on, done, fitted


@pytest.mark.parametrize(
    "arguments",
    [
        {**QUICKLY, "head": "hidden", "above": "add", "reuse": 1},
        {**QUICKLY, "unfreeze": 1, "layer_decay": 0.5},
        {**QUICKLY, "gradual": True, "balance": True},
        {**QUICKLY, "epochs": 0, "solve": 0.1, "above": "drop", "reuse": 2},
        {**QUICKLY, "interpolate": 0.25},
        {"head": "knn"},
        {"head": "logistic", "balance": True},
    ],
)
def test_arguments_are_the_commands_options(files, arguments):
    on, done, fitted = both(files, **arguments)
    expected = np.asarray(done.model(on.x_test))
    np.testing.assert_allclose(fitted.predict_proba(on.x_test), expected, atol=1e-6)
    assert fitted.head_choice_ == done.result.get("head_choice")
    again = pickle.loads(pickle.dumps(fitted))  # noqa: S301
    assert np.array_equal(again.predict_proba(on.x_test), fitted.predict_proba(on.x_test))
    if "head" not in arguments:
        kept = dict(zip(source().tensors, encoder_weights(done.model), strict=False))
        assert all(np.array_equal(fitted.network_.tensors[path], kept[path]) for path in kept)


def test_the_neighbours_of_two_classes_and_of_numbers(files):
    on = task(classes=2)
    fitted = TransferClassifier(files / "convnet.h5", head="knn").fit(on.x, on.y)
    chances = fitted.predict_proba(on.x_test)
    assert chances.shape == (30, 2)
    assert np.allclose(chances.sum(axis=1), 1)
    assert fitted.score(on.x_test, on.y_test) > 0.8
    y = 1000 + 5 * on.y
    for head in ("knn", "logistic"):
        numbers = TransferRegressor(files / "mlp.h5", head=head).fit(on.x, y)
        assert numbers.score(on.x_test, 1000 + 5 * on.y_test) > 0.5
        assert numbers.history_ == []


def test_weights_count_and_nothing_without_weight_is_learnt_from(files):
    on = task()
    some = np.arange(80) % 4 > 0
    for estimator, y in ((TransferClassifier, on.y), (TransferRegressor, on.x[:, 0, 0, 0] / 7)):
        plain = estimator(files / "mlp.h5", **QUICKLY).fit(on.x[some], y[some])
        zeros = clone(plain).fit(on.x, y, sample_weight=some)
        assert np.array_equal(zeros.predict(on.x_test), plain.predict(on.x_test))
        for path, tensor in plain.network_.tensors.items():
            assert np.array_equal(zeros.network_.tensors[path], tensor)
    heavy = TransferClassifier(files / "mlp.h5", head="logistic")
    weight = np.where(on.y == 1, 50.0, 1.0)
    noise = on.x[np.random.default_rng(0).permutation(80)]
    chances = [
        clone(heavy).fit(noise, on.y, sample_weight=w).predict_proba(on.x_test)[:, 1].mean()
        for w in (None, weight)
    ]
    assert chances[1] > chances[0] + 0.3


def test_a_class_without_weight_stays_a_class(files):
    on = task()
    fitted = TransferClassifier(files / "mlp.h5", head="logistic")
    fitted.fit(on.x, on.y, sample_weight=on.y != 2)
    assert list(fitted.classes_) == [0, 1, 2]
    assert fitted.predict_proba(on.x_test)[:, 2].max() < 0.01
    with pytest.raises(ValueError, match="has one class, '1'"):
        fitted.fit(on.x, on.y, sample_weight=on.y == 1)


def test_several_labels_an_example(files):
    on = task(classes=4)
    label, label_test = (np.stack([y % 2, y // 2], axis=1) for y in (on.y, on.y_test))
    for arguments in ({"head": "logistic"}, {"head": "knn"}, {**QUICKLY, "solve": 1}):
        fitted = TransferClassifier(files / "convnet.h5", **arguments).fit(on.x, label)
        told = fitted.predict(on.x_test)
        assert told.shape == (30, 2)
        assert f1_score(label_test, told, average="micro") > 0.8
        assert np.array_equal(told, fitted.predict_proba(on.x_test) > 0.5)
        assert fitted.score(on.x_test, label_test) == (told == label_test).all(axis=1).mean()
    with pytest.raises(ValueError, match="must hold 0 and 1 only"):
        fitted.fit(on.x, 2 * label)


def test_a_search_is_the_commands_and_keeps_its_table(files):
    plain = {**QUICKLY, "freeze_epochs": 1, "epochs": 0}
    on = TargetTask.from_dataset(patterns(test=12))
    how = TransferConfig(
        recipe=recipe("default", plain), labels=40, reuse="auto", search_seconds=60
    )
    rows = TransferPlan.make(on, source(), how).rows
    done = transferred(on, source(), how)
    fitted = TransferClassifier(files / "mlp.h5", reuse="auto", search_seconds=60, **plain)
    fitted.fit(on.x[rows], on.y[rows])
    for part in ("chosen", "runner_up", "reason", "arrangement"):
        assert fitted.search_[part] == done.result["search"][part]
    # A recipe that trains no encoder leaves the plain one and three strengths at each of three depths.
    assert len(fitted.search_["tried"]) == len(done.result["search"]["tried"]) == 10
    np.testing.assert_allclose(
        fitted.predict_proba(on.x_test), np.asarray(done.model(on.x_test)), atol=1e-6
    )
    assert fitted.set_params(reuse=None, search_seconds=None).fit(on.x, on.y).search_ is None


def test_a_grid_over_heads(files):
    on = task()
    grid = {"head": ["knn", "logistic"], "reuse": [1, "all"], "balance": np.array([False])}
    found = GridSearchCV(TransferClassifier(files / "mlp.h5"), grid, cv=2, error_score="raise")
    assert found.fit(on.x, on.y).score(on.x_test, on.y_test) > 0.8


@pytest.mark.parametrize(
    ("argument", "changes", "rule"),
    [
        ("head", {"head": "nearest"}, "must be one of linear, hidden, logistic, ridge, knn"),
        ("epochs", {"head": "knn", "epochs": 3, "gradual": True}, "changes nothing"),
        ("head", {"head": "knn", "weights": None}, "stands on features"),
        ("head", {"head": "knn", "reuse": 1, "above": "add"}, "would stay random"),
        ("above", {"above": "under"}, "must be one of reset, drop, add"),
        ("reuse", {"reuse": "auto", "weights": None}, "searches how to reuse"),
        ("head", {"reuse": "auto", "head": "knn"}, "chooses"),
        ("search_seconds", {"search_seconds": 3}, "bounds the search"),
        ("unfreeze", {"unfreeze": "top"}, "must be 'all' or a number of blocks"),
        ("layer_decay", {"layer_decay": 2}, "must be above 0 and 1 or less"),
        ("gradual", {"gradual": 1}, "must be true or false"),
        ("solve", {"solve": 0}, "must be above 0"),
        ("interpolate", {"interpolate": 2}, "must be 0 or more and 1 or less"),
    ],
)
def test_arguments_that_cannot_be_are_a_value_error(files, argument, changes, rule):
    on = task()
    with pytest.raises(ValueError, match=argument) as caught:
        TransferClassifier(**{"weights": files / "mlp.h5"} | changes).fit(on.x, on.y)
    assert isinstance(caught.value, InputError)
    assert caught.value.argument == argument
    assert caught.value.value == changes[argument] or argument == "epochs"
    assert rule in caught.value.rule


def test_what_takes_no_weights_or_no_other_target_says_so(files):
    on = task()
    weight = np.arange(80.0)
    with pytest.raises(ValueError, match="head counts every neighbour alike"):
        TransferClassifier(files / "mlp.h5", head="knn").fit(on.x, on.y, sample_weight=weight)
    with pytest.raises(ValueError, match="sample_weight is not used by reuse='auto'"):
        TransferClassifier(files / "mlp.h5", reuse="auto").fit(on.x, on.y, sample_weight=weight)
    for changes in ({"reuse": "auto"}, {"balance": True}):
        with pytest.raises(ValueError, match="one class an example"):
            TransferRegressor(files / "mlp.h5", **changes).fit(on.x, on.y)
