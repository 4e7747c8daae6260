"""Numbers, and several labels an example, from a file to predictions."""

import csv
import json

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from sklearn import metrics
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler
from transfers import weights

from headstart.errors import InputError
from pretrain.engine.stage import Batch
from transfer.cli import cli
from transfer.export.keras_file import ModelInfo
from transfer.metrics.scores import measure_labels, measure_numbers
from transfer.targets import MultiLabel

EPOCHS = ["--freeze-epochs", "40", "--epochs", "20", "--batch-size", "16", "--labels", "60"]
EPOCHS += ["--head-learning-rate", "0.03", "--learning-rate", "0.003"]


def images(n, seed):
    """Images whose left and right halves are light or dark, with noise."""
    rng = np.random.default_rng(seed)
    light = rng.random((n, 2)).astype(np.float32)
    x = np.repeat(light, 4, axis=1)[:, None, :, None].repeat(8, axis=1)
    return (255 * (0.8 * x + 0.2 * rng.random(x.shape))).astype(np.uint8), light


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("targets")
    (x, light), (x_test, light_test) = images(100, 0), images(40, 1)
    parts = {"x": x, "x_test": x_test}
    # Far from zero and wide, so that forgetting the units shows.
    y, y_test = (1000 + 500 * part[:, 0] for part in (light, light_test))
    np.savez(folder / "numbers.npz", y=y, y_test=y_test, **parts)
    y, y_test = ((part > [0.5, 0.6]).astype(int) for part in (light, light_test))
    np.savez(folder / "labels.npz", y=y, y_test=y_test, class_names=["left", "right"], **parts)
    weights().write(folder / "weights.h5")
    return folder


