"""The heads that are solved on frozen features: logistic regression and nearest neighbours."""

import json
from dataclasses import replace

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.preprocessing import StandardScaler
from toys import patterns
from transfers import QUICK, encoder_weights, source, task, transferred, weights

from headstart.errors import InputError
from transfer.cli import cli
from transfer.config import TransferConfig
from transfer.export.keras_file import save_model
from transfer.heads.base import Labelled
from transfer.heads.knn import COUNTS, ROW, nearest
from transfer.heads.logistic import STRENGTHS
from transfer.plan import TransferPlan
from transfer.targets import Regression


def run(head, *, on=None, name="mlp", labels=40, **how):
    config = TransferConfig(recipe=QUICK, labels=labels, head=head, **how)
    on = on or task()
    return (
        on,
        TransferPlan.make(on, source(name), config).rows,
        transferred(on, source(name), config),
    )


def features(model, x):
    """The frozen features of raw examples, by the model's own layers."""
    encoder = model.get_layer("encoder")
    return np.asarray(encoder(model.get_layer("inputs")(x)))


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("head", ["knn", "logistic"])
def test_a_frozen_head_moves_nothing_and_its_file_needs_stock_keras_only(head, classes, tmp_path):
    on, _, done = run(head, on=task(classes=classes), name="convnet")
    for tensor, weight in zip(
        source("convnet").tensors.values(), encoder_weights(done.model), strict=True
    ):
        assert np.array_equal(tensor, weight)
    assert (done.result["updates"], done.history, done.result["head"]) == (0, [], head)
    path = tmp_path / "model.keras"
    save_model(done.model, path, done.inputs, done.result, on.x_test[:8])
    loaded = keras.models.load_model(path, safe_mode=True)
    chances = loaded.predict(on.x_test, verbose=0)
    assert chances.shape == (30, 1 if classes == 2 else 3)
    assert np.allclose(chances, np.asarray(done.model(on.x_test)), atol=1e-6)
    predicted = chances[:, 0] > 0.5 if classes == 2 else chances.argmax(axis=1)
    assert done.result["accuracy"] == (predicted == on.y_test).mean() > 0.8


@pytest.mark.parametrize("classes", [2, 3])
def test_the_neighbours_are_scikit_learns(classes):
    on, rows, done = run("knn", on=task(classes=classes))
    choice = done.result["head_choice"]
    assert choice["k"] in COUNTS
    assert choice["distance"] == "cosine of standardised features"
    assert [row["k"] for row in choice["tried"]] == [k for k in COUNTS if k <= 32]
    assert choice["folds"] == 5
    best = max(choice["tried"], key=lambda row: (row["accuracy"], -row["loss"]))
    assert best["k"] == choice["k"]
    scaler = StandardScaler().fit(features(done.model, on.x[rows]))
    reference = KNeighborsClassifier(choice["k"], metric="cosine")
    reference.fit(scaler.transform(features(done.model, on.x[rows])), on.y[rows])
    expected = reference.predict_proba(scaler.transform(features(done.model, on.x_test)))
    got = np.asarray(done.model(on.x_test))
    np.testing.assert_allclose(got, expected[:, -got.shape[1] :], atol=1e-6)


def test_the_model_and_the_choice_see_the_same_neighbours():
    rng = np.random.default_rng(0)
    known = rng.normal(50, [1, 5, 0.1, 0], (60, 4)).astype(np.float32)
    new = rng.normal(50, [1, 5, 0.1, 0], (20, 4)).astype(np.float32)
    y = rng.normal(size=(60, 1)).astype(np.float32)
    scaler = StandardScaler().fit(known)
    reference = KNeighborsRegressor(5, metric="cosine").fit(scaler.transform(known), y)
    expected = reference.predict(scaler.transform(new))
    np.testing.assert_allclose(y[nearest(known, new, 5)].mean(axis=1), expected, atol=1e-5)
    solution = ROW.solution(Labelled(features=known, y=y[:, 0], target=Regression()), 5)
    head = ROW.build(4, 1, **solution.config)
    head.set_weights(solution.weights)
    np.testing.assert_allclose(np.asarray(head(new)), expected, atol=1e-5)


def test_the_logistic_regression_is_scikit_learns_with_its_chosen_c():
    on, rows, done = run("logistic")
    choice = done.result["head_choice"]
    assert [row["C"] for row in choice["tried"]] == list(STRENGTHS)
    best = min(choice["tried"], key=lambda row: row["loss"])
    assert best["C"] == choice["C"]
    scaler = StandardScaler().fit(features(done.model, on.x[rows]))
    reference = LogisticRegression(C=choice["C"], max_iter=300, tol=1e-3)
    reference.fit(scaler.transform(features(done.model, on.x[rows])), on.y[rows])
    expected = reference.predict_proba(scaler.transform(features(done.model, on.x_test)))
    np.testing.assert_allclose(np.asarray(done.model(on.x_test)), expected, atol=1e-3)


def test_the_choice_looks_at_the_budget_only_and_the_seed_decides():
    from dataclasses import replace

    on = task()
    rows = on.labels(20, 0)
    x = on.x.copy()
    x[np.setdiff1d(np.arange(80), rows)] = 0
    other = replace(on, x=x, x_test=255 - on.x_test)
    for head in ("knn", "logistic"):
        first, second, third = (
            run(head, on=each, labels=20, seed=seed)[2].result
            for each, seed in ((on, 0), (other, 0), (on, 1))
        )
        assert first["head_choice"] == second["head_choice"]
        assert first["digest"] == second["digest"] != third["digest"]


def test_a_budget_too_small_to_divide_has_no_choice():
    for head, name, value in (("knn", "k", 1), ("logistic", "C", 0.1)):
        choice = run(head, labels=3)[2].result["head_choice"]
        assert (choice[name], choice["tried"]) == (value, [])


def test_lower_blocks_alone_can_be_the_features():
    for name in ("mlp", "convnet"):
        done = run("knn", name=name, reuse=1, above="drop")[2]
        assert (done.result["reuse"], done.result["above"]) == (1, "drop")
        assert done.result["accuracy"] > 0.8


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"reuse": 0}, "reuse=0 keeps no block"),
        ({"reuse": 2, "above": "reset"}, "Give above='drop'"),
        ({"reuse": 2, "above": "add"}, "Give above='drop'"),
    ],
)
def test_random_blocks_are_refused(how, says):
    with pytest.raises(InputError, match=says) as caught:
        run("knn", **how)
    assert (caught.value.argument, caught.value.value) == ("head", "knn")


@pytest.fixture
def folder(tmp_path):
    data = patterns(test=30)
    np.savez(tmp_path / "data.npz", x=data.x, y=data.y, x_test=data.x_test, y_test=data.y_test)
    weights().write(tmp_path / "weights.h5")
    return tmp_path


def command(folder, *more):
    arguments = ["--from", folder / "weights.h5", "--data", folder / "data.npz", "--labels", 30]
    arguments += ["--out", folder / "model.keras", *more]
    return CliRunner().invoke(cli, [str(part) for part in arguments], catch_exceptions=False)


def test_the_command_says_what_was_chosen(folder):
    ended = command(folder, "--head", "knn", "--reuse", "1", "--export", "onnx")
    assert "Head knn: k = " in ended.stdout
    assert "by 5-fold cross-validation" in ended.stdout
    result = json.loads((folder / "model.json").read_text())
    assert (result["above"], result["history"]) == ("drop", [])
    assert [row["file"] for row in result["exports"]] == ["model.onnx"]
    again = json.loads(
        command(folder, "--head", "knn", "--reuse", "1", "--resume", "--json").stdout
    )
    assert again["digest"] == result["digest"]
    ended = command(folder, "--head", "logistic", "--balance", "--force")
    assert "Head logistic: C = " in ended.stdout


@pytest.mark.parametrize(
    ("options", "argument", "says"),
    [
        (
            ["--head", "knn", "--epochs", "3"],
            "epochs",
            "changes nothing: head='knn' .* Leave it out",
        ),
        (["--head", "knn", "--balance"], "balance", "changes nothing"),
        (
            ["--head", "logistic", "--solve", "1", "--recipe", "linear-probe"],
            "solve",
            r"changes nothing \(nor does recipe\): .* Leave them out, or give head='linear'",
        ),
        (["--head", "logistic", "--layer-decay", "0.5"], "layer_decay", "changes nothing"),
        (["--head", "nearest"], "head", "must be one of linear, hidden, logistic, ridge, knn"),
    ],
)
def test_options_that_change_nothing_are_refused(folder, options, argument, says):
    with pytest.raises(InputError, match=says) as caught:
        command(folder, *options)
    assert caught.value.argument == argument
    assert not (folder / "model.keras").exists()


@pytest.mark.parametrize("head", ["logistic", "knn"])
def test_classes_with_one_label_do_not_decide(head):
    """Nobody could tell a class without an example; judged by that, the strongest penalty looked best."""
    on = task(classes=10, n=200)
    one = [int(np.flatnonzero(on.y == k)[0]) for k in range(10)]
    two = [int(np.flatnonzero(on.y == k)[n]) for k in range(2) for n in (1, 2)]
    config = TransferConfig(recipe=QUICK, rows=(*one, *two), reuse=3, above="drop", head=head)
    given = source()
    choice = transferred(on, given, config).result["head_choice"]
    assert choice["examples"] == 6
    fewer = replace(config, rows=tuple(one))
    choice = transferred(on, given, fewer).result["head_choice"]
    assert (choice["examples"], choice["tried"]) == (0, [])
    assert choice.get("C", choice.get("k")) == {"logistic": 0.1, "knn": 1}[head]