def run(folder, kind, *more, out="model.keras"):
    arguments = ["--from", folder / "weights.h5", "--data", folder / f"{kind}.npz", "--quiet"]
    arguments += ["--out", folder / out, "--force", *more]
    result = CliRunner().invoke(cli, [str(part) for part in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads((folder / out).with_suffix(".json").read_text()), result.stdout


def data(folder, kind):
    with np.load(folder / f"{kind}.npz") as file:
        return dict(file)


def predicted(folder, kind, name="model.keras"):
    """What the file's model says of the test part, by stock Keras."""
    model = keras.models.load_model(folder / name, safe_mode=True)
    return model.predict(data(folder, kind)["x_test"], verbose=0)


def written(folder, kind, tmp_path):
    arguments = ["predict", "--model", folder / "model.keras", "--data", folder / f"{kind}.npz"]
    arguments += ["--out", tmp_path / "out.csv", "--json"]
    result = CliRunner().invoke(cli, [str(part) for part in arguments], catch_exceptions=False)
    with (tmp_path / "out.csv").open(newline="") as file:
        return json.loads(result.stdout), list(csv.reader(file))


def test_numbers_are_learnt_told_and_predicted_in_their_own_units(folder, tmp_path):
    result, told = run(folder, "numbers", *EPOCHS)
    assert (result["target"], result["classes"], result["labels"]) == ("numbers", [], 60)
    assert result["r2"] > 0.5
    assert "Test R2 0." in told
    assert "40 examples, the set's own test part" in told
    y = data(folder, "numbers")["y_test"]
    got = predicted(folder, "numbers")
    assert got.shape == (40, 1)
    assert result["rmse"] == pytest.approx(metrics.root_mean_squared_error(y, got[:, 0]), rel=1e-4)
    assert ModelInfo.read(folder / "model.keras").target.name == "numbers"
    summary, (header, *rows) = written(folder, "numbers", tmp_path)
    assert header == ["index", "predicted"]
    training = data(folder, "numbers")["y"]
    assert summary["r2"] == pytest.approx(
        metrics.r2_score(training, [float(r[1]) for r in rows]), abs=1e-4
    )


def test_several_labels_are_learnt_told_and_predicted(folder, tmp_path):
    result, told = run(folder, "labels", *EPOCHS)
    assert (result["target"], result["classes"]) == ("multi-label", ["left", "right"])
    assert result["micro_f1"] > 0.75
    assert "Test micro-F1 " in told
    y = data(folder, "labels")["y_test"]
    chances = predicted(folder, "labels")
    assert chances.shape == (40, 2)
    # Of each label by itself: not a softmax over them.
    assert chances.sum(axis=1).max() > 1.1
    assert result["micro_f1"] == metrics.f1_score(y, chances > 0.5, average="micro")
    summary, (header, *rows) = written(folder, "labels", tmp_path)
    assert header == ["index", "predicted", "p(left)", "p(right)"]
    assert {row[1] for row in rows} == {"", "left", "right", "left;right"}
    for row in rows:
        names = [n for n, p in zip(("left", "right"), row[2:], strict=True) if float(p) > 0.5]
        assert row[1] == ";".join(names)
    assert summary["micro_f1"] > 0.75


@pytest.mark.parametrize("head", ["knn", "logistic"])
@pytest.mark.parametrize("kind", ["numbers", "labels"])
def test_frozen_heads_learn_them_too(folder, head, kind):
    result, told = run(folder, kind, "--head", head, "--labels", "80", "--export", "onnx")
    choice = result["head_choice"]
    value = choice["k" if head == "knn" else "C"]
    best = min(choice["tried"], key=lambda row: row["mean_squared_error"])
    assert value in best.values()
    assert f"Head {head}: " in told
    assert result.get("r2", result.get("micro_f1")) > 0.6
    assert result["updates"] == 0
    assert [row["file"] for row in result["exports"]] == ["model.onnx"]
    got, y = predicted(folder, kind), data(folder, kind)["y_test"]
    if kind == "numbers":
        assert metrics.r2_score(y, got) == pytest.approx(result["r2"], abs=1e-4)
    else:
        assert metrics.f1_score(y, got > 0.5, average="micro") == result["micro_f1"]


def test_the_solved_head_of_numbers_is_ridge_regression(folder):
    result, _ = run(
        folder, "numbers", "--recipe", "linear-probe", "--solve", "1", "--validation", "0.2"
    )
    assert result["r2"] > 0.6
    result, _ = run(folder, "numbers", "--head", "logistic", "--seed", "3")
    model = keras.models.load_model(folder / "model.keras")
    arrays = data(folder, "numbers")

    def features(x):
        return np.asarray(model.get_layer("encoder")(model.get_layer("inputs")(x[..., None])))

    scaler = StandardScaler().fit(features(arrays["x"][..., 0]))
    y = StandardScaler().fit(arrays["y"][:, None])
    ridge = Ridge(alpha=0.5 / result["head_choice"]["C"])
    ridge.fit(
        scaler.transform(features(arrays["x"][..., 0])), y.transform(arrays["y"][:, None])[:, 0]
    )
    expected = ridge.predict(scaler.transform(features(arrays["x_test"][..., 0])))
    expected = y.inverse_transform(expected[:, None])
    np.testing.assert_allclose(predicted(folder, "numbers"), expected, rtol=1e-4)


def test_the_hidden_head_validation_and_solving_take_several_labels(folder):
    more = ["--head", "hidden", "--validation", "0.2", *EPOCHS]
    assert run(folder, "labels", *more)[0]["history"][0]["val_loss"] > 0
    assert run(folder, "labels", "--solve", "1", "--epochs", "0")[0]["micro_f1"] > 0.6


@pytest.mark.parametrize("option", [["--reuse", "auto"], ["--balance"]])
def test_what_works_on_classes_only_is_refused(folder, option):
    with pytest.raises(InputError, match="works on classes, and y of") as caught:
        run(folder, "labels", *option)
    assert caught.value.argument == option[0].removeprefix("--")


def test_other_commands_say_that_they_take_classes(folder, tmp_path):
    from benchmark.cli import cli as benchmark
    from pretrain.cli import cli as pretrain

    numbers, out = str(folder / "numbers.npz"), str(tmp_path / "out")
    runner = CliRunner()
    arguments = ["--data", numbers, "--labels", "20", "--out", out]
    with pytest.raises(InputError, match=r"compares classifiers only, and y of .* one number"):
        runner.invoke(benchmark, arguments, catch_exceptions=False)
    arguments = ["--strategy", "supervised", "--data", numbers, "--out", f"{out}.h5"]
    with pytest.raises(InputError, match=r"learns classes, and y of .* one number"):
        runner.invoke(pretrain, arguments, catch_exceptions=False)
    assert not list(tmp_path.iterdir())


def test_the_loss_of_several_labels_is_the_mean_binary_cross_entropy():
    logits = np.array([[2.0, -1.0], [0.0, 3.0]], np.float32)
    y = np.array([[1, 0], [1, 0]], np.float32)
    chances = 1 / (1 + np.exp(-logits))
    each = -np.log(np.where(y > 0, chances, 1 - chances)).mean(axis=1)
    for more, expected in (({}, each.mean()), ({"w": np.array([2.0, 0.0], np.float32)}, each[0])):
        batch = Batch(arrays={"x": logits, "y": y, **more}, seed=None, training=True)
        loss = MultiLabel(names=("a", "b")).loss(logits, batch)["loss"]
        assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_metrics_of_numbers_against_scikit_learn():
    rng = np.random.default_rng(0)
    y = rng.normal(1e4, 30, 400)
    found = measure_numbers(y + rng.normal(0, 10, 400), y)
    again = np.random.default_rng(0)
    guess = again.normal(1e4, 30, 400) + again.normal(0, 10, 400)
    assert found["rmse"] == pytest.approx(metrics.root_mean_squared_error(y, guess))
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(y, guess))
    assert found["r2"] == pytest.approx(metrics.r2_score(y, guess))
    # The error of a mean of 400 absolute normal deviates of 10 is 10 sqrt(1 - 2 / pi) / 20 = 0.30.
    low, high = found["mae_interval"]
    assert (high - low) / 2 / 1.96 == pytest.approx(0.30, abs=0.05)
    low, high = found["r2_interval"]
    assert low < found["r2"] < high
    flat = measure_numbers(np.array([1.0, 2.0]), np.array([3.0, 3.0]))
    assert (flat["r2"], flat["r2_interval"], flat["mae"]) == (None, None, 1.5)


def test_metrics_of_several_labels_against_scikit_learn():
    rng = np.random.default_rng(0)
    y = (rng.random((300, 3)) < (0.5, 0.2, 0.05)).astype(np.uint8)
    chances = np.clip(0.5 * y + 0.7 * rng.random((300, 3)) - 0.1, 0, 1)
    found = measure_labels(chances, y)
    told = chances > 0.5
    assert found["micro_f1"] == pytest.approx(metrics.f1_score(y, told, average="micro"))
    assert found["macro_f1"] == pytest.approx(metrics.f1_score(y, told, average="macro"))
    assert found["hamming_loss"] == pytest.approx(metrics.hamming_loss(y, told))
    assert found["subset_accuracy"] == pytest.approx(metrics.accuracy_score(y, told))
    assert found["mean_average_precision"] == pytest.approx(
        metrics.average_precision_score(y, chances)
    )
    low, high = found["micro_f1_interval"]
    assert 0.02 < high - low < 0.2
    assert low < found["micro_f1"] < high
    nothing = measure_labels(np.zeros((4, 2)), np.zeros((4, 2), np.uint8))
    assert nothing["mean_average_precision"] is None
    assert nothing["subset_accuracy"] == 1
